"""`Explanation`: a flow, the words, the decision and its score, and where all of it came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import ResultError
from sightline.results.flow import Flow
from sightline.results.maps import AttentionMap


@dataclass(frozen=True)
class Decision:
    """What the network decided, as far as this explanation goes.

    Args:
        label: the decision in words: a class name, `"zebra rather than horse"`, ...
        score: the scalar that was explained, in the units of the model's output (a logit, a similarity).
        index: the class index where the decision is a class.
        probability: its soft-max probability where the output is a vector of class logits.
        against: index of the class that it was weighed against, where one was asked for.
    """

    label: str
    score: float
    index: int | None = None
    probability: float | None = None
    against: int | None = None


@dataclass(frozen=True, eq=False)
class Phrase:
    """A piece of the explanation in words, grounded in a map where it has one.

    Args:
        text: the words, for example `"red crown"`.
        probability: calibrated probability that it is so, if known.
        contribution: share of all that was weighed for and against the decision, if known; below zero: against it.
        map: where in the input it was read.
        box: `(x, y, width, height)` as shares of the input's width and height.
        role: "why" it speaks for the decision; "contrast": the other class has another answer; "absent": the other
            class would have it; "against": it speaks against the decision; "doubt": it is there and unusual;
            "change": with it the decision would be another. Empty where nobody says.
        energy: share of the map that lies on the object, where a mask of the object is known.
        note: what a reader has to know about it, such as "associated, not shown to cause".
        said: `(sentence, start, end)`: where in the explanation's sentences it is said.
    """

    text: str
    probability: float | None = None
    contribution: float | None = None
    map: AttentionMap | None = None
    box: tuple[float, float, float, float] | None = None
    role: str = ""
    energy: float | None = None
    note: str = ""
    said: tuple[int, int, int] | None = None


@dataclass(frozen=True, eq=False)
class Narration:
    """What a network says of one decision.

    Args:
        sentences: the explanation in words, a sentence each.
        phrases: what it names, grounded in maps.
    """

    sentences: tuple[str, ...]
    phrases: tuple[Phrase, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """On what one decision on one sample rested.

    Args:
        flow: the maps.
        decision: what was decided, and its score.
        image: the picture as the network saw it, before normalisation: `[c, h, w]` in 0..1; None if unknown.
        source: name of the sample (a file's path, say).
        phrases: what the explanation in words names, if the network was taught words.
        provenance: where all of it came from: model, method and options, versions, time.
        sentences: the explanation in words, a sentence each.
    """

    flow: Flow
    decision: Decision
    image: Float[Tensor, "c h w"] | None = None
    source: str = ""
    phrases: tuple[Phrase, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """Registry name of the method."""
        return self.flow.method

    def to(self, device: torch.device | str) -> Explanation:
        """The same explanation on another device."""
        image = None if self.image is None else self.image.to(device)
        phrases = tuple(
            replace(phrase, map=None if phrase.map is None else phrase.map.to(device)) for phrase in self.phrases
        )
        return replace(self, flow=self.flow.to(device), image=image, phrases=phrases)

    def save(self, folder: str | Path) -> Path:
        """Write arrays and then the manifest into `folder`; see `sightline.results.store`."""
        return Explanations((self,)).save(folder)

    def __repr__(self) -> str:
        chance = "" if self.decision.probability is None else f", p = {self.decision.probability:.3f}"
        where = f" on {self.source}" if self.source else ""
        sentences = " ".join(self.sentences) or "; ".join(phrase.text for phrase in self.phrases)
        words = f"\n  words: {sentences}" if sentences else ""
        head = f"Explanation({self.decision.label!r}, score {self.decision.score:.4g}{chance}{where}){words}"
        return head + "\n" + repr(self.flow)


@dataclass(frozen=True, eq=False)
class Explanations(Sequence[Explanation]):
    """What one call of `explain` returns: an explanation for every sample, target and method, in that order."""

    items: tuple[Explanation, ...]

    @overload
    def __getitem__(self, key: int) -> Explanation: ...
    @overload
    def __getitem__(self, key: slice) -> Explanations: ...
    def __getitem__(self, key: int | slice) -> Explanation | Explanations:
        return Explanations(self.items[key]) if isinstance(key, slice) else self.items[key]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.items)

    def of(self, *, method: str | None = None, label: str | None = None, source: str | None = None) -> Explanations:
        """Those of one method, decision label or source."""
        return Explanations(
            tuple(
                item
                for item in self.items
                if method in (None, item.method)
                and label in (None, item.decision.label)
                and source in (None, item.source)
            )
        )

    def one(self) -> Explanation:
        """The only explanation.

        Raises:
            ResultError: there is not exactly one.
        """
        if len(self.items) != 1:
            raise ResultError(f"one explanation was asked for, but there are {len(self.items)}; narrow by of(...)")
        return self.items[0]

    def to(self, device: torch.device | str) -> Explanations:
        """The same explanations on another device."""
        return Explanations(tuple(item.to(device) for item in self.items))

    def save(self, folder: str | Path) -> Path:
        """Write arrays and then the manifest into `folder`; returns the manifest's path."""
        from sightline.results.store import save

        return save(self, folder)

    @staticmethod
    def load(folder: str | Path) -> Explanations:
        """Read what `save` wrote."""
        from sightline.results.store import load

        return load(folder)

    def __repr__(self) -> str:
        rows = [
            f"  {item.source or '-'}: {item.decision.label!r} ({item.decision.score:.4g}) by {item.method}, "
            f"{len(item.flow)} layers"
            for item in self.items[:20]
        ]
        more = [f"  ... {len(self.items) - 20} more"] if len(self.items) > 20 else []
        return "\n".join([f"Explanations({len(self.items)})", *rows, *more])
