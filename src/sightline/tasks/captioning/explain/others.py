"""The page of a caption for captioners of others: each word has an explanation, whose map's cells are the regions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as fn

from sightline.errors import InputError
from sightline.results.explanation import Explanation
from sightline.tasks.captioning.explain.caption import Caption, sink_note
from sightline.tasks.captioning.explain.methods import common_regions
from sightline.tasks.captioning.network.geometry import grid_boxes

FINEST = 16
"""Most cells along a side; finer maps, such as those of pixels, are averaged."""


def caption_of(items: Sequence[Explanation], words: Sequence[str]) -> Caption:
    """A caption of any image-to-text model, for `write_page`.

    Args:
        items: for each word what `explain(..., target=targets.token(k))` gave; the last map of each flow is taken.
        words: the words as they are to be read.

    Returns:
        The caption; its log-probabilities are the scores of the explanations. Cells that all words weigh far above an
        even share are its sinks.

    Raises:
        InputError: words and explanations are not equally many, or a map lies over something other than a picture.
    """
    if len(items) != len(words) or not words:
        raise InputError(f"{len(items)} explanations came for {len(words)} words; each word needs one")
    rows = []
    for item in items:
        values = item.flow.main.values
        if values.ndim != 2 or values.shape != items[0].flow.main.values.shape:
            raise InputError(
                f"the map of {item.decision.label!r} has the shape {tuple(values.shape)}; each word needs a map over "
                "the picture, all of one size"
            )
        height, width = (min(FINEST, side) for side in values.shape)
        rows.append(fn.adaptive_avg_pool2d(values.detach().float().cpu()[None], (height, width))[0])
    weights = torch.stack(rows).nan_to_num()
    positive = weights.flatten(1).clamp_min(0)
    shares = positive / positive.sum(1, keepdim=True).clamp_min(1e-12)
    sinks = tuple(common_regions(shares)) if len(words) > 1 else ()  # one word has none in common with others
    boxes = grid_boxes(*weights.shape[1:])
    logs = tuple(float(item.decision.score) for item in items)
    return Caption(
        tuple(words),
        logs,
        0.0,
        tuple(map(tuple, weights.flatten(1).tolist())),
        tuple(map(tuple, boxes.tolist())),
        items[0].method,
        sinks,
        (sink_note(sinks),) if sinks else (),
    )
