"""Explanations say what their network knows, where it is known. It must not know any network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor, nn

from sightline.models.adapter.unwrap import unwrap
from sightline.models.scope import scope_of
from sightline.results import Explanation


def within_scope(
    model: nn.Module, items: Iterable[Explanation], inputs: Float[Tensor, "b c h w"]
) -> Iterator[Explanation]:
    """The explanations, each with a remark on what its network knows, where that is known.

    Args:
        model: the network.
        items: in order of the inputs, the same number of each.
        inputs: as the network takes them.
    """
    scope, items = scope_of(model), list(items)
    if scope is None or not items:
        yield from items
        return
    sentences = scope.sentences(unwrap(model), inputs)
    each = len(items) // len(inputs)
    for number, item in enumerate(items):
        sentence = sentences[number // each]
        flow = replace(item.flow, remarks=(*item.flow.remarks, sentence))
        yield replace(item, flow=flow, provenance={**item.provenance, "scope": sentence})


def known_of(items: Iterable[Explanation]) -> list[str]:
    """What the network knows, where that is known: a sentence for each photo."""
    sentences = (item.provenance.get("scope") for item in items)
    return list(dict.fromkeys(sentence for sentence in sentences if sentence))
