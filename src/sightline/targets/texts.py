"""The decision of a model of two towers: how like an image is to a sentence, or to any other embedding.

What is explained is the image tower; the sentence is read once. It knows nothing of models: who binds it to one hands
over the embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from sightline.common.text import clipped
from sightline.errors import TargetError
from sightline.targets.base import Readout, Target
from sightline.targets.embedding import check_width, directions_of, vectors_of
from sightline.targets.select import select_output

PARTS = ("image_embeds", "text_embeds", "image_features", "text_features", "pooler_output", "embeddings")
"""Where towers keep their embedding, the most special name first."""


@dataclass(frozen=True, eq=False, repr=False)
class TextSimilarity(Target):
    """Cosine of the image's embedding and that of a sentence, `s = e . r / (|e| |r|)`; with a contrast `s - s'`.

    As in `CosineSimilarity`, `|e|` is a constant of the gradient by default, so that the embedding's parts add up to
    the score.

    Args:
        sentences: in words, one decision each; empty where embeddings are given.
        references: `[k, d]` embeddings.
        contrast: a sentence or embedding `[d]` whose cosine is taken off.
        names: what embeddings are, in words.
        tokenizer: what makes tokens of sentences; None is the model's own.
        scaled: multiply by the model's logit scale.
        freeze_norm: hold `|e|` constant; False takes the true gradient.
        tolerant: a zero embedding has cosine 0 instead of being refused.
        scale: the model's logit scale, where it has one.
        bias: its logit bias, where it has one.
    """

    sentences: tuple[str, ...] = ()
    references: Float[Tensor, "k d"] | None = None
    contrast: str | Float[Tensor, " d"] | None = None
    names: tuple[str, ...] = ()
    tokenizer: Any = None
    scaled: bool = False
    freeze_norm: bool = True
    tolerant: bool = False
    scale: float | None = None
    bias: float | None = None

    wants_raw = True

    def __repr__(self) -> str:
        return f"TextSimilarity({'; '.join(self._labels())})"

    def frozen(self, output: Any, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`; what a changed input leaves of the embedding may be zero."""
        return replace(self, tolerant=True)

    def against(self, other: int | str) -> Target:
        """See `Target.against`: why this sentence and not the other."""
        return replace(self, contrast=str(other))

    def words(self) -> tuple[str, ...]:
        """Sentences that have no embedding yet."""
        own = self.sentences if self.references is None else ()
        return (*own, *((self.contrast,) if isinstance(self.contrast, str) else ()))

    def bound(
        self, embeddings: Float[Tensor, "n d"] | None, scale: float | None, bias: float | None
    ) -> TextSimilarity:
        """The same decision with the embeddings of `words`, and what makes logits of cosines in this model.

        Raises:
            TargetError: a logit scale is asked for, and there is none.
        """
        if self.scaled and scale is None:
            raise TargetError("a scaled similarity was asked for, but this model has no logit_scale; leave it out")
        references, contrast = self.references, self.contrast
        if embeddings is not None and isinstance(contrast, str):
            embeddings, contrast = embeddings[:-1], embeddings[-1]
        names = tuple(self._labels())
        return replace(
            self, references=embeddings if references is None else references, contrast=contrast, scale=scale,
            bias=bias, names=names,
        )  # fmt: skip

    def read(self, output: Any, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        if self.words() or self.references is None:
            raise TargetError(
                f"the sentence {clipped(self.words()[0])} has no embedding yet; sightline.explain asks the model's "
                "text tower for it"
            )
        e = vectors_of(embedding_of(output))
        directions = directions_of(e, freeze_norm=self.freeze_norm, tolerant=self.tolerant)
        cosines = directions @ self._directions(self.references, e).T
        scores = cosines
        if isinstance(self.contrast, Tensor):
            scores = cosines - directions @ self._directions(self.contrast[None], e).T
        if self.scaled and self.scale is not None:
            scores = scores * self.scale
        return Readout(scores, (tuple(self._labels()),) * len(e), probabilities=self._chances(cosines.detach()))

    def _directions(self, rows: Tensor, e: Float[Tensor, "b d"]) -> Float[Tensor, "k d"]:
        rows = rows.detach().to(e)
        check_width(rows, e, what="reference")
        return directions_of(rows, freeze_norm=True, what="reference")

    def _chances(self, cosines: Float[Tensor, "b k"]) -> Float[Tensor, "b k"] | None:
        """Probabilities as the model was trained: of each sentence by itself, or among those that are asked about."""
        if self.scale is None or self.contrast is not None:
            return None
        if self.bias is not None:
            return (cosines * self.scale + self.bias).sigmoid()
        return (cosines * self.scale).softmax(1) if cosines.shape[1] > 1 else None

    def _labels(self) -> list[str]:
        """Each decision in words."""
        if self.sentences and isinstance(self.contrast, str):
            return [f'"{one}" rather than "{self.contrast}"' for one in self.sentences]
        return list(self.names) or [f'"{one}"' for one in self.sentences]


def embedding_of(output: Any) -> Tensor:
    """The embedding in what a tower returned: a tensor, or a part under a usual name.

    Raises:
        TargetError: there is none.
    """
    if isinstance(output, Tensor):
        return output
    for name in PARTS:
        part = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(part, Tensor):
            return part
    return select_output(output)


def text(
    what: str | Sequence[str] | Tensor,
    *,
    contrast: str | Tensor | None = None,
    tokenizer: Any = None,
    name: str | Sequence[str] = "the embedding",
    scaled: bool = False,
    freeze_norm: bool = True,
) -> TextSimilarity:
    """The decision of a model of two towers: how like the image is to a sentence.

    Args:
        what: a sentence, or several; or embeddings `[d]` or `[k, d]` of what the image is compared with.
        contrast: why `what` rather than this sentence or embedding `[d]`.
        tokenizer: what makes tokens of sentences (a tokenizer or processor of transformers, open_clip's
            `get_tokenizer(...)`, any callable); None is the one that the model brings.
        name: what the embeddings are, in words.
        scaled: multiply by the model's logit scale.
        freeze_norm: hold the embedding's norm constant in the gradient; False takes the true gradient of the cosine.

    Raises:
        TargetError: there is no sentence, or a tensor of another shape.

    Example:
        >>> text("a photo of a dog", contrast="a photo of a cat")
        TextSimilarity("a photo of a dog" rather than "a photo of a cat")
    """
    options: dict[str, Any] = {
        "contrast": contrast,
        "tokenizer": tokenizer,
        "scaled": scaled,
        "freeze_norm": freeze_norm,
    }
    if isinstance(contrast, Tensor) and contrast.squeeze().ndim != 1:
        raise TargetError(f"the contrast must be one embedding [d], but has shape {tuple(contrast.shape)}")
    if isinstance(contrast, Tensor):
        options["contrast"] = contrast.detach().squeeze()
    if not isinstance(what, Tensor):
        sentences = (what,) if isinstance(what, str) else tuple(what)
        if not sentences or not all(isinstance(one, str) and one.strip() for one in sentences):
            raise TargetError("no sentence was given; write one, for example 'a photo of a dog'")
        return TextSimilarity(sentences, **options)
    rows = what.detach()[None] if what.ndim == 1 else what.detach()
    if rows.ndim != 2 or not rows.numel():
        raise TargetError(f"embeddings must have shape [d] or [k, d], but have {tuple(what.shape)}")
    names = (name,) if isinstance(name, str) else tuple(name)
    if len(names) == 1 < len(rows):
        names = tuple(f"{names[0]} {i}" for i in range(len(rows)))
    if len(names) != len(rows):
        raise TargetError(f"{len(rows)} embeddings came with {len(names)} names; give one for each")
    return TextSimilarity(references=rows, names=tuple(f"likeness to {one}" for one in names), **options)
