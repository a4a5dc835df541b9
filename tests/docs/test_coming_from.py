"""The page for users of other packages: code of captum and torch-cam gives what our code beside it gives."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from tests.docs.plain import DOCS

PAGE = (DOCS / "howto" / "coming-from.md").read_text(encoding="utf-8")
SIDES = re.findall(r"^<div class=\"side\" markdown>\n(.*?)^</div>", PAGE, re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(py|python)\n# (.+?)\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN = {"captum": "captum", "torch-cam": "torchcam"}
"""Packages of the test environment: heading of the block, and the module."""


def pairs() -> dict[str, dict[str, tuple[str, str]]]:
    """Of each peer its block and ours: fence and code."""
    found = [{name: (fence, code) for fence, name, code in BLOCK.findall(side)} for side in SIDES]
    return {next(name for name in pair if name != "Sightline"): pair for pair in found}


def run(code: str) -> dict[str, Any]:
    """The variables that the code leaves."""
    values: dict[str, Any] = {}
    exec(compile(code, "coming-from.md", "exec"), values)
    return values


def test_the_page_has_two_sides_for_each_of_four_packages() -> None:
    assert set(pairs()) == {"grad-cam", "captum", "torch-cam", "zennit"}
    assert all(len(pair) == 2 for pair in pairs().values())


def test_what_is_not_installed_here_is_shown_and_not_run() -> None:
    assert {name: pair[name][0] for name, pair in pairs().items()} == {
        name: "python" if name in RUN else "py" for name in pairs()
    }


@pytest.mark.parametrize("name", RUN)
def test_both_sides_give_the_same_maps(name: str) -> None:
    pytest.importorskip(RUN[name])
    theirs, ours = run(pairs()[name][name][1]), run(pairs()[name]["Sightline"][1])
    torch.testing.assert_close(ours["ours"], theirs["theirs"].detach().squeeze(), rtol=1e-4, atol=1e-6)
    if "theirs_input" in theirs:
        expected = theirs["theirs_input"].detach().sum(1).squeeze()
        torch.testing.assert_close(ours["ours_input"], expected, rtol=1e-4, atol=1e-6)
