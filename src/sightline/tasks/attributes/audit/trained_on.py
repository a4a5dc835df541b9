"""How the data of an audit is read: with the attributes, labels and splits that the training had.

The network's file says them; what is asked on the command line wins. Pictures that it learnt from must not count as
others, so it is looked at whether the splits are the training's.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.common.settings import flat, leaves
from sightline.tasks.attributes.data import SPLITS, AttributeData
from sightline.tasks.attributes.data.kept_reading import KeptReading, SplitConfig, digests
from sightline.tasks.attributes.data.lexicon import Lexicon

UNSAID = (
    "the network's file does not say how its training read the data, as older files do not: repeat its --attributes, "
    "--word-list, --group-by, --label-columns, --seed and shares, or pictures that it learnt from count as others"
)

IN_MEMORY = (
    "the network learnt from scenes drawn in memory; whether pictures of this data are among them is not known"
)


@dataclass(frozen=True, kw_only=True)
class TrainedOn(SplitConfig):
    """Options of `train eat` that decide what is read."""

    PANEL = "As in its training (by default as the network's file says)"

    def read(self, root: Path, layout: str, words: Lexicon | None = None) -> AttributeData:
        """The data of a folder.

        Args:
            root: the folder.
            layout: as `read_attributes` takes it.
            words: words to mine by, instead of those that the options name.

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
            mined=words or words_to_mine(self.attributes, self.word_list),
            labels=self.labels,
            held_out=self.held_out,
        )


@dataclass(frozen=True)
class DataReading:
    """How the data of an audit is read.

    Args:
        options: what is read, once what was asked has won over what the file says.
        kept: what the network's file says; None where it says nothing.
        words: words of the file to mine by; None where the options say by which.
    """

    options: TrainedOn
    kept: KeptReading | None = None
    words: Lexicon | None = None

    @classmethod
    def of(cls, asked: TrainedOn, names: Collection[str], kept: KeptReading | None) -> DataReading:
        """What was asked, and for the rest what the network's file says.

        Args:
            asked: options of the command line.
            names: names of those that were given there.
            kept: what the network's file says.
        """
        if kept is None:
            return cls(asked)
        own = {name: value for name, value in flat(asked).items() if name in names}
        if own.get("attributes", kept.options.attributes) != "mined":
            own.setdefault("word_list", None)  # the file's words are of mined attributes
        options = TrainedOn(**flat(kept.options)).but(**own)
        words = None if "word_list" in own or options.attributes != "mined" else kept.words
        return cls(options, kept, words)

    def read(self, root: Path, layout: str) -> AttributeData:
        """The data of a folder; see `TrainedOn.read`."""
        return self.options.read(root, layout, self.words)

    def command(self) -> list[str]:
        """Words of the command line, of what the network's file does not say."""
        return _words(self.options, SplitConfig() if self.kept is None else self.kept.options)

    def described(self) -> str:
        """What was taken from the network's file, and what was asked instead, in a sentence; empty without either."""
        if self.kept is None:
            return ""
        taken = " ".join(_words(self.options, SplitConfig(), but=self.command()[::2]))
        asked = " ".join(self.command())
        text = f"the data is read as in the network's training, which its file says: {taken or 'the default options'}"
        return text + (f"; asked instead: {asked}" if asked else "")

    def same_splits(self, data: AttributeData) -> frozenset[str]:
        """The splits whose pictures are those of the same split of the training.

        Args:
            data: as `read` read it.
        """
        known = {} if self.kept is None else self.kept.pictures
        same = {name for name, own in digests(data).items() if known.get(name) == own}
        if known and set(known) - {"test"} <= same:
            same.add("test")  # of whatever else lies there nothing was learnt
        return frozenset(same)

    def doubts(self, data: AttributeData) -> tuple[str, ...]:
        """Why it is not known which pictures the network learnt from; nothing where it is.

        Args:
            data: as `read` read it.
        """
        if self.kept is None:
            return (UNSAID,)
        if not self.kept.pictures:
            return (IN_MEMORY,)
        other = [name for name in SPLITS if name in digests(data) and name not in self.same_splits(data)]
        if not other:
            return ()
        return (
            f"the {' and '.join(other)} pictures of this data are not those of the network's training, so which of "
            "them it learnt from is not known; audit the data that it was trained on, read in the same way",
        )


def _words(options: SplitConfig, usual: SplitConfig, but: Collection[str] = ()) -> list[str]:
    """Options that are not as usual, as the command line takes them."""
    words: list[str] = []
    for own, other in zip(leaves(options), leaves(usual), strict=True):
        if own.default != other.default and own.default is not None and own.option not in but:
            value: Any = own.default
            words += [own.option, ",".join(value) if isinstance(value, tuple) else str(value)]
    return words
