"""How well the audited network decides: on pictures that it did not learn from, where these are known.

Figures and what they are of, in words; it knows neither files nor pages.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from sightline.common.statistics.intervals import wilson
from sightline.tasks.attributes.audit.observed import Observations
from sightline.tasks.attributes.data import SPLITS

ORDER = ("test", "validation", "train")
"""Splits by how well they judge."""
WHAT = {
    "test": "test pictures, which it did not learn from",
    "validation": "validation pictures, which chose its epoch",
    "train": "training pictures, which it learnt from",
}
UNKNOWN = "whether it learnt from them is not known"


def judging(split: NDArray[np.int8], known: Collection[str]) -> tuple[Bool[Tensor, " n"], str]:
    """Pictures to judge a network on, and what they are.

    The best split of those that are known to be the training's; where none is, the best there is, with a doubt.

    Args:
        split: position in `SPLITS` of each picture.
        known: splits that are known to be those of the network's training.
    """
    here = [name for name in ORDER if (split == SPLITS.index(name)).any()]
    name = next((name for name in here if name in known), here[0])
    rows = torch.from_numpy(split == SPLITS.index(name))
    count = int(rows.sum())
    if name in known:
        return rows, f"{count} {WHAT[name]}"
    return rows, f"{count} {'training' if name == 'train' else name} pictures of this data; {UNKNOWN}"


def figures(observations: Observations, split: NDArray[np.int8], known: Collection[str]) -> dict[str, str]:
    """How well the network decides, as facts of the page: with what it is judged on and the simplest guess.

    Args:
        observations: what it answered.
        split: position in `SPLITS` of each picture.
        known: splits that are known to be those of the network's training.
    """
    rows, words = judging(split, known)
    if observations.label_table is None:
        return _accuracy(observations, rows, words)
    from sightline.training.labels.scores import mean_auroc

    area = float(mean_auroc(observations.class_logits[rows], observations.label_table[rows]))
    return {
        "labels": ", ".join(observations.classes),
        "mean AUROC of labels": f"{area:.3f} (0.5 by chance) on {words}",
    }


def _accuracy(observations: Observations, rows: Bool[Tensor, " n"], words: str) -> dict[str, str]:
    own = rows & (observations.labels >= 0)
    labels = observations.labels[own]
    if not len(labels):
        return {"class accuracy": f"unknown: no class of {words}"}
    right = int((observations.decided[own] == labels).sum())
    low, high = wilson(right, len(labels))
    frequent = int(labels.bincount().max())
    return {
        "class accuracy": f"{right / len(labels):.3f} ({low:.3f} to {high:.3f}) on {words}",
        "the most frequent class of these": f"{frequent / len(labels):.3f}",
    }
