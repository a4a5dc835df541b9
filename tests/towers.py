"""Tiny models of two towers, one for each way in which their makers call them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

SIDE = 16
WIDTH = 5
WORDS = ("<pad>", "<s>", "</s>", "a", "photo", "of", "cat", "dog", "the", "red", "bird")
BODY = "visual.body"
"""Layer that every one of them has."""


def tokens_of(sentences: Sequence[str]) -> Tensor:
    """Numbers of words, padded to eight, as open_clip's tokenizers give them."""
    rows = [[1, *(WORDS.index(word) for word in sentence.split()), 2] for sentence in sentences]
    return torch.tensor([(row + [0] * 8)[:8] for row in rows])


class HuggingTokenizer:
    """As transformers' tokenizers are called."""

    model_input_names = ("input_ids", "attention_mask")

    def __call__(self, sentences: list[str], *, return_tensors: str, padding: Any, max_length: int = 0) -> Any:
        assert return_tensors == "pt"
        rows = [[1, *(WORDS.index(word) for word in sentence.split()), 2] for sentence in sentences]
        length = max_length if padding == "max_length" else max(map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        return {"input_ids": ids, "attention_mask": (ids > 0).long(), "token_type_ids": ids * 0}


class Visual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())
        self.projection = nn.Linear(8, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(self.body(x).mean((2, 3)))


class Towers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.visual = Visual()
        self.words = nn.Embedding(len(WORDS), WIDTH)
        self.mixed = nn.Linear(WIDTH, WIDTH)
        self.dropout = nn.Dropout(0.5)
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def read(self, ids: Tensor) -> Tensor:
        shares = (ids > 0).float()[..., None]
        return self.mixed(self.dropout(self.words(ids) * shares).sum(1).tanh())


class OpenClip(Towers):
    """open_clip's and CLIP's own way."""

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        features = self.visual(image)
        return nn.functional.normalize(features, dim=-1) if normalize else features

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        return self.read(text)

    def forward(self, image: Tensor, text: Tensor) -> Any:
        return self.encode_image(image, True), self.encode_text(text, True), self.logit_scale.exp()


class Pooled(NamedTuple):
    last_hidden_state: Tensor
    pooler_output: Tensor


class Hugging(Towers):
    """The way of transformers."""

    def get_image_features(self, pixel_values: Tensor) -> Any:
        features = self.visual(pixel_values)
        return Pooled(features[:, None], features)

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Any:
        assert attention_mask is not None
        features = self.read(input_ids)
        return Pooled(features[:, None], features)

    def forward(self, input_ids: Tensor, pixel_values: Tensor) -> Any:
        raise AssertionError("the image tower is explained alone")


class HuggingTensors(Hugging):
    """As transformers did before its fifth version."""

    def get_image_features(self, pixel_values: Tensor) -> Any:
        return super().get_image_features(pixel_values).pooler_output

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Any:
        return super().get_text_features(input_ids, attention_mask).pooler_output


class SiglipLike(Hugging):
    def __init__(self) -> None:
        super().__init__()
        self.logit_bias = nn.Parameter(torch.tensor([-1.5]))


TOWERS: dict[str, Callable[[], nn.Module]] = {
    "open_clip": OpenClip, "hugging": Hugging, "hugging_tensors": HuggingTensors, "siglip": SiglipLike,
}  # fmt: skip


def tokenizer_of(name: str) -> Any:
    return tokens_of if name == "open_clip" else HuggingTokenizer()


def build(name: str) -> Any:
    torch.manual_seed(2)
    return TOWERS[name]().eval()


def pictures(count: int = 1) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3)) * 2 - 1
