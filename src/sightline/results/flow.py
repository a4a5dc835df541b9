"""`Flow`: the maps of one decision at every layer, in forward order and keyed by layer name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch

from sightline.errors import ResultError, near
from sightline.results.display import Pictured
from sightline.results.maps import AttentionMap, Status


@dataclass(frozen=True, eq=False)
class Flow(Mapping[str, AttentionMap], Pictured):
    """Maps of one decision, one per layer, in the order in which the network computes them.

    Args:
        maps: one map per layer; layer names do not repeat.
        method: registry name of the method that made them.
        remarks: what the method says of this flow, in sentences.

    Raises:
        ResultError: two maps carry the same layer name.

    Example:
        >>> from sightline.results import AttentionMap
        >>> flow = Flow((AttentionMap(torch.eye(2), "early"), AttentionMap(torch.eye(3), "late")), "gradcam")
        >>> flow.layers
        ('early', 'late')
        >>> flow[-1].shape
        (3, 3)
    """

    maps: tuple[AttentionMap, ...]
    method: str
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.layers)) != len(self.maps):
            raise ResultError(f"layer names of a flow must differ; got {', '.join(self.layers)}")

    @property
    def layers(self) -> tuple[str, ...]:
        """Layer names in forward order."""
        return tuple(map_.layer for map_ in self.maps)

    @property
    def main(self) -> AttentionMap:
        """The map that stands for the flow where one picture or sentence is shown.

        Of the maps with evidence: the middle one where the method hands the score down through all layers, so that
        its maps note what they carry (LRP, NAFlow) - there more of the evidence lies on the object than at the last
        layer, see the study of evidence -, else the last one.

        Raises:
            ResultError: the flow holds no maps.
        """
        if not self.maps:
            raise ResultError("this flow holds no maps, so none of them can be shown")
        maps = [map_ for map_ in self.maps if map_.status is Status.OK and bool((map_.values > 0).any())]
        maps = maps or list(self.maps)
        return maps[(len(maps) - 1) // 2] if all("carried" in map_.notes for map_ in maps) else maps[-1]

    @property
    def statuses(self) -> dict[str, Status]:
        """Status of each layer's map."""
        return {map_.layer: map_.status for map_ in self.maps}

    def __getitem__(self, key: str | int) -> AttentionMap:
        if isinstance(key, int):
            return self.maps[key]
        for map_ in self.maps:
            if map_.layer == key:
                return map_
        raise ResultError(f"this flow has no layer {key!r}; {near(key, self.layers)}")

    def __contains__(self, key: object) -> bool:
        return key in self.layers

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.maps)

    def to(self, device: torch.device | str) -> Flow:
        """The same flow on another device."""
        return replace(self, maps=tuple(map_.to(device) for map_ in self.maps))

    def __repr__(self) -> str:
        head = f"Flow({self.method}, {len(self)} layers)"
        if len(self) <= 24:
            shown = [f"  {map_!r}" for map_ in self.maps]
        else:
            shown = [f"  {map_!r}" for map_ in (*self.maps[:11], *self.maps[-11:])]
            shown.insert(11, f"  ... {len(self) - 22} more ...")
        return "\n".join([head, *shown])
