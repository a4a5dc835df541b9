"""`--box`, `--segment` and `--text`: decisions that are no class of the whole picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from sightline.data.openers import Input
    from sightline.models.preprocess import Preprocess
    from sightline.targets import Target

T = TypeVar("T")


def dense_target(
    *, box: Sequence[str] | None, segment: Sequence[str] | None, text: Sequence[str] | None
) -> tuple[str, Target] | None:
    """The option that was used, and the target that it means; None where none was.

    Raises:
        typer.BadParameter: two of them were used.
        TargetError: a box is not understood.
    """
    used = [f"--{name}" for name, values in (("box", box), ("segment", segment), ("text", text)) if values]
    if not used:
        return None
    if len(used) > 1:
        raise typer.BadParameter(f"it excludes {used[1]}", param_hint=used[0])
    from sightline import targets

    if box:
        return used[0], _boxes(box)
    if segment:
        return used[0], targets.segment(segment[0] if len(segment) == 1 else list(segment))
    return used[0], targets.text(list(text or ()))


def _boxes(texts: Sequence[str]) -> Target:
    """Several boxes as one target, so that they share a forward."""
    import torch

    from sightline import targets
    from sightline.errors import TargetError

    each = [targets.box(text) for text in texts]
    if len(each) == 1:
        return each[0]
    corners = [one.boxes for one in each if one.boxes is not None]
    if len(corners) < len(each):
        raise TargetError("the detector's own detections are asked for alone; give either boxes or one 'top3'")
    classes = [name for one in each if isinstance(one.classes, tuple) for name in one.classes]
    return targets.box(torch.cat(corners), classes)


def on_photos(target: T, photos: Sequence[Input], preprocess: Preprocess) -> T | Target:
    """A target on boxes of photos in pixels of the network's input; any other as it is.

    Raises:
        TargetError: a box is not in what the network sees of a photo.
    """
    from dataclasses import replace

    import torch

    from sightline.targets import Box
    from sightline.targets.boxes import in_words

    if not isinstance(target, Box) or target.boxes is None:
        return target
    rows = []
    for photo in photos:
        size = getattr(photo, "size", None)
        boxes = target.boxes.tolist() if size is None else [preprocess.placed(b, size) for b in target.boxes.tolist()]
        rows.append(boxes)
    wording = tuple(in_words(box) for box in target.boxes.tolist())
    return replace(target, boxes=torch.tensor(rows), wording=wording)
