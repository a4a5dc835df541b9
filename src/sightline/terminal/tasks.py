"""`TASKS`: everything that can be trained here, and the verbs that each task brings to the command line.

A task makes itself known by one entry point of the group `sightline.tasks`, which names its `Task`. The module that
holds it must stay light: what a task names as `"module:name"` is imported when used, so that help loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sightline.registry import Registry


@dataclass(frozen=True)
class Verb:
    """A verb of the command line.

    Args:
        path: words after `sightline`, such as `train eat`.
        target: the function, as `module:name`; its docstring is the help, its annotations are the options.
    """

    path: str
    target: str

    def load(self) -> Any:
        """The function."""
        return load(self.target)


@dataclass(frozen=True)
class Task:
    """Something that is trained here.

    Args:
        title: one phrase that says what is trained.
        verbs: what the command line gets.
        recipe: the class of the recipe, as `module:name`; empty for a task that has none.
        train: the function that trains by a recipe, as `module:name`.
        world: the generated world whose answer is known, or "none: " and the reason.
        data: the real data that the task was tried on, or "none: " and the reason.
        controls: what the card says of the simplest things that could have produced its figures, as it says it.
    """

    title: str
    verbs: tuple[Verb, ...] = ()
    recipe: str = ""
    train: str = ""
    world: str = ""
    data: str = ""
    controls: tuple[str, ...] = ()


TASKS: Registry[Task] = Registry("task", group="sightline.tasks")


def load(target: str) -> Any:
    """What `module:name` names."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
