"""Correct an attribute and see the decision change: exact where the class is decided by attributes alone.

With s = V a + c a changed a' gives s + V (a' - a); nothing else of the picture takes part. Registers itself with the
api, which knows nothing of attributes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.api.intervention import INTERVENTIONS
from sightline.common.modes import leave_as_found
from sightline.errors import TargetError, near
from sightline.results import Corrections, Question
from sightline.tasks.attributes.data import Vocabulary
from sightline.tasks.attributes.explain.speaking import PictureOutput
from sightline.tasks.attributes.network.labelled import LabelledAttributeNet
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.training.labels.words import decimal
from sightline.training.operating import OperatingPoint

YES, NO = ("yes", "1", "present"), ("no", "0", "absent")
MOST = 100_000
"""Most weights of a class head that a page carries: 200 classes with 312 attributes have 62,400."""
WHY = {
    "parallel": "its class does not use the attributes at all",
    "fusion": "attributes decide only a part of its class; the other part are features without a name",
}


@INTERVENTIONS.register("attributes")
def intervene(model: nn.Module, inputs: Float[Tensor, "1 c h w"], changes: Sequence[str]) -> str | None:
    """What the class becomes with other attributes.

    Args:
        model: any network.
        inputs: the picture.
        changes: `bill colour=red` for a choice, `horns=yes` or `horns=no` for an attribute that stands alone.

    Returns:
        A sentence; None where the network has no attributes.

    Raises:
        TargetError: the decision does not go through attributes alone, or a change is not understood.
    """
    if not isinstance(model, AttributeNet):
        return None
    join, decide = model.spec.join, model.class_head.of_attributes
    if join != "bottleneck" or decide is None:
        raise TargetError(
            f"--set {changes[0]}: this network's join is {join!r}, and {WHY[join]}, so a changed attribute would not "
            "give the decision that it would make; train with --join bottleneck"
        )
    with leave_as_found(model), torch.no_grad():
        output = model.read(inputs.to(decide.weight.device))
        before, a = output.classes[0], output.probabilities[0]
        changed = with_changes(a, model.spec.vocabulary, changes)
        after = before + nn.functional.linear(changed - a, decide.weight)
    if isinstance(model, LabelledAttributeNet):
        return f"With {', '.join(changes)}: {_labels_become(before, after, model.points)}."
    return f"With {', '.join(changes)} {_becomes(before, after, model.labels)}."


def corrections(model: nn.Module, output: PictureOutput) -> Corrections | None:
    """What a page needs to correct attributes and work the decision out; None where they do not decide it alone.

    Args:
        model: any network.
        output: what it said of the picture.
    """
    if not isinstance(model, AttributeNet) or model.spec.join != "bottleneck":
        return None
    decide = getattr(model.class_head, "of_attributes", None)
    if decide is None or decide.weight.numel() > MOST or not bool(torch.isfinite(output.scores).all()):
        return None
    words, weights, shares = model.spec.vocabulary, decide.weight.detach().cpu(), output.probabilities.cpu()
    questions = tuple(
        Question(
            plain(group.name),
            group.exclusive,
            tuple(plain(words.attributes[at].value) for at in group.members),
            tuple(round(float(shares[at]), 5) for at in group.members),
            tuple(_brief(weights[:, at]) for at in group.members),
        )
        for group in words.groups
    )
    points = model.points if isinstance(model, LabelledAttributeNet) else ()
    thresholds = tuple(point.threshold for point in points) or None
    return Corrections(tuple(model.labels), _brief(output.scores.cpu()), questions, thresholds)


def _brief(values: Tensor) -> tuple[float, ...]:
    """Numbers with five digits: a page carries many of them."""
    return tuple(float(f"{value:.5g}") for value in values.tolist())


def with_changes(a: Float[Tensor, "k"], words: Vocabulary, changes: Sequence[str]) -> Float[Tensor, "k"]:
    """Attributes with some set: a value of a choice to 1 and its others to 0, a single attribute to 1 or 0.

    Args:
        a: probabilities as the class head reads them.
        words: the vocabulary.
        changes: `name=value`.

    Raises:
        TargetError: there is no such name or value, or a choice is set twice.
    """
    out, taken = a.clone(), set[int]()
    for change in changes:
        name, _, value = change.partition("=")
        for at, share in _settings(words, name, value, change):
            if at in taken:
                raise TargetError(f"--set {change}: {name.strip()!r} is set twice; give it once")
            taken.add(at)
            out[at] = share
    return out


def _settings(words: Vocabulary, name: str, value: str, change: str) -> list[tuple[int, float]]:
    """Which attributes become what."""
    if not value.strip():
        raise TargetError(f"--set {change}: write NAME=VALUE, such as 'bill colour=red' or 'horns=no'")
    groups = {plain(group.name): group for group in words.groups}
    singles = {plain(name): at for at, name in enumerate(words.names)}
    wanted, answer = plain(name), plain(value)
    if answer in (*YES, *NO) and wanted in singles and not words.groups[words.group_of[singles[wanted]]].exclusive:
        return [(singles[wanted], float(answer in YES))]
    if wanted not in groups:
        raise TargetError(
            f"--set {change}: there is no attribute {name.strip()!r}; {near(wanted, [*groups, *singles])}"
        )
    group = groups[wanted]
    values = {plain(words.attributes[at].value): at for at in group.members}
    if answer not in values:
        raise TargetError(f"--set {change}: {name.strip()!r} has no value {value.strip()!r}; {near(answer, values)}")
    if group.exclusive:
        return [(at, float(at == values[answer])) for at in group.members]
    return [(values[answer], 1.0)]


def plain(name: str) -> str:
    """A name as people write it: `has_bill_color` and `Bill colour` are the same.

    Example:
        >>> plain("has_bill_color"), plain("Bill colour")
        ('bill color', 'bill color')
    """
    words = (
        name.strip().lower().replace("::", " ").replace("_", " ").replace("colour", "color").replace("grey", "gray")
    )
    return words.removeprefix("has ")


def _labels_become(before: Tensor, after: Tensor, points: Sequence[OperatingPoint]) -> str:
    """Which labels cross their thresholds, with their probabilities after and before."""
    now, then = (scores.double().sigmoid().tolist() for scores in (after, before))
    crossed = [
        f"{point.label} {'is flagged' if one >= point.threshold else 'is no longer flagged'} ({decimal(one)}, before "
        f"{decimal(other)}; threshold {decimal(point.threshold)})"
        for point, one, other in zip(points, now, then, strict=True)
        if (one >= point.threshold) != (other >= point.threshold)
    ]
    if crossed:
        return "; ".join(crossed)
    at = max(range(len(points)), key=lambda row: abs(now[row] - then[row]))
    return f"no label crosses its threshold; {points[at].label} moves most, from {then[at]:.2f} to {now[at]:.2f}"


def _becomes(before: Tensor, after: Tensor, labels: Sequence[str]) -> str:
    """The class on top with its probability, after and before."""
    now, then = (scores.float().softmax(0) for scores in (after, before))
    top, former = int(now.argmax()), int(then.argmax())
    if top == former:
        return f"the decision stays {labels[top]}, {float(now[top]):.2f} instead of {float(then[top]):.2f}"
    return (
        f"the decision becomes {labels[top]} {float(now[top]):.2f}, from {labels[former]} {float(then[former]):.2f}"
    )
