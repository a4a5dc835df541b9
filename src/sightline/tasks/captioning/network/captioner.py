"""`Captioner`: regions in, words out; and how it is read from its weights file."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sightline.errors import InputError
from sightline.models.architectures import (
    BuiltNetwork,
    architecture,
    build_network,
    half_precision,
    read_spec,
    write_network,
)
from sightline.models.preprocess import Preprocess
from sightline.models.weights import Weights, fit_weights, read_weights
from sightline.tasks.captioning.network.geometry import relative_geometry
from sightline.tasks.captioning.network.layers import DecoderLayer, EncoderLayer, positions
from sightline.tasks.captioning.network.spec import BEGIN, END, PAD, UNKNOWN, CaptionerSpec

ARCHITECTURE = "sightline-captioner"


class Captioner(nn.Module):
    """Encoder over regions, decoder over words [guo2020ngsan].

    Args:
        spec: how it is built.
    """

    def __init__(self, spec: CaptionerSpec) -> None:
        super().__init__()
        self.spec = spec
        width, count = spec.width, len(spec.words)
        self.input = nn.Linear(spec.features, width)
        self.place = nn.Linear(4, width, bias=False) if spec.absolute else None
        self.encoder = nn.ModuleList(
            EncoderLayer(width, spec.heads, spec.inner, spec.attention, spec.dropout) for _ in range(spec.layers)
        )
        self.words = nn.Embedding(count, width)
        nn.init.normal_(self.words.weight, std=width**-0.5)  # `decode` scales it up, to the size of positions
        self.decoder = nn.ModuleList(
            DecoderLayer(width, spec.heads, spec.inner, spec.dropout) for _ in range(spec.layers)
        )
        self.output = nn.Linear(width, count)
        self.dropout = nn.Dropout(spec.dropout)
        self.register_buffer("positions", positions(spec.longest + 2, width), persistent=False)

    def forward(
        self,
        features: Float[Tensor, "b n d"],
        boxes: Float[Tensor, "b n 4"],
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b t v"]:
        """Logits of the word that follows each of the words.

        Args:
            features: of the regions.
            boxes: left, top, right, bottom of the regions, as shares of the picture.
            tokens: words, beginning with `BEGIN`.
            mask: which regions are real; None for all.

        Raises:
            InputError: the regions do not fit the network, or a sample has none.
        """
        return self.decode(tokens, self.encode(features, boxes, mask), mask)

    def encode(
        self, features: Float[Tensor, "b n d"], boxes: Float[Tensor, "b n 4"], mask: Bool[Tensor, "b n"] | None = None
    ) -> Float[Tensor, "b n c"]:
        """The regions, each knowing of the others."""
        self._check(features, boxes, mask)
        x = self.input(features)
        if self.place is not None:
            x = x + self.place(boxes)
        x = self.dropout(x)
        kind = self.spec.attention
        geometry = relative_geometry(boxes, signed=kind.signed) if kind.geometry else None
        for layer in self.encoder:
            x = layer(x, geometry, mask)
        memory: Tensor = x
        return memory

    def decode(
        self, tokens: Int[Tensor, "b t"], memory: Float[Tensor, "b n c"], mask: Bool[Tensor, "b n"] | None = None
    ) -> Float[Tensor, "b t v"]:
        """Logits of the next word behind each word."""
        if tokens.shape[1] > self.spec.longest + 1:
            raise InputError(
                f"the sentence has {tokens.shape[1] - 1} words, but this captioner was built for at most "
                f"{self.spec.longest}; shorten it"
            )
        x = self.words(tokens) * self.spec.width**0.5 + self.get_buffer("positions")[: tokens.shape[1]]
        x = self.dropout(x)
        for layer in self.decoder:
            x = layer(x, memory, mask)
        return self.output(x)  # type: ignore[no-any-return]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Each word's number."""
        return {word: i for i, word in enumerate(self.spec.words)}

    @property
    def pad(self) -> int:
        """Number of the padding."""
        return self.numbers[PAD]

    @property
    def begin(self) -> int:
        """Number of the word that begins every sentence."""
        return self.numbers[BEGIN]

    @property
    def end(self) -> int:
        """Number of the word that ends every sentence."""
        return self.numbers[END]

    @property
    def unknown(self) -> int:
        """Number of the word for words that are not in the vocabulary."""
        return self.numbers[UNKNOWN]

    def _check(self, features: Tensor, boxes: Tensor, mask: Tensor | None) -> None:
        if features.ndim != 3 or features.shape[-1] != self.spec.features:
            raise InputError(
                f"this captioner takes {self.spec.features} features for each region, [samples, regions, "
                f"{self.spec.features}], but got {tuple(features.shape)}; use the features it was trained with"
            )
        if boxes.shape != (*features.shape[:2], 4):
            raise InputError(
                f"every region needs a box of four numbers, [samples, regions, 4]; got {tuple(boxes.shape)} for "
                f"features {tuple(features.shape)}"
            )
        if not features.shape[1] or (mask is not None and not bool(mask.any(1).all())):
            raise InputError("a picture without regions cannot be captioned; give at least one box")


def save_captioner(net: Captioner, path: str | Path) -> Path:
    """Write a captioner in half precision with all that is needed to load it, whole or not at all."""
    return write_network(path, half_precision(net), ARCHITECTURE, net.spec.to_json())


def load_captioner(path: str | Path) -> Captioner:
    """A captioner that `sightline train captions` wrote, in eval mode and float32 on the CPU.

    Raises:
        ModelError: the file is missing, or is not a captioner's.
    """
    return _net(read_weights(path))


@architecture(ARCHITECTURE)
def built(weights: Weights) -> BuiltNetwork:
    """The captioner of a file; its regions are not preprocessed."""
    return BuiltNetwork(_net(weights), None, Preprocess())


def _net(weights: Weights) -> Captioner:
    spec: CaptionerSpec = read_spec(weights, ARCHITECTURE, CaptionerSpec.from_json, "sightline train captions")
    net: Any = build_network(weights, lambda: Captioner(spec), sized=True)
    fit_weights(net, weights, name=ARCHITECTURE)
    return net.eval()  # type: ignore[no-any-return]
