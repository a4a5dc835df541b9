"""What a model says of its own outputs: their names, and how they become probabilities.

It reads declarations - what the computation ends in, a configuration, a loss - and never the values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import nn

from sightline.errors import TargetError, near
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


@dataclass(frozen=True)
class Chances:
    """How a model's outputs become probabilities, and how that is known.

    Args:
        meaning: what is done with the outputs; None where they have no probability.
        why: how that is known, in words.
    """

    meaning: Meaning
    why: str


def chances_of(mode: Probabilities, model: nn.Module, ending: str | None) -> Chances:
    """How the outputs of a model become probabilities.

    Args:
        mode: what the user says; `auto` takes in this order what the computation ends in, the configuration, and a
            loss among the modules. Where none of them speaks the outputs are logits of classes that exclude each
            other: nothing tells them from those of labels that do not, and most are.
        model: the plain module.
        ending: last operation over the outputs: `softmax`, `log_softmax`, `sigmoid` or None.

    Raises:
        TargetError: there is no such mode.

    Example:
        >>> chances_of("auto", nn.Linear(4, 3), "softmax").meaning
        'given'
    """
    if mode not in get_args(Probabilities):
        raise TargetError(f"there are no probabilities {mode!r}; {near(str(mode), get_args(Probabilities))}")
    if mode == "none":
        return Chances(None, "none were asked for")
    if ending in ENDINGS and (mode == "auto" or (mode == "given" and ending == "log_softmax")):
        return Chances(*ENDINGS[ending])
    return _declared(model) if mode == "auto" else Chances(mode, "as asked")


def _declared(model: nn.Module) -> Chances:
    """What the model itself declares."""
    for config in _configurations(model):
        problem = config.get("problem_type")
        if problem in PROBLEMS:
            return Chances(PROBLEMS[problem], f"its configuration says {problem}")
    losses = {LOSSES[type(part)]: type(part).__name__ for part in model.modules() if type(part) in LOSSES}
    if len(losses) == 1:
        (meaning, name), *_ = losses.items()
        return Chances(meaning, f"it carries the loss {name}")
    return Chances("softmax", ASSUMED)


def labels_of(model: nn.Module, classes: int | None) -> tuple[str, ...] | None:
    """Names in the model's configuration (`id2label`), unless they are the `LABEL_0`, `LABEL_1` that stand for none.

    Args:
        model: the plain module.
        classes: number of outputs where it is known; names that are not as many are passed over.
    """
    for config in _configurations(model):
        table = config.get("id2label")
        if not isinstance(table, Mapping) or not table:
            continue
        names = label_names(dict(table))
        default = all(name == f"LABEL_{index}" for index, name in enumerate(names))
        if not default and classes in (None, len(names)):
            return names
    return None


def _configurations(model: nn.Module) -> Iterator[Mapping[str, Any]]:
    """What stands in the `config` of the model and of the parts of a wrapper, from the outside in."""
    for part in model.modules():
        config = vars(part).get("config")
        if isinstance(config, Mapping):
            yield config
        elif hasattr(config, "__dict__"):
            yield {name: getattr(config, name, None) for name in ("problem_type", "id2label")}
