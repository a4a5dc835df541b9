"""The vote of a class: attributes that most of its training pictures show, given to all its pictures.

The denoising of concept bottleneck models [koh2020concept]. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sightline.errors import DataError
from sightline.tasks.attributes.data.table import AttributeData


def majority(data: AttributeData, *, least: int = 10) -> AttributeData:
    """Give every picture the attributes that the majority of its class's training pictures have.

    A tie is a yes. "Absent" is not counted where it is unknown; "present" counts always, also where the annotator
    called it not visible. Only attributes that enough classes have are kept; numbers (ordinal, continuous) are
    averaged and kept. No group is exclusive afterwards: a vote may find two values of one, or none. With 10 classes
    this is the rule by which concept bottlenecks came from 312 attributes of CUB-200-2011 to 112.

    A network may read such attributes off the class: their accuracy says little about what it sees in a picture.

    Args:
        data: data set with labels of its single pictures.
        least: number of classes that must have an attribute.

    Raises:
        DataError: labels are of classes, or no attribute is left.
    """
    if data.several:
        raise DataError(f"a vote is of classes, but {data.root} gives each picture several labels; leave it out")
    if data.level != "image":
        raise DataError(f"a vote needs attributes of single pictures, but {data.root} gives those of classes only")
    votes = _votes(data)
    binary = np.array([word.kind == "binary" for word in data.vocabulary.attributes], bool)
    yes = np.where(np.isnan(votes), np.nan, votes >= 0.5).astype(np.float32)
    prototypes = np.where(binary, yes, data.prototypes)
    positions = np.flatnonzero(~binary | ((yes == 1).sum(0) >= least))
    if not len(positions):
        raise DataError(f"no attribute is voted present in {least} classes or more of {data.root}; ask for fewer")
    voted = replace(data, prototypes=prototypes.astype(np.float32)).only(positions).at_class_level()
    return replace(voted, vocabulary=replace(voted.vocabulary, exclusive=()))


def _votes(data: AttributeData) -> NDArray[np.float64]:
    """Share of yes per class and attribute in the training split; NaN without a vote, [c, a]."""
    rows = np.flatnonzero(data.split == 0)
    yes = data.targets[rows] >= 0.5
    counted = (data.weights[rows] > 0) | yes
    ballots, present = np.zeros((2, len(data.classes), len(data.vocabulary)))
    np.add.at(ballots, data.labels[rows], counted)
    np.add.at(present, data.labels[rows], yes)
    votes = np.full(ballots.shape, np.nan)
    np.divide(present, ballots, out=votes, where=ballots > 0)
    return votes
