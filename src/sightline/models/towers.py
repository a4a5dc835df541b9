"""Models of two towers, one for images and one for text (CLIP, SigLIP and their kin): each tower by itself.

The user's model is not edited. It knows nothing of what embeddings are compared for.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.modes import leave_as_found
from sightline.common.text import clipped
from sightline.errors import ModelError, TargetError
from sightline.models.adapter.embedded import with_forward
from sightline.targets.outputs import describe
from sightline.targets.texts import embedding_of

PAIRS = (("get_image_features", "get_text_features"), ("encode_image", "encode_text"))
"""How the two towers are called in transformers, and in open_clip and CLIP itself."""
TOKENIZERS = ("tokenizer", "processor", "tokenize")
"""Attributes under which a model may carry what makes tokens of its sentences."""
CLIP_WORDS = 49408
"""Size of the vocabulary of CLIP's own tokenizer."""


@dataclass(frozen=True, eq=False)
class Towers:
    """A model of two towers.

    Args:
        model: the module that has both.
        image, text: names of its methods.
        path: where it lies in the user's model; empty for that itself.
    """

    model: nn.Module
    image: str
    text: str
    path: str = ""

    def of_images(self) -> nn.Module:
        """The same parts with the image tower as forward: from images to what that tower returns."""
        name = self.image

        def forward(self: nn.Module, images: Tensor) -> Any:
            return getattr(self, name)(images)

        return with_forward(self.model, forward)

    def embeddings(self, sentences: Sequence[str], tokenizer: Any = None) -> Float[Tensor, "n d"]:
        """Embedding of each sentence, in eval mode, without a graph.

        Args:
            sentences: what the text tower reads.
            tokenizer: a tokenizer or processor of transformers, or a callable from sentences to what the text tower
                takes, as open_clip has it; None looks for one that the model brings.

        Raises:
            TargetError: there is no tokenizer, a sentence is too long, or the tower gives no vectors.
            ModelError: the text tower refuses the tokens.
        """
        tokens = self._tokens(sentences, tokenizer or _own_tokenizer(self.model))
        device = next((p.device for p in self.model.parameters()), torch.device("cpu"))
        tower = getattr(self.model, self.text)
        with leave_as_found(self.model), torch.no_grad():
            try:
                if isinstance(tokens, Mapping):
                    raw = tower(**{key: value.to(device) for key, value in tokens.items()})
                else:
                    raw = tower(tokens.to(device))
            except (RuntimeError, ValueError, TypeError, IndexError) as problem:
                reason = next(iter(str(problem).splitlines()), "") or type(problem).__name__
                raise ModelError(
                    f"the text tower of {type(self.model).__name__} failed on the tokens ({describe(tokens)}): "
                    f"{reason}; give the tokenizer that the model was trained with"
                ) from problem
        vectors = embedding_of(raw)
        if vectors.ndim != 2 or len(vectors) != len(sentences):
            raise TargetError(
                f"the text tower gave {describe(raw)} for {len(sentences)} sentences, where one vector for each was "
                "expected; give embeddings instead of sentences"
            )
        return vectors.detach().clone()

    def chances(self) -> tuple[float | None, float | None]:
        """Scale and bias that make logits of cosines; a bias is that of SigLIP, whose probabilities are sigmoids."""
        scale, bias = (getattr(self.model, name, None) for name in ("logit_scale", "logit_bias"))
        return (
            float(scale.detach().exp()) if isinstance(scale, Tensor) and scale.numel() == 1 else None,
            float(bias.detach()) if isinstance(bias, Tensor) and bias.numel() == 1 else None,
        )

    def _tokens(self, sentences: Sequence[str], tokenizer: Any) -> Any:
        """What the text tower takes: a tensor, or keyword arguments."""
        tokenizer = getattr(tokenizer, "tokenizer", tokenizer)  # a processor brings its tokenizer
        if not hasattr(tokenizer, "model_input_names"):
            tokens = tokenizer(list(sentences))
            return dict(tokens) if isinstance(tokens, Mapping) else torch.as_tensor(tokens)
        most = _longest(self.model)
        # SigLIP was trained on sentences that are filled up to their full length, and misreads shorter ones.
        filled = "siglip" in type(self.model).__name__.lower() and most is not None
        tokens = tokenizer(
            list(sentences), return_tensors="pt", padding="max_length" if filled else True,
            **({"max_length": most} if filled else {}),
        )  # fmt: skip
        length = tokens["input_ids"].shape[1]
        if most is not None and length > most:
            worst = max(sentences, key=len)
            raise TargetError(
                f"the sentence {clipped(worst)} has {length} tokens, but the text tower takes {most}; shorten it"
            )
        known = inspect.signature(getattr(self.model, self.text)).parameters
        return {key: value for key, value in tokens.items() if key in known}


def towers_of(model: nn.Module) -> Towers | None:
    """The two towers of a model, or of the only part of it that has two; None where there are none."""
    parts = [(path, part) for path, part in model.named_modules() if _pair(part) is not None]
    outer = [(path, part) for path, part in parts if not any(_inside(path, other) for other, _ in parts)]
    if len(outer) != 1:
        return None
    path, part = outer[0]
    image, text = _pair(part) or PAIRS[0]
    return Towers(part, image, text, path)


def _pair(part: nn.Module) -> tuple[str, str] | None:
    return next((pair for pair in PAIRS if all(callable(getattr(part, name, None)) for name in pair)), None)


def _inside(path: str, other: str) -> bool:
    return path != other and (not other or path.startswith(other + "."))


def _longest(model: nn.Module) -> int | None:
    """Tokens that the text tower takes, where its configuration says it."""
    config = getattr(model, "config", None)
    most = getattr(getattr(config, "text_config", None), "max_position_embeddings", None)
    return most if isinstance(most, int) else None


def _own_tokenizer(model: nn.Module) -> Any:
    """The tokenizer that a model brings.

    Raises:
        TargetError: it brings none.
    """
    for name in TOKENIZERS:
        if callable(own := getattr(model, name, None)):
            return own
    if (folder := getattr(model, "name_or_path", None)) and (own := _of_folder(str(folder))) is not None:
        return own
    if type(model).__module__.startswith("open_clip") and getattr(model, "vocab_size", 0) == CLIP_WORDS:
        import open_clip

        return open_clip.SimpleTokenizer(context_length=model.context_length)
    raise TargetError(
        f"no tokenizer was found with {type(model).__name__}; give targets.text(..., tokenizer=...), or the "
        "embedding of the sentence in its place"
    )


def _of_folder(folder: str) -> Any:
    """The tokenizer in a folder, or in the cache, of transformers; nothing is fetched."""
    try:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError):
        return None
