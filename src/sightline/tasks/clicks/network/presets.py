"""The presets: every classical click model as a choice of similarity, value, mask, residual and aggregation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from sightline.errors import ModelError
from sightline.registry import Registry
from sightline.tasks.clicks.network.aggregate import Aggregate
from sightline.tasks.clicks.network.layer import Heads, Interaction
from sightline.tasks.clicks.network.pairs import Contracted, Half, PairSum, ProductPairs, Symmetric
from sightline.tasks.clicks.network.similarity import Bilinear, Dot, FieldAware, PairBilinear, PairSoftmax, Softmax
from sightline.tasks.clicks.network.utility import (
    Attended,
    BiPooled,
    CrossNet,
    Deep,
    InnerProducts,
    Nothing,
    Stack,
    Total,
)
from sightline.tasks.clicks.network.value import PairWeights, Product, Projection


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a preset is built for.

    Args:
        count: n, the number of fields.
        width: d, numbers in an embedding.
        layers: interaction layers.
        heads: heads of an attention.
        hidden: widths of a perceptron.
        pooling: aggregation of SAM1 and SAM3.
        residual: whether layers of SAM3 and AutoInt have a residual.
        dropout: share that training drops.
        std: standard deviation that the embeddings begin with; it sets the scale of the pair weights.
        published: whether layers begin as published.
        ones: whether the pair weights of SAM3A begin with ones.
    """

    count: int
    width: int
    layers: int = 2
    heads: int = 2
    hidden: tuple[int, ...] = (64, 64)
    pooling: str = "concat"
    residual: bool = True
    dropout: float = 0.0
    std: float = 0.1
    published: bool = False
    ones: bool = False

    @property
    def pair_std(self) -> float:
        """Scale of the pair weights at which a layer's output is as large as its input; 0 for ones."""
        return 0.0 if self.ones else 1 / (self.std * (self.width * self.count) ** 0.5)

    @property
    def product_gain(self) -> float:
        """Factor on K at which SAM3E's output is a fraction of its input; of degree 4, more of it runs away."""
        return 1.0 if self.published else SMALL / (self.std**3 * (self.width * self.count) ** 0.5)


@dataclass(frozen=True)
class Preset:
    """A click model.

    Args:
        build: makes the interaction.
        title: what it is.
        pairs: whether its logit is an exact sum over pairs of fields.
        blocks: whether a field has an embedding of its own for each other field.
        linear: whether it is nothing without linear terms.
    """

    build: Callable[[Shape], nn.Module]
    title: str
    pairs: bool = False
    blocks: bool = False
    linear: bool = False


SMALL = 0.1
"""Size of what a layer of SAM3E adds, beside its input, at the start."""
PRESETS: Registry[Preset] = Registry("click model", error=ModelError)
"""Click models by name."""


def _afm(shape: Shape) -> nn.Module:
    layer = Interaction(PairSoftmax(shape.width, shape.width), Product(), dropout=shape.dropout)
    return Stack([layer], Attended(shape.width))


def _autoint(shape: Shape) -> nn.Module:
    layers, width = [], shape.width
    for _ in range(shape.layers):
        head = max(1, shape.width // shape.heads)
        heads = [Interaction(Softmax(width, head), Projection(width, head)) for _ in range(shape.heads)]
        residual = nn.Linear(width, head * shape.heads, bias=False) if shape.residual else None
        layers.append(Heads(heads, residual, nn.ReLU()))
        width = head * shape.heads
    return Stack(layers, Aggregate(shape.count, width, "concat"))


def _sam3(shape: Shape, *, product: bool) -> nn.Module:
    layers = []
    for _ in range(shape.layers):
        value = Product() if product else PairWeights(shape.count, shape.width, shape.pair_std)
        similarity = Bilinear(shape.width)
        if product:
            nn.init.orthogonal_(similarity.K, gain=shape.product_gain)
        residual = nn.Linear(shape.width, shape.width, bias=False) if shape.residual else None
        if residual is not None and not shape.published:
            nn.init.orthogonal_(residual.weight)  # what goes through keeps its size
        layers.append(Interaction(similarity, value, residual=residual, dropout=shape.dropout))
    return Stack(layers, Aggregate(shape.count, shape.width, shape.pooling))


def _deepfm(shape: Shape) -> nn.Module:
    joined = shape.count * shape.width
    return Total(PairSum(Dot(), Half(shape.count)), Deep(joined, shape.hidden, shape.dropout))


def _add(name: str, title: str, build: Callable[[Shape], nn.Module], **more: bool) -> None:
    PRESETS.add(name, Preset(build, title, **more))


_add("lr", "logistic regression", lambda s: Nothing(), pairs=True, linear=True)
_add("fm", "factorization machine", lambda s: PairSum(Dot(), Half(s.count)), pairs=True)
_add("fwfm", "field-weighted FM", lambda s: PairSum(Dot(), Symmetric(s.count)), pairs=True)
_add("fmfm", "field-matrixed FM", lambda s: PairSum(PairBilinear(s.count, s.width), Half(s.count)), pairs=True)
_add("ffm", "field-aware FM", lambda s: PairSum(FieldAware(s.count), Half(s.count)), pairs=True, blocks=True)
_add("afm", "attentional FM", _afm)
_add("dcn", "cross layers of DCN", lambda s: CrossNet(s.count * s.width, s.layers))
_add("autoint", "AutoInt", _autoint)
_add("deepfm", "DeepFM", _deepfm)
_add("pnn", "PNN with inner products", lambda s: InnerProducts(s.count, s.width, s.hidden, s.dropout))
_add("nfm", "neural FM", lambda s: BiPooled(s.width, s.hidden, s.dropout))
_add("sam1", "SAM1: no interaction", lambda s: Stack([], Aggregate(s.count, s.width, s.pooling)))
_add("sam2a", "SAM2A: weighted pairs", lambda s: PairSum(Dot(), Contracted(s.count, s.width)), pairs=True)
_add("sam2e", "SAM2E: pairs of products", lambda s: ProductPairs(s.count, s.width), pairs=True)
_add("sam3a", "SAM3A: layers of weighted pairs", lambda s: _sam3(s, product=False))
_add("sam3e", "SAM3E: layers of products", lambda s: _sam3(s, product=True))
