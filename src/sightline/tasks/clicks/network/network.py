"""`ClickNet`: fields to embeddings, linear terms and an interaction; the logit is the utility of clicking."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.errors import ModelError, near
from sightline.tasks.clicks.network.pairs import PairLogit
from sightline.tasks.clicks.network.presets import PRESETS, Shape

log = logging.getLogger(__name__)
PUBLISHED_STD = 1e-4
"""Standard deviation of the embeddings in the best-known re-implementation, with which products never move."""
STARTS = ("scaled", "ones", "published")
"""How weights begin."""
FROZEN = 1e-6
"""Norm of the embeddings' gradient below which a network does not begin to learn."""


@dataclass(frozen=True, kw_only=True)
class ClickSpec:
    """How a network of clicks is built.

    Args:
        model: a name of `PRESETS`.
        sizes: rows of each field's embedding table.
        numbers: positions of the fields that are numbers; their embedding is scaled by the value.
        width: numbers in an embedding.
        layers: interaction layers.
        heads: heads of an attention.
        hidden: widths of a perceptron.
        pooling: aggregation of SAM1 and SAM3.
        residual: whether layers have a residual.
        linear: whether there are linear terms beside the interaction.
        dropout: share that training drops.
        owners: field of each further column of ids, which are tokens of sets.
        init: `scaled` keeps the size of what layers pass on; `ones` is the same but for SAM3A's pair weights, which
            begin with ones; `published` has these and an std of 1e-4 for the embeddings.

    Raises:
        ModelError: there is no such start.
    """

    model: str
    sizes: tuple[int, ...]
    numbers: tuple[int, ...] = ()
    width: int = 10
    layers: int = 2
    heads: int = 2
    hidden: tuple[int, ...] = (64, 64)
    pooling: str = "concat"
    residual: bool = True
    linear: bool = True
    dropout: float = 0.0
    init: str = "scaled"
    owners: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a start that does not exist, which would be trained as another one."""
        if self.init not in STARTS:
            raise ModelError(f"weights of a click model cannot begin as {self.init!r}; {near(self.init, STARTS)}")

    @property
    def std(self) -> float:
        """Standard deviation of the embeddings at the start: the pairs of an FM then add to a logit near 0.1."""
        if self.init == "published":
            return PUBLISHED_STD
        count = max(2, len(self.sizes))
        return min(0.1, math.sqrt(0.1 * math.sqrt(2) / (count * math.sqrt(self.width))))

    @property
    def shape(self) -> Shape:
        """What the preset is built for."""
        return Shape(
            count=len(self.sizes),
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            hidden=self.hidden,
            pooling=self.pooling,
            residual=self.residual,
            dropout=self.dropout,
            std=self.std,
            published=self.init == "published",
            ones=self.init in ("published", "ones"),
        )


class ClickNet(nn.Module):
    """`logit = w_0 + sum_i w_i(x_i) + interaction(F)`.

    Args:
        spec: how it is built.

    Raises:
        ModelError: there is no such model.
    """

    def __init__(self, spec: ClickSpec) -> None:
        super().__init__()
        preset, count = PRESETS[spec.model], len(spec.sizes)
        self.spec = spec
        starts = torch.tensor((0, *spec.sizes)).cumsum(0)[:-1]
        owners = torch.tensor(spec.owners, dtype=torch.long)
        self.register_buffer("owners", owners, persistent=False)
        self.register_buffer("starts", torch.cat([starts, starts[owners]]), persistent=False)
        self.register_buffer("places", torch.tensor(spec.numbers, dtype=torch.long), persistent=False)
        columns = spec.width * count if preset.blocks else spec.width
        self.embedding = nn.Embedding(sum(spec.sizes), 1 if spec.model == "lr" else columns)
        nn.init.normal_(self.embedding.weight, std=spec.std)
        self.linear = nn.Embedding(sum(spec.sizes), 1) if spec.linear or preset.linear else None
        if self.linear is not None:
            nn.init.zeros_(self.linear.weight)
        self.bias = nn.Parameter(torch.zeros(()))
        self.interaction = preset.build(spec.shape)
        if spec.model == "lr":
            self.embedding.weight.requires_grad_(False)

    def forward(self, ids: Int[Tensor, "b n"], values: Float[Tensor, "b m"]) -> Float[Tensor, " b"]:
        """The utility of clicking.

        Args:
            ids: row of each field in its own table, then the further tokens of sets, -1 for none.
            values: of the fields that are numbers; 1 where one is missing.
        """
        logit: Tensor = self.interaction(self.fields(ids, values)) + self.bias
        return logit if self.linear is None else logit + self.linear_terms(ids, values).sum(1)

    def fields(self, ids: Int[Tensor, "b n"], values: Float[Tensor, "b m"]) -> Float[Tensor, "b n d"]:
        """The embeddings; of a set the mean over its tokens."""
        return self._scaled(self._rows(self.embedding.weight, ids), values)

    def linear_terms(self, ids: Int[Tensor, "b n"], values: Float[Tensor, "b m"]) -> Float[Tensor, "b n"]:
        """What every field adds alone; 0 without linear terms."""
        if self.linear is None:
            return torch.zeros(len(ids), len(self.spec.sizes), dtype=self.bias.dtype, device=ids.device)
        return self._scaled(self._rows(self.linear.weight, ids), values)[..., 0]

    def _rows(self, table: Tensor, ids: Tensor) -> Tensor:
        owners, count = self.get_buffer("owners"), len(self.spec.sizes)
        if not len(owners):
            return rows_at(table, ids + self.get_buffer("starts"))
        full = (ids[:, count:] >= 0).to(table.dtype)
        rows = rows_at(table, ids.clamp(min=0) + self.get_buffer("starts"))
        total = rows[:, :count].index_add(1, owners, rows[:, count:] * full[..., None])
        counts = full.new_ones(len(ids), count).index_add(1, owners, full)
        return total / counts[..., None]

    def _scaled(self, rows: Tensor, values: Tensor) -> Tensor:
        places = self.get_buffer("places")
        if not len(places):
            return rows
        scale = rows.new_ones(rows.shape[:2]).index_copy(1, places, values.to(rows.dtype))
        return rows * scale[..., None]

    @property
    def pairs(self) -> PairLogit | None:
        """The interaction, where the logit is an exact sum over pairs of fields."""
        return self.interaction if isinstance(self.interaction, PairLogit) else None


def rows_at(table: Float[Tensor, "r d"], places: Int[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
    """Rows of a table, as `nn.Embedding` gives them.

    On a CPU the gradient of `index_select` costs a quarter of an embedding's; on a GPU that of an embedding adds in
    the same order every time.
    """
    if table.is_cuda:
        return fn.embedding(places, table)
    return table.index_select(0, places.flatten()).view(*places.shape, -1)


def start_gradient(net: ClickNet, *, rows: int = 64) -> float:
    """Norm of the embeddings' gradient on random rows with random labels, before any training.

    Args:
        net: left as it is.
        rows: how many.
    """
    draw = torch.Generator().manual_seed(0)
    sizes = torch.tensor(net.spec.sizes)
    ids = (torch.rand(rows, len(sizes), generator=draw) * sizes).long()
    ids = torch.cat([ids, ids.new_full((rows, len(net.spec.owners)), -1)], 1)
    values = torch.ones(rows, len(net.spec.numbers))
    labels = (torch.rand(rows, generator=draw) < 0.5).to(net.bias.dtype)
    weight = net.embedding.weight
    if not weight.requires_grad:
        return float("inf")
    loss = fn.binary_cross_entropy_with_logits(net(ids, values), labels)
    (gradient,) = torch.autograd.grad(loss, [weight])
    return float(gradient.norm())


def warn_if_frozen(net: ClickNet) -> str:
    """A sentence where the start is one from which nothing is learnt; empty where it is a good one.

    Half of the published runs on one data set ended at an AUC of exactly 0.5 for this reason. A single field
    has no pairs, however it begins.
    """
    gradient = start_gradient(net)
    if gradient > FROZEN:
        return ""
    if len(net.spec.sizes) < 2:
        text = f"the log has one field, so that {net.spec.model} has no pairs to learn and is a linear model"
    else:
        text = (
            f"the embeddings of this {net.spec.model} begin with a gradient of {gradient:.1e}: products of numbers "
            "this small do not move, and the AUC stays at 0.5. Take --init scaled, or --residual"
        )
    log.warning(text)
    return text
