"""Every global name that the library's code uses exists: the shapes in our annotations keep linters from telling."""

from __future__ import annotations

import builtins
import dis
import importlib
import pkgutil
from collections.abc import Iterator
from types import CodeType

import pytest

import sightline

OPTIONAL = ("lightning", "ray", "torchmetrics", "transformers", "captum", "av", "imageio")


def modules() -> list[str]:
    return [info.name for info in pkgutil.walk_packages(sightline.__path__, "sightline.")]


def global_names(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from global_names(constant)


@pytest.mark.parametrize("name", modules())
def test_every_global_name_exists(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] not in OPTIONAL:
            raise
        pytest.skip(f"{missing.name} is not installed")
    if module.__spec__ is None or module.__spec__.loader is None:
        pytest.skip("a namespace has no code")
    code = module.__spec__.loader.get_code(name)  # type: ignore[attr-defined]
    known = {*vars(module), *vars(builtins)}
    assert sorted(set(global_names(code)) - known) == []
