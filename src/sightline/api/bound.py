"""A decision prepared for a model and its inputs: the tower that is explained, a sentence's embedding, the size."""

from __future__ import annotations

from torch import Tensor

from sightline.errors import TargetError
from sightline.models import Adapter, adapt
from sightline.models.towers import towers_of
from sightline.targets import Box, Segment, Target
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


def sized(target: Target, adapter: Adapter, inputs: Tensor) -> Target:
    """The decision on inputs of this size, where it asks about places.

    Raises:
        TargetError: the places that it asks about are not in the inputs.
    """
    if not isinstance(target, Box | Segment):
        return target
    return target.on(adapter.structure(inputs).places)
