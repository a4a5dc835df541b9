"""How a decision is read off one model: names of its outputs, their probabilities, classes like one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import TargetError
from sightline.models import Adapter
from sightline.models.labels import label_names
from sightline.models.logits import Logits, logits_of
from sightline.models.outputs import Probabilities, chances_of, declarations_of, labels_of
from sightline.results import IMAGE, Decision, Domain
from sightline.targets import ClassHead, Readout, Selector, Target
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
        adapter: the model, with the number of its classes.
    """

    target: Target
    labels: tuple[str, ...] | None
    facts: Mapping[str, str]
    adapter: Adapter


def decided(
    target: Target,
    adapter: Adapter,
    inputs: Tensor,
    *,
    labels: LabelsLike,
    probabilities: Probabilities,
    output: Selector | None,
) -> Decided:
    """The target with what this model says of its outputs.

    Args:
        target: what is asked.
        adapter: the model.
        inputs: what is explained.
        labels: names that the user gives; None takes those of the model's configuration.
        probabilities: how outputs become probabilities.
        output: which part of the output holds the logits.

    Raises:
        InputError: the labels cannot be understood.
        TargetError: probabilities are asked for where the decision is no class, or in a mode that there is not.
    """
    count = target.row_count()
    if count not in (None, len(inputs)):
        raise TargetError(
            f"the target has {count} rows, one for each sample, but there are {len(inputs)} inputs; give one row for "
            "each, or one for all"
        )
    declarations = declarations_of(adapter.model)
    if not takes_classes(target):
        if probabilities not in ("auto", "none"):
            raise TargetError(
                f"probabilities={probabilities!r} is about classes, but the target is {type(target).__name__}; leave "
                "it out"
            )
        names = labels_of(declarations, adapter.classes) if labels is None else label_names(labels)
        return Decided(target, names, {}, adapter)
    logits = logits_of(adapter.structure(inputs), output)
    chances = chances_of(probabilities, declarations, logits.ending)
    if needs_classifier(target):
        target = with_classifier(target, classifier_rows(adapter.model, logits))
    return Decided(
        target=ClassHead(target, chances.meaning, strict=labels is not None),
        labels=labels_of(declarations, logits.count) if labels is None else label_names(labels),
        facts={"probabilities": f"{chances.meaning or 'none'}: {chances.why}"},
        adapter=replace(adapter, classes=logits.count),  # as it was seen, not as an attribute of the model has it
    )


def stated(facts: Mapping[str, str], readout: Readout) -> dict[str, str]:
    """The facts, as far as they came true: what has no probability, such as a value, was not made one."""
    return {
        name: fact for name, fact in facts.items() if name != "probabilities" or readout.probabilities is not None
    }


def classifier_rows(model: nn.Module, logits: Logits) -> Float[Tensor, "c d"] | None:
    """The row of each class in the linear map that made the logits; None where there is not exactly one."""
    if logits.maker is None:
        return None
    weights = [
        weight.detach().flatten(1)
        for _, weight in model.get_submodule(logits.maker).named_parameters(recurse=False)
        if weight.ndim > 1 and weight.is_floating_point() and len(weight) == logits.count
    ]
    return weights[0] if len(weights) == 1 else None


def decisions_of(readout: Readout, domain: Domain = IMAGE) -> list[list[Decision]]:
    """The readout as plain numbers; read from the device once.

    Args:
        readout: what the target read.
        domain: what the input lies over; regions are lines around parts of a picture, or of a signal's strip.
    """
    regions = readout.regions
    if regions is not None:
        from sightline.reports.region import borders  # drawing is loaded where a decision has a place

        axes = {"image": 2, "spectrogram": 2, "signal": 1}.get(domain.kind)
        regions = regions.reshape(*regions.shape[:2], -1, regions.shape[-1]) if regions.ndim - 2 == axes else None

    scores = readout.scores.tolist()
    indices = None if readout.indices is None else readout.indices.tolist()
    others = None if readout.against is None else readout.against.tolist()
    chances = None if readout.probabilities is None else readout.probabilities.tolist()
    boxes = None if readout.boxes is None else [[tuple(box) for box in row] for row in readout.boxes.tolist()]
    return [
        [
            Decision(
                label=readout.labels[b][k],
                score=score,
                index=None if indices is None or indices[b][k] < 0 else indices[b][k],
                probability=None if chances is None else chances[b][k],
                against=None if others is None else others[b][k],
                box=None if boxes is None or not boxes[b][k][2] else boxes[b][k],
                region=() if regions is None else borders(regions[b, k]),
            )
            for k, score in enumerate(row)
        ]
        for b, row in enumerate(scores)
    ]
