"""A network of the user's own code: `package.module:build`, or `path/to/file.py:Net`.

What stands behind the colon is a class, a function that builds a network, or a network itself. It knows nothing of
weights.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import torch
from torch import nn

from sightline.errors import ModelError, near
from sightline.models.order import first_line
from sightline.models.zoo.catalog import Origin


def is_own_code(name: str) -> bool:
    """Whether a model's name leads to code: it has a colon, and what stands before it is no origin of the catalogue.

    Example:
        >>> is_own_code("nets.mine:build"), is_own_code("nets.py:Net"), is_own_code("timm:resnet50")
        (True, True, False)
    """
    place, colon, attribute = name.rpartition(":")
    return bool(colon and place and place not in get_args(Origin)) and all(
        part.isidentifier() for part in attribute.split(".")
    )


def build_own(name: str, arguments: Mapping[str, Any], seed: int) -> nn.Module:
    """The network that a name in code leads to; random weights are of `seed`.

    Args:
        name: module and attribute, or file and attribute, with a colon between them.
        arguments: keyword arguments of the class or the function.
        seed: seed of the random initialisation; the global random state stays as it was.

    Raises:
        ModelError: there is no such module or attribute, it cannot be imported or built, or gives no network.
    """
    place, _, attribute = name.rpartition(":")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # a network may be made while its module is imported
        maker = _attribute(_module(place, name), attribute, name)
        torch.manual_seed(seed)
        model = maker if isinstance(maker, nn.Module) else _called(maker, name, arguments)
    if model is maker and arguments:
        raise ModelError(f"{name} is a network already and takes no --model-arg {min(arguments)!r}; leave it out")
    if not isinstance(model, nn.Module):
        raise ModelError(f"{name} gave a {type(model).__name__}, not a torch.nn.Module")
    return model


def _called(maker: Any, name: str, arguments: Mapping[str, Any]) -> Any:
    """What a class or a function gives for these arguments.

    Raises:
        ModelError: it is neither, or it fails.
    """
    if not callable(maker):
        raise ModelError(f"{name} is a {type(maker).__name__}, not a class, a function or a network")
    try:
        return maker(**arguments)
    except Exception as problem:  # a builder may raise anything on arguments that it does not know
        listed = ", ".join(f"{key}={value!r}" for key, value in arguments.items()) or "no arguments"
        raise ModelError(
            f"{name} cannot be built with {listed}: {first_line(problem)}; give its arguments by --model-arg"
        ) from problem


def _module(place: str, name: str) -> ModuleType:
    """The module of that name, sought in the folder one is in as well, or the file.

    Raises:
        ModelError: there is none, or it cannot be imported.
    """
    try:
        with _importing_from(Path.cwd()):
            if place.endswith(".py"):
                return _from_file(Path(place))
            return importlib.import_module(place)
    except ModelError:
        raise
    except ModuleNotFoundError as problem:
        if problem.name is not None and (place == problem.name or place.startswith(problem.name + ".")):
            raise ModelError(
                f"there is no module {place!r} for the model {name}; searched were the current folder and "
                "the installed packages; a file is named as path/to/file.py:NAME"
            ) from problem
        raise ModelError(f"the module {place!r} needs {problem.name!r}, which is not installed") from problem
    except Exception as problem:  # a user's module may raise anything while it is imported
        raise ModelError(
            f"the module {place!r} cannot be imported: {type(problem).__name__}: {first_line(problem)}"
        ) from problem


def _from_file(path: Path) -> ModuleType:
    """The module in a file; what lies beside it can be imported by it.

    Raises:
        ModelError: there is no such file.
    """
    if not path.is_file():
        raise ModelError(f"there is no file {str(path)!r} that a network could be built from")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not isinstance(spec, ModuleSpec) or spec.loader is None:
        raise ModelError(f"{str(path)!r} cannot be imported; name a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    with _importing_from(path.resolve().parent):
        sys.modules.setdefault(path.stem, module)  # data classes look for the module that they are of
        spec.loader.exec_module(module)
    return module


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Modules are sought in a folder first, as `python` itself does with the folder of a script."""
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


def _attribute(module: ModuleType, attribute: str, name: str) -> Any:
    """What stands behind the colon.

    Raises:
        ModelError: there is nothing of that name.
    """
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [one for one, value in vars(found).items() if callable(value) and not one.startswith("_")]
            raise ModelError(f"there is no {part!r} in {name.rpartition(':')[0]!r}; {near(part, names)}")
        found = getattr(found, part)
    return found
