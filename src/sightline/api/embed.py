"""Embeddings of pictures: `embed`."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from sightline.api.inputs import passed
from sightline.capture.embed import embeddings_of
from sightline.common.threads import exclusive
from sightline.models.adapter.embedded import AUTO
from sightline.models.load import LoadedModel
from sightline.targets import Selector


@exclusive
def embed(
    model: nn.Module | LoadedModel,
    inputs: Any,
    *,
    embedding: str = AUTO,
    output: Selector | None = None,
    batch_size: int | None = None,
    preprocess: Any = None,
) -> Float[Tensor, "b d"]:
    """Embeddings of pictures, for references, prototypes and banks.

    Args:
        model: any model that `explain` takes; it is left as it was found.
        inputs: as the model takes them, or pictures: paths, PIL images, arrays; see `explain`.
        embedding: place at which it is read: `"auto"`, the input of the model's last classifier, or its output if it
            has none; `"none"`, its output; or the path of a module.
        output: which part of the model's output is the embedding, where it returns several.
        batch_size: most samples at a time.
        preprocess: how images are preprocessed, where the model does not say.

    Raises:
        ModelError, TargetError: there is no such module, or it does not give one vector per picture.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        >>> embed(net, torch.ones(5, 3, 8, 8)).shape
        torch.Size([5, 4])
    """
    content = passed(model, inputs, preprocess=preprocess)
    return embeddings_of(content.adapter().encoder(embedding), content.inputs, output=output, batch_size=batch_size)
