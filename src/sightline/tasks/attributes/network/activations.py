"""From attribute logits to probabilities: a soft-max inside a choice, a sigmoid elsewhere.

Knows vocabularies and tensors, no network.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as fn

from sightline.tasks.attributes.data import Vocabulary


def log_activations(logits: Float[Tensor, "b k"], words: Vocabulary) -> Float[Tensor, "b k"]:
    """Logarithm of a_k: log softmax_k inside an exclusive group, log sigmoid(z_k) elsewhere.

    Args:
        logits: z, [b, k].
        words: vocabulary, which says which attributes form a choice.
    """
    out = fn.logsigmoid(logits)
    for group in words.groups:
        if group.exclusive:
            at = torch.tensor(group.members, device=logits.device)
            out = out.index_copy(1, at, logits[:, at].log_softmax(1).to(out.dtype))
    return out


def activations(logits: Float[Tensor, "b k"], words: Vocabulary) -> Float[Tensor, "b k"]:
    """a_k in 0..1: softmax_k(z) inside an exclusive group, sigmoid(z_k) elsewhere."""
    return log_activations(logits, words).exp()
