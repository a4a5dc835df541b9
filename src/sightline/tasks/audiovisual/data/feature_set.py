"""Clips as frozen features, to learn events from: AVE's HDF5 files, or a folder of files with a list of labels.

Clips that are shorter than the longest are filled up and masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.errors import DataError
from sightline.tasks.audiovisual.data.features import CLASSES, read_ave_features, read_order

AVE = "audio_feature.h5"
"""The file by which a folder of AVE is known."""


@dataclass(frozen=True)
class FeatureFacts:
    """What made the features; empty where that is not known.

    Args:
        encoder: name of the model of the pictures.
        layer: layer whose output they are.
        pixels: sides of the model's input, height and width.
        seconds: length of a segment.
        drawn: whether the clips are drawn scenes.
    """

    encoder: str = ""
    layer: str = ""
    pixels: tuple[int, int] = (0, 0)
    seconds: float = 1.0
    drawn: bool = False


@dataclass(frozen=True, eq=False)
class FeatureClips:
    """Some clips.

    Args:
        pictures: features of the places of every frame.
        sounds: features of every segment, or its spectrogram `[n, s, m, f]`.
        labels: 1 for the events of a clip.
        pictured: which frames are there.
        audible: which segments are there.
        spans: segments with the event, where its times are known; nowhere else.
    """

    pictures: Float[Tensor, "n t y x d"]
    sounds: Float[Tensor, "n s *d"]
    labels: Float[Tensor, "n k"]
    pictured: Bool[Tensor, "n t"]
    audible: Bool[Tensor, "n s"]
    spans: Bool[Tensor, "n s"]

    def __len__(self) -> int:
        """Clips."""
        return len(self.labels)

    def rows(self, chosen: Tensor) -> FeatureClips:
        """Some of them."""
        return FeatureClips(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What a batch is made of."""
        return self.pictures, self.sounds, self.labels, self.pictured, self.audible


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Clips to learn from and clips to measure on.

    Args:
        classes: names of the events.
        train: to learn from.
        held: to measure on.
        multi: whether a clip may have several events.
        facts: what made the features.
        notes: what was left out, in words.
    """

    classes: tuple[str, ...]
    train: FeatureClips
    held: FeatureClips
    multi: bool = False
    facts: FeatureFacts = FeatureFacts()
    notes: tuple[str, ...] = ()


def read_feature_set(folder: str | Path, *, seed: int = 0) -> FeatureSet:
    """Read a folder of features.

    Args:
        folder: with `labels.csv`, or with AVE's HDF5 files.
        seed: which fifth of the clips is measured on where no split is named.

    Raises:
        DataError: files are missing or damaged, do not fit one another, or there is nothing to learn.
    """
    folder = Path(folder)
    from sightline.tasks.audiovisual.data.feature_folder import read_folder

    whole = _ave(folder) if (folder / AVE).is_file() else read_folder(folder)
    return _checked(whole, folder, seed)


@dataclass(frozen=True, eq=False)
class AllClips:
    """All clips before they are split; `held` is None where the list names no split."""

    classes: tuple[str, ...]
    clips: FeatureClips
    held: Bool[Tensor, " n"] | None
    facts: FeatureFacts
    notes: tuple[str, ...] = ()


def _checked(whole: AllClips, folder: Path, seed: int) -> FeatureSet:
    counts = whole.clips.labels.sum(0)
    if int((counts > 0).sum()) < 2:
        raise DataError(
            f"the clips of {str(folder)!r} have {int((counts > 0).sum())} events besides background, so there is "
            "nothing to tell apart; name features of two events or more"
        )
    held = whole.held
    if held is None:
        order = torch.randperm(len(whole.clips), generator=torch.Generator().manual_seed(seed))
        held = torch.zeros(len(whole.clips), dtype=torch.bool)
        held[order[: max(1, len(order) // 5)]] = True
    if bool(held.all()) or not bool(held.any()):
        reason = "".join(f" ({note})" for note in whole.notes)
        raise DataError(
            f"the split of {str(folder)!r} leaves no clips to learn from or to measure on{reason}; name both"
        )
    train, test = (whole.clips.rows(mask.nonzero()[:, 0]) for mask in (~held, held))
    pairs = zip(whole.classes, train.labels.sum(0).tolist(), test.labels.sum(0).tolist(), strict=True)
    alone = [name for name, learned, measured in pairs if measured and not learned]
    if alone:
        raise DataError(f"no clip to learn from has {alone[0]!r}, but one to measure on has; correct the split")
    multi = bool((whole.clips.labels.sum(1) > 1).any())
    return FeatureSet(whole.classes, train, test, multi, whole.facts, whole.notes)


def _ave(folder: Path) -> AllClips:
    """AVE's files: a clip's event is the one most of its seconds have, if any."""
    for name in ("visual_feature.h5", "labels.h5"):
        if not (folder / name).is_file():
            raise DataError(f"{str(folder)!r} has {AVE} and no {name}; put AVE's files side by side")
    features = read_ave_features(folder / AVE, folder / "labels.h5", picture=folder / "visual_feature.h5")
    if features.picture is None or features.picture.ndim != 5 or features.sound.ndim != 3:
        raise DataError(f"the features of {str(folder)!r} are not [n, t, d] and [n, t, y, x, d]; name AVE's files")
    known = torch.from_numpy(features.labels)
    seconds = features.sound.shape[1]
    if known.ndim == 3 and known.shape[1] != seconds:
        raise DataError(
            f"the labels of {str(folder)!r} are of {known.shape[1]} seconds, and its features of {seconds}; they are "
            "not of the same clips"
        )
    each = known if known.ndim == 3 else known[:, None]
    sums = each[..., : CLASSES - 1].sum(1)
    labels = torch.zeros_like(sums).scatter_(1, sums.argmax(1, keepdim=True), 1.0) * (sums.sum(1, keepdim=True) > 0)
    spans = (
        (each[..., :-1] * labels[:, None]).sum(2) > 0 if known.ndim == 3 else torch.zeros(len(labels), seconds) > 0
    )
    here = torch.ones(len(labels), seconds, dtype=torch.bool)
    clips = FeatureClips(
        torch.from_numpy(features.picture), torch.from_numpy(features.sound), labels, here, here, spans
    )
    return AllClips(_ave_names(folder), clips, _ave_split(folder, len(labels)), FeatureFacts())


def _ave_names(folder: Path) -> tuple[str, ...]:
    path = folder / "classes.txt"
    names = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
    names = [name.strip() for name in names if name.strip()][: CLASSES - 1]
    return tuple(names) if len(names) == CLASSES - 1 else tuple(f"event {n}" for n in range(CLASSES - 1))


def _ave_split(folder: Path, count: int) -> Bool[Tensor, " n"] | None:
    """Clips of the test order, or of the validation order; None where there is neither file."""
    for name in ("test_order.h5", "val_order.h5"):
        if (folder / name).is_file():
            rows = read_order(folder / name, count)
            held = torch.zeros(count, dtype=torch.bool)
            held[torch.from_numpy(rows)] = True
            return held
    return None
