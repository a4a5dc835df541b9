"""What a flow says of itself: numbers for each layer, and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.explainers.flow.naflow.cascade import DropStats
from sightline.explainers.flow.naflow.message import Message
from sightline.explainers.flow.samples import Samples
from sightline.explainers.flow.tape import Node

Note = dict[str, Float[Tensor, " b"]]

GROWN = 3.0
"""A back-projected feature map this many times as large as the activation is warned of."""


@dataclass(eq=False)
class FlowNotes:
    """Collects the notes of one decision's flow, layer by layer, the last layer first.

    Args:
        samples: whose each row is.
        damping: damping of the inverse.
        lost: size of what was abandoned up to now, for each sample.
        notes: notes of each layer, by its node.
    """

    samples: Samples
    damping: float
    lost: Tensor | float = 0.0
    notes: dict[Node, Note] = field(default_factory=dict)

    def blank(self, device: torch.device) -> Note:
        """Notes of a layer that no path connects with the decision."""
        like = torch.zeros(self.samples.count, device=device)
        return {"abandoned": like, "kept": like + 1, "growth": like + 1, "carried": like, "drift": like,
                "iterations": like, "residual": like, "damping": like + self.damping}  # fmt: skip

    def note(
        self, node: Node, A: Tensor, message: Message, tally: DropStats, solves: Sequence[tuple[int, Tensor]]
    ) -> None:
        """Notes of one layer; the tally and the solves are those since the layer behind it."""
        delta, G = message.delta, message.G
        like = torch.zeros(self.samples.count, device=A.device)
        size = like + tally.size
        lost = like + tally.lost
        self.lost = self.lost + lost
        flat = self.samples.flat
        drift = like if delta is None else (flat(delta) * flat(G)).sum(1).float()
        self.notes[node] = {
            "abandoned": torch.where(size > 0, lost / size.clamp_min(1e-30), 0.0),
            "kept": (like + tally.kept_count) / tally.neurons if tally.neurons else like + 1,
            "growth": like + 1 if delta is None else _norm(flat(A + delta)) / _norm(flat(A)).clamp_min(1e-30),
            "carried": (flat(A) * flat(G)).sum(1).float() + drift,
            "drift": drift,
            "iterations": like + max((steps for steps, _ in solves), default=0),
            "residual": self._largest([residual for _, residual in solves], like),
            "damping": like + self.damping,
        }

    def _largest(self, residuals: Sequence[Tensor], like: Tensor) -> Tensor:
        """Largest residual of each sample; a solve over windows or tokens counts with its largest."""
        for residual in residuals:
            each = len(residual) % self.samples.count == 0
            own = self.samples.flat(residual.float()[:, None]).amax(1) if each else residual.float().amax()
            like = torch.maximum(like, own)
        return like

    def remarks(self, b: int, layers: Mapping[str, Note], first: str, unknown: set[str]) -> tuple[str, ...]:
        """Sentences of one sample."""
        remarks = [first]
        if not isinstance(self.lost, Tensor) or float(self.lost[b]) == 0:
            remarks.append("Nothing was abandoned: this is gradient x activation.")
        if unknown:
            remarks.append(f"No inverse is known of {', '.join(sorted(unknown))}: its Jacobian was taken instead.")
        grown = [f"{layer} ({g:.1f})" for layer, note in layers.items() if (g := float(note["growth"][b])) > GROWN]
        if grown:
            remarks.append(
                f"Message-projected features have grown beyond {GROWN:g} times the activation at {', '.join(grown)}: "
                "these maps show the inverse more than the network; raise the damping."
            )
        return tuple(remarks)


def _norm(x: Float[Tensor, "b n"]) -> Float[Tensor, " b"]:
    norm: Tensor = torch.linalg.vector_norm(x, dim=1)
    return norm.float()
