"""A decision that needs a part of the model of its own: the tower that is explained, and the sentence's embedding."""

from __future__ import annotations

from sightline.errors import TargetError
from sightline.models import Adapter, adapt
from sightline.models.towers import towers_of
from sightline.targets import Target
from sightline.targets.texts import TextSimilarity


def bound(target: Target, adapter: Adapter) -> tuple[Target, Adapter]:
    """The decision and the model as they are asked: of a similarity to text, its embedding and the image tower.

    Raises:
        TargetError: a sentence is compared with, and the model has no text tower.
    """
    if not isinstance(target, TextSimilarity):
        return target, adapter
    towers, words = towers_of(adapter.model), target.words()
    if towers is None and words:
        raise TargetError(
            f"{type(adapter.model).__name__} has no text tower (get_image_features and get_text_features, or "
            "encode_image and encode_text); give the embedding of the sentence in its place"
        )
    if towers is None:
        return target.bound(None, None, None), adapter
    embeddings = towers.embeddings(words, target.tokenizer) if words else None
    return target.bound(embeddings, *towers.chances()), adapt(towers.of_images())
