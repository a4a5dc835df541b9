"""How a decision is read off one model: names of its outputs, their probabilities, classes like one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import TargetError
from sightline.models import Adapter
from sightline.models.adapter.embedded import classifiers
from sightline.models.labels import label_names
from sightline.models.outputs import Probabilities, chances_of, labels_of
from sightline.results import Decision
from sightline.targets import ClassHead, Readout, Target
from sightline.targets.base import takes_classes
from sightline.targets.closest import needs_classifier, with_classifier

LabelsLike = Sequence[str] | Mapping[Any, Any] | str | Path | None
"""Names of classes: in order, by index, or in a file."""


@dataclass(frozen=True, eq=False)
class Decided:
    """A target as it is read off one model.

    Args:
        target: the target.
        labels: names of the classes.
        facts: what is said of it in the result.
    """

    target: Target
    labels: tuple[str, ...] | None
    facts: Mapping[str, str]


def decided(
    target: Target,
    adapter: Adapter,
    *,
    labels: LabelsLike,
    probabilities: Probabilities,
    ending: Callable[[], str | None],
) -> Decided:
    """The target with what this model says of its outputs.

    Args:
        target: what is asked.
        adapter: the model.
        labels: names that the user gives; None takes those of the model's configuration.
        probabilities: how outputs become probabilities.
        ending: last operation over the outputs.

    Raises:
        InputError: the labels cannot be understood.
        TargetError: probabilities are asked for where the decision is no class, or in a mode that there is not.
    """
    names = labels_of(adapter.model, adapter.classes) if labels is None else label_names(labels)
    if not takes_classes(target):
        if probabilities not in ("auto", "none"):
            raise TargetError(
                f"probabilities={probabilities!r} is about classes, but the target is {type(target).__name__}; leave "
                "it out"
            )
        return Decided(target, names, {})
    if needs_classifier(target):
        target = with_classifier(target, classifier_rows(adapter.model))
    chances = chances_of(probabilities, adapter.model, ending)
    facts = {"probabilities": f"{chances.meaning or 'none'}: {chances.why}"}
    return Decided(ClassHead(target, chances.meaning, strict=labels is not None), names, facts)


def stated(facts: Mapping[str, str], readout: Readout) -> dict[str, str]:
    """The facts, as far as they came true: what has no probability, such as a value, was not made one."""
    return {
        name: fact for name, fact in facts.items() if name != "probabilities" or readout.probabilities is not None
    }


def classifier_rows(model: nn.Module) -> Float[Tensor, "c d"] | None:
    """The row of each class in the model's classifier; None where there is not exactly one."""
    paths = classifiers(model)
    layer = model.get_submodule(paths[0]) if len(paths) == 1 else None
    weight = getattr(layer, "weight", None)
    plain = isinstance(weight, Tensor) and weight.is_floating_point() and weight[0].numel() == weight.shape[1]
    return weight.detach().flatten(1) if isinstance(weight, Tensor) and plain else None


def decisions_of(readout: Readout) -> list[list[Decision]]:
    """The readout as plain numbers; read from the device once."""
    scores = readout.scores.tolist()
    indices = None if readout.indices is None else readout.indices.tolist()
    others = None if readout.against is None else readout.against.tolist()
    chances = None if readout.probabilities is None else readout.probabilities.tolist()
    return [
        [
            Decision(
                label=readout.labels[b][k],
                score=score,
                index=None if indices is None or indices[b][k] < 0 else indices[b][k],
                probability=None if chances is None else chances[b][k],
                against=None if others is None else others[b][k],
            )
            for k, score in enumerate(row)
        ]
        for b, row in enumerate(scores)
    ]
