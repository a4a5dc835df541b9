"""Two pictures and why they match: embeddings, a flow for each picture, and both beside each other.

A pair is two calls of `explain`: the one picture against the other, and the other against the one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.api.embed import embed
from sightline.api.explain import explain
from sightline.api.inputs import Passed, passed
from sightline.common.threads import exclusive
from sightline.errors import InputError, ResultError
from sightline.models.adapter.embedded import AUTO
from sightline.models.load import LoadedModel
from sightline.renamed import answering
from sightline.results import Decision, Explanation, Explanations, Flow
from sightline.targets import Selector, similarity_of

Two = tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]
SEAM = 2
"""Columns of white between two pictures that are drawn as one."""


@answering
@exclusive
def explain_pair(
    model: nn.Module | LoadedModel,
    a: Any,
    b: Any,
    *,
    similarity: str = "cosine",
    embedding: str = AUTO,
    images: Two | None = None,
    sources: tuple[Sequence[str], Sequence[str]] | None = None,
    output: Selector | None = None,
    batch_size: int | None = None,
    preprocess: Any = None,
    **arguments: Any,
) -> Explanations:
    """Show why pictures match, pair by pair: one flow over each picture of a pair.

    The flow over `a` explains its similarity to `b`, with `b`'s embedding fixed, and the other way round:
    `w_a = r_b / |e_a|` and `w_b = r_a / |e_b|` for the cosine.

    Args:
        model: the encoder, or a classifier whose pooled features are compared.
        a: the one picture of each pair, as the model takes them; or paths, PIL images, arrays, see `explain`.
        b: the other one; as many, and of the same size.
        similarity: `cosine`, `dot` or `euclidean`.
        embedding: place at which the embedding is read; see `embed`.
        images: the pictures as the network sees them, 0..1.
        sources: names of the pictures.
        output: which part of the model's output is the embedding.
        batch_size: most pictures at a time.
        preprocess: how images are preprocessed, where the model does not say.
        arguments: other arguments of `explain`, such as `method`, `layers`, `options` and `seed`.

    Returns:
        For each pair the explanations over `a` and then those over `b`, one per method. `side_by_side` draws two as
        one.

    Raises:
        InputError: the pictures are not as many, or not of one size.
        TargetError: there is no such similarity, or no embedding to compare.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> one, other = explain_pair(net, torch.ones(1, 3, 8, 8), torch.ones(1, 3, 8, 8))
        >>> round(one.decision.score, 3) == round(other.decision.score, 3) == 1.0
        True
    """
    kind = similarity_of(similarity)
    one, other = (passed(model, side, preprocess=preprocess) for side in (a, b))
    a, b = one.inputs, other.inputs
    images = images or _images(one, other)
    sources = sources or _sources(one, other)
    arguments["provenance"] = {**one.facts, **(arguments.get("provenance") or {})}
    _check_pair(a, b)
    both = torch.cat([a, b])
    names = _names(sources, len(a))
    e = embed(one.model, both, embedding=embedding, output=output, batch_size=batch_size)
    explanations = explain(
        one.model,
        both,
        target=kind(e.roll(len(a), 0), names[len(a) :] + names[: len(a)]),
        embedding=embedding,
        images=None if images is None else torch.cat(images),
        sources=names,
        output=output,
        batch_size=batch_size,
        **arguments,
    )
    each = len(explanations) // len(both)
    order = [at for i in range(len(a)) for at in (i, len(a) + i)]
    return Explanations(tuple(item for at in order for item in explanations[at * each : (at + 1) * each]))


def side_by_side(a: Explanation, b: Explanation) -> Explanation:
    """Two explanations of a pair as one, for drawing: pictures and maps beside each other, on one scale.

    Args:
        a: over the one picture.
        b: over the other one, by the same method at the same layers.

    Raises:
        ResultError: methods, layers or grids differ.
    """
    alike = a.method == b.method and [(m.layer, m.shape) for m in a.flow.maps] == [
        (m.layer, m.shape) for m in b.flow.maps
    ]
    if not alike:
        raise ResultError(
            f"explanations by {a.method!r} and {b.method!r} over different grids cannot be drawn as one"
        )
    maps = tuple(
        replace(one, values=torch.cat([one.values, other.values], 1), notes={})
        for one, other in zip(a.flow.maps, b.flow.maps, strict=True)
    )
    kind = a.decision.label.partition(" to ")[0]
    decision = Decision(f"{kind} of {a.source} and {b.source}", a.decision.score)
    return Explanation(Flow(maps, a.method), decision, _joined(a, b), f"{a.source} | {b.source}", (), a.provenance)


def _joined(a: Explanation, b: Explanation) -> Tensor | None:
    """Both pictures with a white seam between them."""
    if a.image is None or b.image is None or a.image.shape != b.image.shape:
        return None
    joined = torch.cat([a.image, b.image], 2)
    middle = a.image.shape[2]
    joined[:, :, middle - SEAM // 2 : middle + SEAM // 2] = 1
    return joined


def _images(one: Passed, other: Passed) -> Two | None:
    return None if one.images is None or other.images is None else (one.images, other.images)


def _sources(one: Passed, other: Passed) -> tuple[Sequence[str], Sequence[str]] | None:
    """Names of the files, where both sides have some and none stands on both."""
    if one.sources is None or other.sources is None or set(one.sources) & set(other.sources):
        return None
    return one.sources, other.sources


def _check_pair(a: Tensor, b: Tensor) -> None:
    for picture in (a, b):
        if not isinstance(picture, Tensor) or picture.ndim != 4:
            description = tuple(picture.shape) if isinstance(picture, Tensor) else type(picture).__name__
            raise InputError(f"a pair is two tensors [batch, channels, height, width], but one is {description}")
    if len(a) != len(b):
        raise InputError(f"{len(a)} pictures came with {len(b)} to compare them with; give as many of both")
    if a.shape != b.shape or a.dtype != b.dtype or a.device != b.device:
        raise InputError(
            f"two pictures are compared at one size, but one is {tuple(a.shape[1:])} ({a.dtype}, {a.device}) and the "
            f"other {tuple(b.shape[1:])} ({b.dtype}, {b.device}); prepare both in the same way"
        )


def _names(sources: tuple[Sequence[str], Sequence[str]] | None, count: int) -> tuple[str, ...]:
    if sources is None:
        return tuple(f"{side}{i}" if count > 1 else side for side in "ab" for i in range(count))
    names = (*map(str, sources[0]), *map(str, sources[1]))
    if len(names) != 2 * count:
        raise InputError(f"{count} pairs came with {len(names)} sources; give one for each picture")
    return names
