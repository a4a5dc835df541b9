"""Which earlier block a gate hangs on: what a forest can foretell, and what really passes through the state.

Three lower-triangular maps for a stage. A forest's map (feature integration) shows what is predictable, and all gates
see the same picture: a network whose gates cannot speak to each other has such a map too, so draw one beside it. The
gradient and the intervention go through the state alone, and are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.modes import evaluating
from sightline.errors import GateError, MissingExtraError
from sightline.gates.analysis.probing import at_gates, factor_of, gated_sites, recurrent
from sightline.gates.analysis.statistics import GateRecord
from sightline.gates.surgery.block import GatedBlock
from sightline.gates.surgery.site import Site
from sightline.models.adapter.unwrap import unwrap

MOST_CHANNELS = 128
"""Channels up to which the gradient's norm is exact; above, it is estimated with as many random signs."""


@dataclass(frozen=True, eq=False)
class Dependency:
    """How much the gate of block t hangs on block s < t, in one stage.

    Args:
        stage: its number.
        paths: paths of the blocks of the stage.
        matrix: rows t, columns s; zero from the diagonal on.
        held_out: for a forest, R2 of each row on pictures that it was not grown on; NaN for the first block.
    """

    stage: int
    paths: tuple[str, ...]
    matrix: Float[Tensor, "t t"]
    held_out: Float[Tensor, "t"] | None = None


def forest_map(record: GateRecord, stage: int, *, trees: int = 50, depth: int = 8, seed: int = 0) -> Dependency:
    """Importances of earlier gates in a random forest that predicts each gate [huang2020dianet].

    Half of the pictures grow the forest, the other half judges it. The published forest's size is not known.

    Args:
        record: gates of a network, at least 8 pictures.
        stage: its number.
        trees: number of trees of each forest.
        depth: greatest depth of a tree.
        seed: random seed of the forests and the halves.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        GateError: the stage has fewer than two gates, or there are too few pictures.
    """
    try:
        from sklearn.ensemble import RandomForestRegressor
    except ImportError as problem:
        raise MissingExtraError("scikit-learn", "gates", "a forest over gates") from problem
    paths = _of_stage(record.sites, stage)
    gates = [record.channels(path).double().numpy() for path in paths]
    if len(gates[0]) < 8:
        raise GateError(f"a forest over gates needs at least 8 pictures; the record holds {len(gates[0])}")
    order = torch.randperm(len(gates[0]), generator=torch.Generator().manual_seed(seed)).numpy()
    grown, judged = order[: len(order) // 2], order[len(order) // 2 :]
    matrix, fit = torch.zeros(len(paths), len(paths)), torch.full((len(paths),), torch.nan)
    for t in range(1, len(paths)):
        before = torch.cat([torch.from_numpy(gate) for gate in gates[:t]], 1).numpy()
        forest = RandomForestRegressor(trees, max_depth=depth, random_state=seed, n_jobs=1)
        forest.fit(before[grown], gates[t][grown])
        shares = torch.from_numpy(forest.feature_importances_).reshape(t, -1).sum(1)
        matrix[t, :t] = shares.to(matrix.dtype)
        fit[t] = _explained(forest.predict(before[judged]), gates[t][judged])
    return Dependency(stage, paths, matrix, fit)


def _explained(predicted: Any, truth: Any) -> float:
    """R2 over all channels together."""
    error = float(((truth - predicted) ** 2).sum())
    spread = float(((truth - truth.mean(0)) ** 2).sum())
    return 1 - error / spread if spread > 0 else float("nan")


def gradient_map(model: nn.Module, inputs: Float[Tensor, "n c h w"], stage: int, *, seed: int = 0) -> Dependency:
    r"""$\lVert \partial h_t / \partial y_s \rVert$ through the state alone, root mean square over pictures.

    $y_s$ is the mean over places of what the gate of block s gets, $h_t$ the gate of block t. The branches are held
    as they are, so that nothing passes through the network itself. Zero for gates without a state.

    Args:
        model: with gates; it is left as it was.
        inputs: the pictures.
        stage: its number.
        seed: random seed of the signs, in stages of more than 128 channels.
    """
    paths = _of_stage(gated_sites(model), stage)
    branches: dict[str, Tensor] = {}
    with (
        torch.no_grad(),
        evaluating(model),
        at_gates(model, lambda path, _, arguments, out: branches.update({path: arguments[0]})),
    ):
        model(inputs)
    matrix = torch.zeros(len(paths), len(paths))
    with torch.enable_grad(), evaluating(model):
        leaves, gates = _chain(model, paths, branches)
        for t in range(1, len(paths)):
            if gates[t].requires_grad:
                matrix[t, :t] = _norms(gates[t], leaves[:t], seed)
    return Dependency(stage, paths, matrix)


def _chain(
    model: nn.Module, paths: tuple[str, ...], branches: dict[str, Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """The gates of a stage as functions of shifts of what they read, and of nothing else."""
    states: dict[str, Any] = {}
    leaves, gates = [], []
    for path in paths:
        block = cast(GatedBlock, unwrap(model).get_submodule(path))
        gate, socket = block.shared_gate(), block._socket
        shift = torch.zeros_like(branches[path][:, :, :1, :1]).requires_grad_()
        x = branches[path].detach() + shift
        inputs = (x, states.get(socket.thread)) if socket.recurrent else (x,)
        out = gate(*inputs)
        if socket.recurrent:
            states[socket.thread] = out[1]
        gates.append(factor_of(gate, inputs, out[0] if socket.recurrent else out).flatten(2).mean(2))
        leaves.append(shift)
    return leaves, gates


def _norms(gate: Float[Tensor, "n c"], leaves: list[Tensor], seed: int) -> Float[Tensor, "s"]:
    """Frobenius norms of the derivatives of a gate by each leaf."""
    width = gate.shape[1]
    rows = torch.eye(width)
    scale = 1.0
    if width > MOST_CHANNELS:
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randint(2, (MOST_CHANNELS, width), generator=generator).float() * 2 - 1
        scale = 1 / MOST_CHANNELS
    squares = torch.zeros(len(leaves), dtype=torch.float64)
    for row in rows.to(gate):
        slopes = torch.autograd.grad((gate * row).sum(), leaves, retain_graph=True, allow_unused=True)
        squares += torch.tensor([0.0 if one is None else float(one.double().square().sum()) for one in slopes])
    return (squares * scale / len(gate)).sqrt().float()


@dataclass(frozen=True, eq=False)
class Intervention:
    """What changes when a state is replaced by its mean over the pictures.

    Args:
        dependency: relative change of the later gates: rows t, columns s.
        logit: for each block s, mean change of the highest class score when the state behind it is replaced.
        turned: for each s, share of pictures whose class changes.
    """

    dependency: Dependency
    logit: Float[Tensor, "t"]
    turned: Float[Tensor, "t"]


def intervention_map(model: nn.Module, inputs: Float[Tensor, "n c h w"], stage: int) -> Intervention:
    """Replace the state that arrives from block s by its mean over the pictures, and run the model on.

    Later gates change by what the state carried, and by what that changes in the branches behind it.

    Args:
        model: with a recurrent gate; it is left as it was.
        inputs: at least two pictures.
        stage: its number.

    Raises:
        GateError: the gates have no state, or there is one picture only.
    """
    paths = _of_stage(gated_sites(model), stage)
    if not recurrent(model):
        raise GateError("the gates have no state that could be replaced; this map is for recurrent gates such as dia")
    if len(inputs) < 2:
        raise GateError("a state is replaced by its mean over pictures, which needs at least two")
    with torch.no_grad(), evaluating(model):
        gates, logits = _gates_and_logits(model, inputs)
        matrix = torch.zeros(len(paths), len(paths))
        logit, turned = torch.zeros(len(paths)), torch.zeros(len(paths))
        top = logits.argmax(1)
        for s in range(len(paths) - 1):
            with _mean_state_behind(model, paths[s]):
                after, moved = _gates_and_logits(model, inputs)
            for t in range(s + 1, len(paths)):
                change = (after[paths[t]] - gates[paths[t]]).flatten(1).norm(dim=1)
                matrix[t, s] = (change / gates[paths[t]].flatten(1).norm(dim=1).clamp_min(1e-12)).mean()
            rows = torch.arange(len(top))
            logit[s] = (moved[rows, top] - logits[rows, top]).abs().mean()
            turned[s] = (moved.argmax(1) != top).float().mean()
    return Intervention(Dependency(stage, paths, matrix), logit, turned)


def _gates_and_logits(model: nn.Module, inputs: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    factors: dict[str, Tensor] = {}

    def act(path: str, gate: nn.Module, arguments: tuple[Any, ...], out: Any) -> None:
        factors[path] = factor_of(gate, arguments, out[0] if isinstance(out, tuple) else out)

    with at_gates(model, act):
        logits = model(inputs)
    return factors, logits


@contextmanager
def without_memory(model: nn.Module) -> Iterator[None]:
    """Every block begins with the state before the first one: the same gates, and nothing that they could recall.

    What a forest foretells of these is the control of what it foretells of the gates as they are, since all gates see
    the same picture.
    """

    def act(_path: str, _gate: nn.Module, _inputs: tuple[Any, ...], out: Any) -> Any:
        return (out[0], None) if isinstance(out, tuple) else None

    with at_gates(model, act):
        yield


@contextmanager
def _mean_state_behind(model: nn.Module, path: str) -> Iterator[None]:
    """The state that a block hands on is its mean over the batch."""

    def act(now: str, gate: nn.Module, inputs: tuple[Any, ...], out: Any) -> Any:
        return (out[0], *_meaned(out[1:])) if now == path else None

    with at_gates(model, act):
        yield


def _meaned(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.mean(0, keepdim=True).expand_as(state)
    if isinstance(state, list | tuple):
        return type(state)(_meaned(part) for part in state)
    return state


def _of_stage(sites: tuple[Site, ...], stage: int) -> tuple[str, ...]:
    paths = tuple(site.path for site in sites if site.stage == stage)
    if len(paths) < 2:
        stages = sorted({site.stage for site in sites})
        raise GateError(
            f"a map of one gate by another needs a stage with at least two gates; stage {stage} has {len(paths)} "
            f"(stages with gates: {', '.join(map(str, stages))})"
        )
    return paths
