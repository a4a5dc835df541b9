"""What a model says of its own outputs: their names, and how they become probabilities.

It reads declarations - what the computation ends in, a configuration, a loss - and never the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import nn

from sightline.common.threads import tree
from sightline.errors import InputError, TargetError, near
from sightline.models.labels import label_names
from sightline.targets.head import Meaning

Probabilities = Literal["auto", "softmax", "sigmoid", "none", "given"]

ASSUMED = "nothing says otherwise; say probabilities='sigmoid' if labels do not exclude each other"
ENDINGS: dict[str, tuple[Meaning, str]] = {
    "softmax": ("given", "the model ends in a soft-max"),
    "log_softmax": ("exp", "the model ends in a log-soft-max"),
    "sigmoid": ("given", "the model ends in a sigmoid"),
}
PROBLEMS: dict[str, Meaning] = {
    "multi_label_classification": "sigmoid",
    "single_label_classification": "softmax",
    "regression": None,
}
"""Values of `problem_type` in a configuration of Hugging Face."""
LOSSES: dict[type[nn.Module], Meaning] = {
    nn.CrossEntropyLoss: "softmax",
    nn.BCEWithLogitsLoss: "sigmoid",
    nn.MultiLabelSoftMarginLoss: "sigmoid",
    nn.BCELoss: "given",
    nn.NLLLoss: "exp",
    nn.MSELoss: None,
    nn.L1Loss: None,
    nn.SmoothL1Loss: None,
    nn.HuberLoss: None,
}
"""Losses that a module carries with it say what its outputs were trained to be."""


@dataclass(frozen=True, eq=False)
class Declarations:
    """What a model carries with it that tells of its outputs.

    Args:
        configurations: what stands in the `config` of the model and of the parts of a wrapper, from the outside in.
        losses: the losses among its modules.
    """

    configurations: tuple[Mapping[str, Any], ...]
    losses: tuple[type[nn.Module], ...]


def declarations_of(model: nn.Module) -> Declarations:
    """What a model declares; one walk through its modules."""
    configurations: list[Mapping[str, Any]] = []
    modules = tree(model)
    losses = [kind for kind in dict.fromkeys(map(type, modules)) if kind in LOSSES]
    for config in [own["config"] for own in map(vars, modules) if "config" in own]:
        if isinstance(config, Mapping):
            configurations.append(config)
        elif hasattr(config, "__dict__"):
            configurations.append({name: getattr(config, name, None) for name in ("problem_type", "id2label")})
    return Declarations(tuple(configurations), tuple(losses))


@dataclass(frozen=True)
class Chances:
    """How a model's outputs become probabilities, and how that is known.

    Args:
        meaning: what is done with the outputs; None where they have no probability.
        why: how that is known, in words.
    """

    meaning: Meaning
    why: str


def chances_of(mode: Probabilities, declarations: Declarations, ending: str | None) -> Chances:
    """How the outputs of a model become probabilities.

    Args:
        mode: what the user says; `auto` takes in this order what the computation ends in, the configuration, and a
            loss among the modules. Where none of them speaks the outputs are logits of classes that exclude each
            other: nothing tells them from those of labels that do not, and most are.
        declarations: what the model carries with it.
        ending: last operation over the outputs: `softmax`, `log_softmax`, `sigmoid` or None.

    Raises:
        TargetError: there is no such mode.

    Example:
        >>> chances_of("auto", declarations_of(nn.Linear(4, 3)), "softmax").meaning
        'given'
    """
    if mode not in get_args(Probabilities):
        raise TargetError(f"there are no probabilities {mode!r}; {near(str(mode), get_args(Probabilities))}")
    if mode == "none":
        return Chances(None, "none were asked for")
    if ending in ENDINGS and (mode == "auto" or (mode == "given" and ending == "log_softmax")):
        return Chances(*ENDINGS[ending])
    return _declared(declarations) if mode == "auto" else Chances(mode, "as asked")


def _declared(declarations: Declarations) -> Chances:
    """What the model itself declares."""
    for config in declarations.configurations:
        problem = config.get("problem_type")
        if isinstance(problem, str) and problem in PROBLEMS:
            return Chances(PROBLEMS[problem], f"its configuration says {problem}")
    meanings = {LOSSES[kind]: kind.__name__ for kind in declarations.losses}
    if len(meanings) == 1:
        (meaning, name), *_ = meanings.items()
        return Chances(meaning, f"it carries the loss {name}")
    return Chances("softmax", ASSUMED)


def labels_of(declarations: Declarations, classes: int | None) -> tuple[str, ...] | None:
    """Names in the model's configuration (`id2label`), unless they are the `LABEL_0`, `LABEL_1` that stand for none.

    Args:
        declarations: what the model carries with it.
        classes: number of outputs where it is known; names that are not as many are passed over.
    """
    for config in declarations.configurations:
        table = config.get("id2label")
        if not isinstance(table, Mapping) or not table:
            continue
        try:
            names = label_names(dict(table))
        except InputError:
            continue  # nobody handed it over as labels
        default = all(name == f"LABEL_{index}" for index, name in enumerate(names))
        if not default and classes in (None, len(names)):
            return names
    return None
