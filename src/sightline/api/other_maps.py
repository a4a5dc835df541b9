"""The control of a share on the object: what the maps of the other pictures have there. It must not know a model.

Objects mostly lie in the middle, where many maps are high. An even map does not show that; other pictures' maps do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from jaxtyping import Bool, Float
from torch import Tensor

from sightline.metrics.localisation import energy_inside
from sightline.results import AttentionMap, Explanation, Phrase

OTHERS = "object_others"
"""Note of a map, and field of a phrase."""
ALONE = "shares on the object stand beside its area alone: no other picture was explained together with this one"


def beside_others(
    items: Sequence[Explanation], masks: Bool[Tensor, "b y x"] | None, each: int
) -> tuple[Explanation, ...]:
    """The explanations, each share on the object beside that of the mean map of the other pictures.

    A map is compared with the other pictures' maps of its method and layer, for the decision at the same rank; a
    phrase with all their phrases, since few are said of two pictures. Every map counts as if it summed to 1.

    Args:
        items: sample by sample, with shares on the object.
        masks: where the object is; None changes nothing, and a single picture has no control of this kind.
        each: explanations of a sample.
    """
    if masks is None or len(masks) < 2:
        return tuple(items)
    found = list(items)
    for at in range(each):
        found[at::each] = _phrases(_maps(found[at::each], masks), masks)
    return tuple(found)


def alone(items: Iterable[Explanation]) -> list[str]:
    """A sentence where shares on the object have no other picture's map beside them."""
    maps = [map_.notes for item in items for map_ in item.flow.maps if "object" in map_.notes]
    return [ALONE] if maps and not any(OTHERS in notes for notes in maps) else []


def means_of_others(maps: Sequence[Sequence[Float[Tensor, "h w"]]]) -> list[Float[Tensor, "h w"] | None]:
    """For each picture the mean over the maps of all others, scaled to sum to 1; None where others have none.

    Args:
        maps: of each picture any number of maps, of one shape, with positive values.

    Example:
        >>> import torch
        >>> one, other = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 3.0]])
        >>> [mean.tolist() for mean in means_of_others([[one], [other]])]
        [[[0.25, 0.75]], [[1.0, 0.0]]]
    """
    sums = [sum((_scaled(map_) for map_ in own), start=_scaled(own[0]) * 0) if own else None for own in maps]
    whole, count = [own for own in sums if own is not None], sum(map(len, maps))
    if not whole:
        return [None] * len(maps)
    total = sum(whole[1:], start=whole[0])
    return [
        (total if own is None else total - own) / (count - len(some)) if count > len(some) else None
        for own, some in zip(sums, maps, strict=True)
    ]


def _scaled(map_: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    positive = map_.clamp(min=0).double()
    return positive / positive.sum()


def _maps(column: Sequence[Explanation], masks: Bool[Tensor, "b y x"]) -> list[Explanation]:
    """Explanations of one method and rank, a picture each: the control of every map."""
    flows = [list(item.flow.maps) for item in column]
    places: dict[tuple[str, tuple[int, ...]], list[tuple[int, int]]] = defaultdict(list)
    for row, maps in enumerate(flows):
        for at, map_ in enumerate(maps):
            if "object" in map_.notes:
                places[map_.layer, map_.shape].append((row, at))
    for same in places.values():
        means = means_of_others([[flows[row][at].values] for row, at in same])
        for (row, at), mean in zip(same, means, strict=True):
            flows[row][at] = _noted(flows[row][at], mean, masks[row])
    pairs = zip(column, flows, strict=True)
    return [replace(item, flow=replace(item.flow, maps=tuple(maps))) for item, maps in pairs]


def _noted(map_: AttentionMap, mean: Tensor | None, mask: Bool[Tensor, "y x"]) -> AttentionMap:
    share = None if mean is None else energy_inside(mean, mask)
    return map_ if share is None else replace(map_, notes={**map_.notes, OTHERS: share})


def _phrases(column: Sequence[Explanation], masks: Bool[Tensor, "b y x"]) -> list[Explanation]:
    """The same explanations with the control of every phrase."""
    phrases = [list(item.phrases) for item in column]
    shapes = {_measured(phrase) for own in phrases for phrase in own} - {None}
    for shape in shapes:
        same = [[p.map.values for p in own if p.map is not None and _measured(p) == shape] for own in phrases]
        for row, mean in enumerate(means_of_others(same)):
            share = None if mean is None else energy_inside(mean, masks[row])
            phrases[row] = [
                replace(phrase, object_others=share) if _measured(phrase) == shape else phrase
                for phrase in phrases[row]
            ]
    return [replace(item, phrases=tuple(own)) for item, own in zip(column, phrases, strict=True)]


def _measured(phrase: Phrase) -> tuple[int, ...] | None:
    """The grid of a phrase whose map has a share on the object."""
    return None if phrase.map is None or phrase.energy is None else phrase.map.shape
