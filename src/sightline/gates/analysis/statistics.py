"""What each gate does: its values over pictures, whether they hang on the picture, and what freezing them costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.common.modes import evaluating
from sightline.common.statistics.bootstrap import Interval, paired_difference
from sightline.errors import GateError
from sightline.gates.analysis.probing import changed_gates, gated_sites, read_gates
from sightline.gates.surgery.plug import plugged
from sightline.gates.surgery.site import Site
from sightline.models.adapter.unwrap import unwrap

EXACT = ("factor", "places")


@dataclass(frozen=True, eq=False)
class GateRecord:
    """Values of all gates that work in a model, over some pictures.

    Args:
        sites: the blocks, in forward order.
        values: by path: `[n, c]` for gates of channels, `[n, g, h, w]` for maps of g groups of channels.
        exact: whether they were read off the gates; otherwise fitted, per channel, to what the gate did.
        gate: its name.
    """

    sites: tuple[Site, ...]
    values: dict[str, Float[Tensor, "n ..."]]
    exact: bool
    gate: str

    def channels(self, path: str) -> Float[Tensor, "n c"]:
        """A block's gate per channel or group; maps as their mean over places."""
        gate = self.values[path]
        return gate.flatten(2).mean(2) if gate.ndim == 4 else gate

    def heat(self) -> dict[int, Float[Tensor, "t c"]]:
        """For each stage the mean gate, blocks by channels: the heat map over depth."""
        stages: dict[int, list[Tensor]] = {}
        for site in self.sites:
            stages.setdefault(site.stage, []).append(self.channels(site.path).mean(0))
        return {stage: torch.stack(rows) for stage, rows in stages.items()}

    def entropy(self) -> dict[str, float]:
        r"""How evenly a gate's weight lies over channels: mean over pictures of $-\sum p \log p / \log c$.

        $p$ is the gate's magnitude as a share; 1 where all channels get the same, NaN for a single channel.
        """
        evenness = {}
        for site in self.sites:
            weight = self.channels(site.path).abs().double()
            shares = weight / weight.sum(1, keepdim=True).clamp_min(1e-300)
            width = weight.shape[1]
            mean = float(torch.special.entr(shares).sum(1).mean())
            evenness[site.path] = mean / math.log(width) if width > 1 else math.nan
        return evenness

    def by_picture(self) -> dict[str, float]:
        """Share of a gate's variance that the picture explains: 0 for a gate that is a constant per channel.

        The rest lies between channels, or places, and would be there if the gate were frozen to its mean.
        """
        shares = {}
        for site in self.sites:
            values = self.values[site.path].double()
            total = float(values.var(unbiased=False))
            within = float(values.var(0, unbiased=False).mean())
            shares[site.path] = within / total if total > 1e-20 else 0.0
        return shares

    def per_class(self, labels: Int[Tensor, "n"]) -> dict[str, Float[Tensor, "k c"]]:
        """For each block the mean gate of every class less that over all pictures; NaN for a class without one."""
        if len(labels) != len(next(iter(self.values.values()))):
            raise GateError("the gates of each class need a label for every picture of the record")
        count = int(labels.max()) + 1
        differences = {}
        for site in self.sites:
            values = self.channels(site.path)
            means = torch.full((count, values.shape[1]), math.nan, dtype=values.dtype)
            for label in sorted(set(labels.tolist())):
                means[label] = values[labels == label].mean(0)
            differences[site.path] = means - values.mean(0)
        return differences


def gate_record(model: nn.Module, inputs: Float[Tensor, "n c h w"], *, batch_size: int = 32) -> GateRecord:
    """The values of all gates over some pictures, in evaluation mode; the model is left as it was.

    Args:
        model: with gates.
        inputs: the pictures.
        batch_size: pictures per forward.

    Raises:
        GateError: no gate works, or there is no picture.

    Example:
        >>> from torchvision.models import resnet18
        >>> from sightline.gates import plug
        >>> record = gate_record(plug(resnet18(), "dia"), torch.rand(2, 3, 32, 32))
        >>> record.values["layer1.0"].shape, record.heat()[4].shape
        (torch.Size([2, 64]), torch.Size([2, 512]))
    """
    if not len(inputs):
        raise GateError("gates are read over pictures, but there is none")
    sites = gated_sites(model)
    factors = _factors(model, inputs, batch_size)
    missing = [site.path for site in sites if site.path not in factors]
    if missing:
        raise GateError(f"the gate at {missing[0]!r} did not run; the model passes its block over for these pictures")
    values = {
        path: (factor.flatten(1) if factor.shape[2:] == (1, 1) else factor).cpu() for path, factor in factors.items()
    }
    exact = all(_has_factor(model, site.path) for site in sites)
    return GateRecord(sites, values, exact, plugged(model).gate)


@dataclass(frozen=True)
class Ablation:
    """What it costs when gates do not look at the picture.

    Args:
        path: path of the block; empty for all blocks together.
        accuracy: accuracy of the model as it is.
        mean: drop of accuracy when the gate is frozen to its mean over the pictures, with a paired interval.
        swap: drop when it takes the gate of another picture.
    """

    path: str
    accuracy: float
    mean: Interval
    swap: Interval


def ablate(
    model: nn.Module,
    inputs: Float[Tensor, "n c h w"],
    labels: Int[Tensor, "n"],
    *,
    batch_size: int = 32,
    seed: int = 0,
) -> tuple[Ablation, ...]:
    """Freeze gates to their mean, and swap them between pictures: for each block, and for all together (last).

    A gate whose mean does as well is no attention to the picture, whatever its heat map shows. Means are taken over
    the same pictures; in a swap no picture keeps its own gate. A recurrent gate's state goes on as it would have.

    Args:
        model: with gates.
        inputs: pictures of one size, at least two.
        labels: their classes.
        batch_size: pictures per forward.
        seed: random seed of the swap.

    Raises:
        GateError: fewer than two pictures, or not a label for each.
    """
    if len(inputs) < 2 or len(inputs) != len(labels):
        raise GateError(
            f"gates are frozen and swapped over at least two pictures with a label each; got {len(inputs)} pictures "
            f"and {len(labels)} labels"
        )
    sites = gated_sites(model)
    values = _factors(model, inputs, batch_size)
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    means = {path: factor.mean(0, keepdim=True).expand_as(factor) for path, factor in values.items()}
    swaps = {path: factor[other.to(factor.device)] for path, factor in values.items()}
    right = _right(model, inputs, labels, {}, batch_size)
    rows: list[Ablation] = []
    for paths in (*[[site.path] for site in sites], [site.path for site in sites]):
        drops = [
            paired_difference(right, _right(model, inputs, labels, {p: new[p] for p in paths}, batch_size))
            for new in (means, swaps)
        ]
        name = paths[0] if len(rows) < len(sites) else ""
        rows.append(Ablation(name, float(right.mean()), *drops))
    return tuple(rows)


def _factors(model: nn.Module, inputs: Tensor, batch_size: int) -> dict[str, Tensor]:
    parts: list[dict[str, Tensor]] = []
    with torch.no_grad(), evaluating(model):
        for part in torch.split(inputs, batch_size):
            factors: dict[str, Tensor] = {}
            with read_gates(model, factors):
                model(part)
            parts.append(factors)
    return {path: torch.cat([part[path] for part in parts]) for path in parts[0]}


def _right(
    model: nn.Module, inputs: Tensor, labels: Tensor, instead: dict[str, Tensor], batch_size: int
) -> Float[Tensor, "n"]:
    """1 for each picture that is classified rightly with these factors in place of the gates' own."""
    hits: list[Tensor] = []
    with torch.no_grad(), evaluating(model):
        for start in range(0, len(inputs), batch_size):
            rows = slice(start, start + batch_size)

            def change(path: str, factor: Tensor, rows: slice = rows) -> Tensor:
                return instead[path][rows] if path in instead else factor

            with changed_gates(model, change):
                hits.append(model(inputs[rows]).argmax(1) == labels[rows])
    return torch.cat(hits).double().cpu()


def _has_factor(model: nn.Module, path: str) -> bool:
    gate = unwrap(model).get_submodule(path).shared_gate()  # type: ignore[operator]
    gate = getattr(gate, "inner", gate)
    return any(hasattr(gate, name) for name in EXACT)
