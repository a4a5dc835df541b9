"""The supernet: a network with shared gates at all sites, trained under a fresh random scheme at every step.

It knows nothing of searching; what a scheme is worth in a supernet is read in `accuracy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn

from sightline.errors import GateError
from sightline.gates.modules.catalog import Factory
from sightline.gates.scheme import Lengths, Scheme
from sightline.gates.sharing import Share
from sightline.gates.surgery.plug import plug, plugged, use_scheme
from sightline.models.adapter.unwrap import unwrap

Model = TypeVar("Model", bound=nn.Module)


def supernet(model: Model, gate: str | Factory = "dia", *, share: Share = "stage", **options: Any) -> Model:
    """Plug a shared gate at all sites, in place, so that any scheme can be put in use afterwards [huang2021ean].

    Args:
        model: any network with sites.
        gate: name of a gate, as in `plug`.
        share: which blocks share one; by stage, as published.
        options: options of `plug`: `reduction`, `start`, and the gate's own.

    Returns:
        The model that was given, with the dense scheme in use.

    Raises:
        GateError: as in `plug`; and a scheme cannot be chosen here, because all sites are needed.

    Example:
        >>> from torchvision.models import resnet18
        >>> net = supernet(resnet18(), "se")
        >>> generator = torch.Generator().manual_seed(0)
        >>> step = mask(net, generator)  # before every training step
        >>> plugged(net).scheme == step
        True
    """
    if options.get("scheme") is not None:
        raise GateError("a supernet has gates at all sites, so it takes no scheme; use plug(model, gate, scheme=...)")
    return plug(model, gate, share=share, **options)


def draw(lengths: Lengths, generator: torch.Generator, *, share: float = 0.5) -> Scheme:
    """One mask of independent bits for one training step: a pure function of the generator [huang2021ean].

    Args:
        lengths: blocks of each stage.
        generator: whose state goes on.
        share: probability of a bit; a half as published.

    Raises:
        GateError: `share` is no probability.
    """
    if not 0.0 <= share <= 1.0:
        raise GateError(
            f"the share of plugged blocks in a mask lies between 0 and 1, not at {share!r}; 0.5 is published"
        )
    return Scheme.random(lengths, generator, share)


def mask(model: nn.Module, generator: torch.Generator, *, share: float = 0.5) -> Scheme:
    """Draw a mask and put it in use until the next one: one call before each step of any training loop.

    The mask holds for the whole batch. Parameters of gates that it leaves out get no gradient in this step: an
    optimiser must have `set_to_none` gradients (the default), and DistributedDataParallel `find_unused_parameters`.

    Raises:
        GateError: nothing is plugged.
    """
    scheme = draw(plugged(model).sites.lengths, generator, share=share)
    use_scheme(model, scheme)
    return scheme


@contextmanager
def scheme_in_use(model: nn.Module, scheme: Scheme | None = None) -> Iterator[None]:
    """Put a scheme in use inside, and the one before it again afterwards, also after an error."""
    before = plugged(model).scheme
    try:
        if scheme is not None:
            use_scheme(model, scheme)
        yield
    finally:
        use_scheme(unwrap(model), before)
