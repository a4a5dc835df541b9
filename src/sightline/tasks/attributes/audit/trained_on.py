"""How the data of an audit is read: with the attributes, labels and splits that the training had.

The file of a network does not say them, and pictures that it was trained on must not count as others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.common.settings import leaves, setting
from sightline.tasks.attributes.data import AttributeData
from sightline.tasks.attributes.recipe import ReadingConfig


@dataclass(frozen=True, kw_only=True)
class TrainedOn(ReadingConfig):
    """Options of `train eat` that decide what is read."""

    PANEL = "As in its training"

    seed: int = setting(0, "Seed of the splits where the data has none: the training's.")

    def command(self) -> list[str]:
        """Words of the command line, of what is not the default."""
        words: list[str] = []
        for own, usual in zip(leaves(self), leaves(TrainedOn()), strict=True):
            if own.default != usual.default:
                value: Any = own.default
                words += [own.option, ",".join(value) if isinstance(value, tuple) else str(value)]
        return words

    def read(self, root: Path, layout: str) -> AttributeData:
        """The data of a folder.

        Raises:
            DataError: it cannot be read in this way.
            TrainingError: words are given and nothing is mined.
        """
        from sightline.tasks.attributes.data import read_attributes
        from sightline.tasks.attributes.data.lexicon import words_to_mine

        return read_attributes(
            root,
            layout=layout,
            incomplete=True,
            validation=self.validation,
            seed=self.seed,
            group_by=self.group_by,
            mined=words_to_mine(self.attributes, self.word_list),
            labels=self.labels,
            held_out=self.held_out,
        )
