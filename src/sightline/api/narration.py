"""Words of a decision: models that can speak register a narrator here. It must not know any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from jaxtyping import Bool, Float
from torch import Tensor, nn

from sightline.metrics.localisation import energy_inside
from sightline.registry import Registry
from sightline.results import AttentionMap, Decision, Explanation, Narration, Phrase, Status

Narrator = Callable[[nn.Module, Explanation, Tensor], Narration | None]
NARRATORS: Registry[Narrator] = Registry("narrator", group="sightline.narrators")
"""Models that can speak register themselves here: model, explanation and its input `[1, c, h, w]` in, words out.

None where the model or the decision is not theirs. They leave the model as they found it."""


def narrated(
    model: nn.Module,
    items: list[Explanation],
    inputs: Float[Tensor, "b c h w"],
    masks: Bool[Tensor, "b y x"] | None,
) -> Iterator[Explanation]:
    """The explanations with words, where somebody narrates this model; each decision on a sample is told once."""
    each = len(items) // len(inputs)
    narrations: dict[tuple[int, Decision], Narration | None] = {}
    for number, item in enumerate(items):
        sample = number // each
        key = sample, item.decision
        if key not in narrations:
            words = _narration(model, item, inputs[sample : sample + 1])
            narrations[key] = words if words is None or masks is None else _located(words, masks[sample])
        words = narrations[key]
        if words is None:
            yield item
            continue
        yield replace(item, phrases=words.phrases, sentences=words.sentences, corrections=words.corrections)


def on_object(items: Iterable[Explanation], masks: Bool[Tensor, "b y x"] | None, each: int) -> Iterator[Explanation]:
    """The explanations, each map over a picture with the share of its evidence on the object in its note `object`.

    Beside it stands its control, `object_area`: the object's share of the picture, which an even map has on it.

    Args:
        items: sample by sample.
        masks: where the object is; None changes nothing.
        each: explanations of a sample.
    """
    for number, item in enumerate(items):
        if masks is None:
            yield item
            continue
        maps = tuple(_noted(map_, masks[number // each]) for map_ in item.flow.maps)
        yield replace(item, flow=replace(item.flow, maps=maps))


def _noted(map_: AttentionMap, mask: Bool[Tensor, "y x"]) -> AttentionMap:
    if map_.domain.kind != "image" or map_.status not in (Status.OK, Status.FLAT):
        return map_
    share = energy_inside(map_.values, mask)
    return map_ if share is None else replace(map_, notes={**map_.notes, "object": share, "object_area": _area(mask)})


def _located(words: Narration, mask: Bool[Tensor, "y x"]) -> Narration:
    """The words, each phrase with the share of its map that lies on the object, and that of an even map."""
    return replace(words, phrases=tuple(_energetic(phrase, mask) for phrase in words.phrases))


def _energetic(phrase: Phrase, mask: Bool[Tensor, "y x"]) -> Phrase:
    energy = None if phrase.map is None else energy_inside(phrase.map.values, mask)
    return phrase if energy is None else replace(phrase, energy=energy, object_area=_area(mask))


def _area(mask: Bool[Tensor, "y x"]) -> float:
    return float(mask.double().mean())


def _narration(model: nn.Module, item: Explanation, inputs: Float[Tensor, "1 c h w"]) -> Narration | None:
    for narrate in NARRATORS.values():
        words = narrate(model, item, inputs)
        if words is not None:
            return words
    return None
