"""What goes into the network: photos as it preprocesses them, frames likewise, signals and volumes as they are.

It knows nothing of what is explained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.common.records import as_kind
from sightline.data.arrays import Sampled
from sightline.data.clips import Clip
from sightline.data.photos import SUFFIXES
from sightline.results.domains import DomainKind

if TYPE_CHECKING:
    from sightline.data.openers import Input
    from sightline.models.load import LoadedModel
    from sightline.models.preprocess import Prepared

PICTURES = ("torchvision:", "timm:", "imagenet")
"""Origins whose networks of the catalogue take pictures and nothing else."""


def all_photos(files: Sequence[Path]) -> bool:
    """Whether all that is explained are photos, as far as their names say it."""
    return all(file.suffix.lower() in SUFFIXES and not file.is_dir() for file in files)


def prepared(photo: Input, loaded: LoadedModel) -> Prepared:
    """One input prepared for the network: `[c, h, w]`, `[c, t]`, `[c, z, h, w]` or `[c, t, h, w]`.

    Raises:
        InputError: the network takes pictures, and this is none.
    """
    import torch

    from sightline.models.preprocess import Prepared

    if not isinstance(photo, Sampled | Clip) or loaded.name.startswith(PICTURES):
        return loaded.preprocess(photo)
    if isinstance(photo, Sampled):
        values = torch.from_numpy(photo.values)
        return Prepared(values, values)
    frames = [loaded.preprocess(frame) for frame in photo.frames]
    return Prepared(torch.stack([one.view for one in frames], 1), torch.stack([one.inputs for one in frames], 1))


def domain_of(photo: Input) -> DomainKind | None:
    """What a map of it lies over, where the network alone does not say it."""
    kind: DomainKind = as_kind(DomainKind, photo.domain, "domain")
    return kind if isinstance(photo, Sampled | Clip) else None


def rate_of(photo: Input) -> float | None:
    """Samples or frames a second, where the file says it."""
    return photo.rate if isinstance(photo, Sampled | Clip) else None


def alike(photos: Sequence[Input], ready: Sequence[Prepared]) -> Iterator[tuple[list[Input], list[Prepared]]]:
    """The inputs in groups that can go through the network together: of one domain and one size."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, (photo, one) in enumerate(zip(photos, ready, strict=True)):
        groups.setdefault((photo.domain, *one.inputs.shape), []).append(place)
    for places in groups.values():
        yield [photos[place] for place in places], [ready[place] for place in places]
