"""`Explanation`: a flow, the words, the decision and its score, and where all of it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.common.records import as_kind, restored
from sightline.errors import ResultError
from sightline.results.corrections import Corrections
from sightline.results.display import Pictured, Shown
from sightline.results.domains import IMAGE
from sightline.results.flow import Flow
from sightline.results.maps import AttentionMap, map_numbers, own_copy
from sightline.results.original import Original
from sightline.results.store import read_result, write_result

Strings = tuple[str, ...]
Share = float | None
CONTROLS = ("object_area", "object_others")
"""What stands beside a phrase's share on the object."""
PLAIN = (
    "text",
    "probability",
    "contribution",
    "box",
    "role",
    "energy",
    "object_area",
    "object_others",
    "note",
    "said",
)
"""Fields of a phrase that are JSON as they are."""


@dataclass(frozen=True)
class Decision:
    """What the network decided, as far as this explanation goes.

    Args:
        label: the decision in words: a class name, `"zebra rather than horse"`, ...
        score: the scalar that was explained, in the units of the model's output (a logit, a similarity).
        index: the class index where the decision is a class.
        probability: that of the class as the model means it (`explain(probabilities=...)`), where there is one.
        against: index of the class that it was weighed against, where one was asked for.
        box: the box that it is about, where it is one of a detector: `(x, y, width, height)` as shares of the input.
        region: the borders of the places that it is about, where it is one of a segmenter: closed lines of corners
            `(x, y)` as shares of the input's width and height; holes have lines of their own.
    """

    label: str
    score: float
    index: int | None = None
    probability: float | None = None
    against: int | None = None
    box: tuple[float, float, float, float] | None = None
    region: tuple[tuple[tuple[float, float], ...], ...] = ()


@dataclass(frozen=True, eq=False)
class Phrase:
    """A piece of the explanation in words, grounded in a map where it has one.

    Args:
        text: the words, for example `"red crown"`.
        probability: calibrated probability that it is so, if known.
        contribution: share of all evidence for and against the decision, if known; below zero: against it.
        map: where in the input it was read.
        box: `(x, y, width, height)` as shares of the input's width and height.
        role: "why" it speaks for the decision; "contrast": the other class has another answer; "absent": the other
            class would have it; "against": it speaks against the decision; "doubt": it is there and unusual;
            "change": with it the decision would be another; "typical": usual for the class, not seen in the picture;
            "unproven": read by a model whose readings were never compared with controls. Empty if not given.
        energy: share of the map that lies on the object, where a mask of the object is known.
        object_area: a control of `energy`: share of the picture that is the object, which an even map has on it.
        object_others: a control of `energy`: the share on it of the mean map of all phrases of the other pictures,
            where several were explained together.
        note: what a reader has to know about it, such as "associated, not shown to cause".
        said: `(sentence, start, end)`: where it stands in the explanation's sentences.
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
    object_area: float | None = None
    object_others: float | None = None

    def record(self, key: str, arrays: dict[str, Tensor]) -> dict[str, Any]:
        """The phrase as the manifest of a saved result has it; its map's values go into `arrays` under `key`."""
        plain = {name: getattr(self, name) for name in PLAIN}
        return {**plain, "map": None if self.map is None else self.map.record(key, arrays)}

    @classmethod
    def restore(cls, record: dict[str, Any], arrays: Mapping[str, Tensor], sentences: tuple[str, ...]) -> Phrase:
        """The phrase of a record; what the first schema does not have stays at its default.

        Raises:
            ValueError: it is damaged, or points to a sentence that does not exist.
            KeyError: it has no map or no control, not even an empty one.
        """
        plain = {name: value for name, value in record.items() if name not in ("map", *CONTROLS)}
        map_ = None if record["map"] is None else AttentionMap.restore(record["map"], arrays)
        controls = {name: as_kind(Share, record[name], name) for name in CONTROLS}
        phrase = restored(cls, plain, map=map_, **controls)
        if phrase.said is not None:
            at, start, end = phrase.said
            if not 0 <= at < len(sentences) or not 0 <= start <= end <= len(sentences[at]):
                raise ValueError(f"the phrase {phrase.text!r} points to a sentence that does not exist")
        return phrase


@dataclass(frozen=True, eq=False)
class Narration:
    """What a network says of one decision.

    Args:
        sentences: the explanation in words, a sentence each.
        phrases: what it names, grounded in maps.
        corrections: what the class would be with other attributes, where they alone decide it.
    """

    sentences: tuple[str, ...]
    phrases: tuple[Phrase, ...]
    corrections: Corrections | None = None


@dataclass(frozen=True, eq=False)
class Explanation(Pictured):
    """What one decision on one sample was based on.

    Args:
        flow: the maps.
        decision: what was decided, and its score.
        image: what the network saw, before normalisation; a picture `[c, h, w]` in 0..1, a signal `[c, t]` in its own
            units, a volume `[c, z, h, w]` or a clip `[c, t, h, w]`; None if unknown.
        source: name of the sample (a file's path, say).
        phrases: what the explanation in words names, if the network was taught words.
        provenance: where all of it came from: model, method and options, versions, time.
        sentences: the explanation in words, a sentence each.
        rate: samples of a signal, or frames of a clip, in a second; None if unknown.
        original: the photo in its own resolution, where it is known.
        corrections: what the class would be with other attributes, where they alone decide it.
    """

    flow: Flow
    decision: Decision
    image: Float[Tensor, "c ..."] | None = None
    source: str = ""
    phrases: tuple[Phrase, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()
    rate: float | None = None
    original: Original | None = None
    corrections: Corrections | None = None

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
        return save((self,), folder)

    def record(self, key: str, arrays: dict[str, Tensor]) -> dict[str, Any]:
        """The explanation as the manifest of a saved result has it; its tensors go into `arrays` under `key`."""
        if self.image is not None:
            arrays[f"{key}.image"] = own_copy(self.image)
        return {
            "key": key,
            "source": self.source,
            "method": self.method,
            "remarks": list(self.flow.remarks),
            "decision": vars(self.decision),
            "image": self.image is not None,
            "maps": [map_.record(f"{key}.map.{number}", arrays) for number, map_ in enumerate(self.flow.maps)],
            "phrases": [phrase.record(f"{key}.phrase.{n}", arrays) for n, phrase in enumerate(self.phrases)],
            "sentences": list(self.sentences),
            "provenance": self.provenance,
            "rate": self.rate,
            "original": None if self.original is None else self.original.record(arrays),
            "corrections": None if self.corrections is None else self.corrections.record(),
        }

    @classmethod
    def restore(cls, record: dict[str, Any], arrays: Mapping[str, Tensor]) -> Explanation:
        """The explanation of a record; an older schema has no sentences and no remarks.

        Raises:
            ValueError, KeyError, ResultError: the record or its arrays are damaged.
        """
        maps = tuple(AttentionMap.restore(entry, arrays) for entry in record["maps"])
        sentences = as_kind(Strings, record.get("sentences", ()), "sentences")
        remarks = as_kind(Strings, record.get("remarks", ()), "remarks")
        return cls(
            flow=Flow(maps, as_kind(str, record["method"], "method"), remarks),
            decision=restored(Decision, record["decision"]),
            image=_image(arrays[f"{record['key']}.image"], maps) if as_kind(bool, record["image"], "image") else None,
            source=as_kind(str, record["source"], "source"),
            phrases=tuple(Phrase.restore(entry, arrays, sentences) for entry in record["phrases"]),
            provenance=as_kind(dict[str, Any], record["provenance"], "provenance"),
            sentences=sentences,
            rate=_rate(record["rate"]),
            original=Original.restore(record["original"], arrays),
            corrections=Corrections.restore(record["corrections"]),
        )

    def __repr__(self) -> str:
        chance = "" if self.decision.probability is None else f", p = {self.decision.probability:.3f}"
        where = f" on {self.source}" if self.source else ""
        sentences = " ".join(self.sentences) or "; ".join(phrase.text for phrase in self.phrases)
        words = f"\n  words: {sentences}" if sentences else ""
        head = f"Explanation({self.decision.label!r}, score {self.decision.score:.4g}{chance}{where}){words}"
        return head + "\n" + repr(self.flow)


@dataclass(frozen=True, eq=False)
class Explanations(Sequence[Explanation], Shown):
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
        return save(self, folder)

    @staticmethod
    def load(folder: str | Path) -> Explanations:
        """Read what `save` wrote."""
        return load(folder)

    def __repr__(self) -> str:
        rows = [
            f"  {item.source or '-'}: {item.decision.label!r} ({item.decision.score:.4g}) by {item.method}, "
            f"{len(item.flow)} layers"
            for item in self.items[:20]
        ]
        more = [f"  ... {len(self.items) - 20} more"] if len(self.items) > 20 else []
        return "\n".join([f"Explanations({len(self.items)})", *rows, *more])


def save(explanations: Iterable[Explanation], folder: str | Path) -> Path:
    """Write explanations into a folder, atomically; an older result there stays until the new one is whole.

    Args:
        explanations: what to write.
        folder: made if it does not exist.

    Returns:
        The manifest's path.

    Raises:
        ResultError: the folder cannot be written.
    """
    arrays: dict[str, Tensor] = {}
    records = [item.record(f"{number}", arrays) for number, item in enumerate(explanations)]
    return write_result(folder, records, arrays)


def load(folder: str | Path) -> Explanations:
    """Read a folder that `save` wrote.

    Raises:
        ResultError: it is missing, unfinished, damaged or of another schema.
    """
    return Explanations(read_result(folder, Explanation.restore))


def _image(image: Tensor, maps: Sequence[AttentionMap]) -> Tensor:
    """A picture of one or three channels, or what the maps lie over, of any number of them."""
    axes = next((map_.domain.axes for map_ in maps if map_.domain.over_places), IMAGE.axes)
    if image.ndim != 1 + len(axes) or not image.numel() or (axes == IMAGE.axes and image.shape[0] not in (1, 3)):
        names = "height and width" if axes == IMAGE.axes else " and ".join(axes)
        raise ValueError(f"its picture has the shape {tuple(image.shape)}, not channels, {names}")
    return map_numbers(image, "image")


def _rate(rate: object) -> float | None:
    """Samples a second, above zero."""
    if rate is None:
        return None
    value = float(as_kind(float, rate, "rate"))
    if not 0.0 < value < float("inf"):
        raise ValueError(f"its rate is {value} samples a second")
    return value
