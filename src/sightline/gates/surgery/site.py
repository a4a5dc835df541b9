"""`sites`: where a network takes a gate - stage, block, path, channels - found by reading and trying its blocks.

A block is a site if its own code adds a branch of layers to its input; a layer of a dense block is one as well. Each
is tried on noise: with the place for a gate left open it must give what it gave before. It knows nothing of gates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sightline.common.modes import evaluating
from sightline.common.threads import exclusive
from sightline.errors import GateError
from sightline.gates.surgery.block import GatedBlock, recipe_of
from sightline.gates.surgery.class_swap import ClassSwapped
from sightline.gates.surgery.state_passing import is_dense
from sightline.gates.surgery.trace import WEIGHTED, NoBranch, Recipe
from sightline.models.adapter.unwrap import unwrap

PICTURE = (8, 12)
"""Height and width of the noise on which a block is tried."""

WIDTHS = ("in_channels", "num_features", "num_channels", "in_features", "normalized_shape")
"""Attributes in which layers keep the number of channels that they take."""


@dataclass(frozen=True)
class Site:
    """One place for a gate.

    Args:
        stage: number of the stage, from 1: neighbouring blocks of one width in one part of the model.
        block: number within the stage, from 1.
        path: dotted path of the block.
        channels: number of channels of the branch that the gate gets.
        kind: class of the block.
        behind: whether the gate stands behind the whole block (dense layers), not at its branch.
    """

    stage: int
    block: int
    path: str
    channels: int
    kind: str
    behind: bool = False


@dataclass(frozen=True)
class Sites:
    """A model's places for gates, in forward order.

    Args:
        found: the places.
        passed_over: blocks that add something and still are none, and why.
    """

    found: tuple[Site, ...]
    passed_over: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many blocks each stage has; a scheme has as many bits."""
        return tuple(len(list(stage)) for _, stage in groupby(self.found, lambda site: site.stage))

    def __iter__(self) -> Iterator[Site]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index: int) -> Site:
        return self.found[index]

    def __str__(self) -> str:
        rows = [("stage", "block", "path", "channels", "kind")]
        rows += [(str(s.stage), str(s.block), s.path, str(s.channels), s.kind) for s in self.found]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows)


@exclusive
def sites(model: nn.Module) -> Sites:
    """Where a gate can be plugged into a model.

    Args:
        model: any module; its blocks are run once on noise, and it is not changed.

    Raises:
        GateError: there is no place; the text says what was looked for and what was found.
        ModelError: its inside cannot be reached (scripted, exported, sharded).

    Example:
        >>> from torchvision.models import resnet18
        >>> places = sites(resnet18())
        >>> places.lengths, places[2].path, places[2].channels
        ((2, 2, 2, 2), 'layer2.0', 128)
    """
    return find_sites(model)[0]


def find_sites(model: nn.Module) -> tuple[Sites, dict[str, Recipe]]:
    """`sites`, and for the path of each its code with a place for a gate."""
    plain = unwrap(model)
    passed: dict[str, str] = {}
    hits = list(_below(plain, "", passed)) or [hit for hit in [_try(plain, "", passed)] if hit]
    if not hits:
        raise GateError(_nowhere(plain, passed))
    places = []
    stages = groupby(hits, lambda hit: (hit.path.rpartition(".")[0], hit.channels))
    for stage, (_, group) in enumerate(stages, 1):
        for block, hit in enumerate(group, 1):
            places.append(Site(stage, block, hit.path, hit.channels, hit.kind, hit.behind))
    return Sites(tuple(places), passed), {hit.path: hit.recipe for hit in hits}


class SiteMatch(NamedTuple):
    """A module that is a site."""

    path: str
    channels: int
    kind: str
    behind: bool
    recipe: Recipe


def _below(module: nn.Module, path: str, passed: dict[str, str]) -> Iterator[SiteMatch]:
    """Sites among the modules below one, the outermost of nested ones."""
    for name, child in module.named_children():
        below = f"{path}.{name}" if path else name
        hit = _try(child, below, passed, behind=is_dense(module))
        if hit:
            yield hit
        elif not isinstance(child, GatedBlock):
            yield from _below(child, below, passed)


def _try(module: nn.Module, path: str, passed: dict[str, str], *, behind: bool = False) -> SiteMatch | None:
    """The site that a module is, or None."""
    kind = type(module).plain if isinstance(module, ClassSwapped) else type(module)
    if kind.__module__.startswith("torch.nn.") or not any(isinstance(part, WEIGHTED) for part in module.modules()):
        return None
    try:
        recipe = recipe_of(module, kind, behind=behind)
        channels = _probe(module, kind, recipe, behind=behind)
    except NoBranch as reason:
        passed[path] = str(reason)
        return None
    return SiteMatch(path, channels, kind.__name__, behind, recipe)


def _probe(module: nn.Module, kind: type[nn.Module], recipe: Recipe, *, behind: bool) -> int:
    """Channels of the branch, after trying the code with an open place against the module's own.

    Raises:
        NoBranch: it cannot be run on a picture, its branch holds no maps, or the two differ.
    """
    reason = "it cannot be run alone on an image"
    for channels in _widths(module):
        noise = _noise(module, channels)
        branches: list[Tensor] = []
        try:
            with evaluating(module), torch.no_grad():
                own = kind.forward(module, [noise.clone()] if behind else noise.clone())
                if behind:
                    branches, out = [own], own
                else:
                    out = recipe(module, noise.clone(), lambda v, bucket=branches: bucket.append(v) or v)
        except Exception as problem:  # noqa: BLE001 - a stranger's block may raise anything on noise
            reason = f"it cannot be run alone on an image ({type(problem).__name__})"
            continue
        if not branches or not isinstance(out, Tensor) or branches[0].ndim != 4:
            raise NoBranch("its branch holds no maps [b, c, h, w]")
        if not _same(own, out):
            raise NoBranch("its code gives something else once there is a place for a gate in it")
        return branches[0].shape[1]
    raise NoBranch(reason)


def _same(own: Tensor, out: Tensor) -> bool:
    if own.shape != out.shape:
        return False
    return own.is_meta or torch.equal(own, out) or (own.is_cuda and torch.allclose(own, out, rtol=1e-4, atol=1e-5))


def _widths(module: nn.Module) -> list[int]:
    """Numbers of channels that the module may take: those that its layers take, first ones first."""
    widths: dict[int, None] = {}
    for layer in module.modules():
        for name in WIDTHS:
            width = getattr(layer, name, None)
            width = width[-1] if isinstance(width, tuple) and width else width
            if isinstance(width, int) and width > 0:
                widths[width] = None
    return list(widths)[:4]


def _noise(module: nn.Module, channels: int) -> Tensor:
    """Noise of its own random state, of the module's type and on its device."""
    home = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    noise = torch.randn(1, channels, *PICTURE, generator=torch.Generator().manual_seed(0))
    return noise.to(home.device, home.dtype)


def _nowhere(model: nn.Module, passed: dict[str, str]) -> str:
    """What was looked for, what was found, what to try."""
    near = [f"{path or 'the model itself'}: {why}" for path, why in passed.items()]
    report = f"{len(near)} blocks were read ({'; '.join(near[:3])}{'; ...' if len(near) > 3 else ''})" if near else (
        "there is no block with code of its own"
    )  # fmt: skip
    return (
        f"{type(model).__name__} has no place for a gate. Looked for: blocks that add a branch of layers over maps "
        f"[b, c, h, w] to their input, and dense blocks. Found: {report}. Try a residual network (resnet50, "
        "mobilenet_v2, convnext_tiny) or densenet121"
    )
