"""Embeddings of a batch, without gradients; the model is left as it was found. It knows no target."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.capture.forward import run_forward
from sightline.common.chunks import in_chunks
from sightline.common.modes import leave_as_found
from sightline.models import Adapter
from sightline.targets import Selector, select_output
from sightline.targets.embedding import vectors_of


def embeddings_of(
    adapter: Adapter,
    inputs: Float[Tensor, "b c h w"],
    *,
    output: Selector | None = None,
    batch_size: int | None = None,
) -> Float[Tensor, "b d"]:
    """What an encoder makes of the inputs, detached.

    Args:
        adapter: the encoder, as `Adapter.encoder` hands it out.
        inputs: as the model takes them.
        output: which part of the encoder's output is the embedding.
        batch_size: most samples at a time; None is all at once.

    Raises:
        TargetError: what it returns is not one vector per sample.
    """
    adapter.check_inputs(inputs)

    def work(part: slice) -> Tensor:
        with leave_as_found(adapter.model), torch.no_grad():
            return vectors_of(select_output(run_forward(adapter.rows(part), inputs[part]), output)).clone()

    return torch.cat([vectors for _, vectors in in_chunks(work, len(inputs), batch_size)])
