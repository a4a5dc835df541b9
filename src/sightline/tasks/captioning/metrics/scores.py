"""What captions of a test set come to: all metrics at once, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sightline.common.statistics.bootstrap import Interval, bootstrap
from sightline.tasks.captioning.metrics.bleu import bleu
from sightline.tasks.captioning.metrics.cider import cider_d
from sightline.tasks.captioning.metrics.ngrams import Words
from sightline.tasks.captioning.metrics.rouge import rouge_l


@dataclass(frozen=True)
class CaptionScores:
    """Metrics of a set of captions. METEOR and SPICE, which need Java and downloads, are left out.

    Args:
        bleu: BLEU-1 to BLEU-4 of the set.
        rouge: ROUGE-L, with the interval over images.
        cider: CIDEr-D against the references of these images, with the interval over images.
    """

    bleu: tuple[float, ...]
    rouge: Interval
    cider: Interval

    def row(self) -> dict[str, float]:
        """Plain numbers by name."""
        names = {f"bleu{n}": value for n, value in enumerate(self.bleu, start=1)}
        return {**names, "rouge_l": self.rouge.mean, "cider_d": self.cider.mean}


def caption_scores(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> CaptionScores:
    """Score captions against the references of their images.

    Args:
        candidates: a caption for each image, as words.
        references: captions of each image by people, as words.

    Raises:
        InputError: the numbers do not fit, or an image has no reference.
    """
    each = (rouge_l(candidates, references), cider_d(candidates, references))
    rouge, cider = (bootstrap(torch.tensor(values, dtype=torch.float64)) for values in each)
    return CaptionScores(bleu(candidates, references), rouge, cider)
