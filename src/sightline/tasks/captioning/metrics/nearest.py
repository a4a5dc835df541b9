"""A control that writes nothing: the caption of the training picture that looks most like the one asked about."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as fn

from sightline.tasks.captioning.data.table import Part, Words
from sightline.tasks.captioning.metrics.cider import CiderD

BATCH = 100


@torch.inference_mode()
def nearest_captions(train: Part, held_out: Part) -> list[Words]:
    """For each held-out picture a caption of the training picture with the most similar mean features.

    Features of regions are standardised over the training pictures, averaged over each picture's regions, and
    compared by their cosine. Of the neighbour's captions it is the one that is most like its others.

    Args:
        train: pictures with captions.
        held_out: pictures to caption.
    """
    known, asked = _means(train), _means(held_out)
    centre, spread = known.mean(0), known.std(0, unbiased=False).clamp_min(1e-6)
    known, asked = (fn.normalize((own - centre) / spread, dim=1) for own in (known, asked))
    neighbours = (asked @ known.T).argmax(1).tolist()
    return [central_caption(train.sentences[row]) for row in neighbours]


def central_caption(sentences: tuple[Words, ...]) -> Words:
    """The caption of a picture that is most like its others; the first of equals.

    Example:
        >>> central_caption((("the", "cat"), ("one", "dog", "runs"), ("a", "dog", "runs")))
        ('one', 'dog', 'runs')
    """
    if len(sentences) < 3:
        return sentences[0]
    cider = CiderD([[sentence] for sentence in sentences])
    rest = [[other for k, other in enumerate(sentences) if k != i] for i in range(len(sentences))]
    scores = [cider.score(own, others) for own, others in zip(sentences, rest, strict=True)]
    return sentences[max(range(len(scores)), key=scores.__getitem__)]


def _means(part: Part) -> Float[Tensor, "p d"]:
    """Mean features of the real regions of each picture."""
    rows = []
    for _, regions in part.batches(BATCH):
        mask = torch.ones(regions.boxes.shape[:2]) if regions.mask is None else regions.mask.float()
        rows.append((regions.features * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
    return torch.cat(rows)
