"""Training pictures that are put aside, so that they rather than the test pictures choose the epoch that is kept."""

from __future__ import annotations

from dataclasses import replace

import torch

from sightline.data.grouped import stratified_groups
from sightline.tasks.classification.data.pictures import Pictures

TOO_FEW = "too few training pictures to put some of each class aside: the last epoch is kept"


def with_validation(pictures: Pictures, share: float) -> Pictures:
    """The pictures with a share of each class's training pictures put aside as `val`.

    Which depends on their names alone; groups stay whole, and every class keeps a picture to learn from.

    Args:
        pictures: without a validation part.
        share: share of each class's training pictures.

    Example:
        >>> from sightline.tasks.classification.data.pictures import Pictures
        >>> rows, bytes_of_images = torch.arange(12), torch.zeros(12, 3, 4, 4, dtype=torch.uint8)
        >>> whole = Pictures(bytes_of_images, rows % 2, rows[:10], rows[10:], ("a", "b"), (0.5,), (0.2,), "twelve")
        >>> len(with_validation(whole, 0.2).val), len(with_validation(whole, 0.2).train)
        (2, 8)
    """
    rows = pictures.train.tolist()
    names = [pictures.keys[row] if pictures.keys else str(row) for row in rows]
    aside = [False] * len(rows)
    if len(set(names)) > 1:
        labels = [[int(pictures.labels[row])] for row in rows]
        aside = stratified_groups(names, labels, share, key="val")
    if not any(aside):
        return replace(pictures, notes=(*pictures.notes, TOO_FEW))
    chosen = torch.tensor(aside)
    note = f"{sum(aside)} of {len(rows)} training pictures are put aside to choose the epoch that is kept"
    return replace(pictures, train=pictures.train[~chosen], val=pictures.train[chosen], notes=(*pictures.notes, note))
