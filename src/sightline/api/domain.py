"""What the maps of a call lie over: told by the axes of places, and by the user where three axes leave it open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from sightline.errors import InputError
from sightline.explainers.places import channels_second
from sightline.models import Adapter
from sightline.results import Domain
from sightline.results.domains import PLACES, DomainKind

Rate = float | Sequence[float | None] | None
"""Samples or frames a second: of all inputs, or of each."""


def named(adapter: Adapter, inputs: Tensor, domain: DomainKind | None, rate: Rate) -> Adapter:
    """The adapter with names for the axes of places, where the call says what they are.

    Of an input with three axes of places nothing in the network tells whether the first is depth or time: it is a
    volume where nobody says, and a clip where it has a rate.

    Raises:
        InputError: the domain does not lie over places, or has other axes than the inputs.
        ResultError: there is no such domain.
    """
    if domain is None and rate is not None and inputs.ndim == 5:
        domain = "space-time"
    if domain is None:
        return adapter
    names = Domain(domain).places
    if not names:
        kinds = ", ".join(PLACES.values())
        raise InputError(f"a network's input lies over places ({kinds}), not over {domain!r}; leave domain out")
    axes = adapter.structure(inputs).axes
    if len(axes) != len(names):
        raise InputError(
            f"domain={domain!r} has the axes {' '.join(names)}, but these inputs have {len(axes)} axes of places "
            f"({' '.join(axes)}); leave domain out"
        )
    return replace(adapter, names=names)


def domain_of(adapter: Adapter, inputs: Tensor) -> Domain:
    """What maps lie over."""
    return Domain.over(adapter.structure(inputs).axes)


def kept(adapter: Adapter, inputs: Tensor, images: Tensor | None) -> Float[Tensor, "b c *places"] | None:
    """What is drawn under the maps, with its channels second as every picture has them."""
    if images is None or tuple(images.shape[1:]) != tuple(inputs.shape[1:]):
        return images
    return channels_second(adapter.structure(inputs), images)


def rates(rate: Rate, count: int) -> tuple[float | None, ...]:
    """A rate for each sample.

    Raises:
        InputError: there is not one for each, or one is not above zero.
    """
    each = (rate,) * count if rate is None or isinstance(rate, int | float) else tuple(rate)
    if len(each) != count:
        raise InputError(f"{count} inputs came with {len(each)} rates; give one for each, or one for all")
    if bad := [one for one in each if one is not None and not 0 < one < float("inf")]:
        raise InputError(f"a rate is the number of samples or frames in a second, above 0; got {bad[0]}")
    return tuple(None if one is None else float(one) for one in each)
