"""EigenCAM: the first principal direction of a layer's activations, found through the smaller Gram matrix."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.capture import Pair
from sightline.explainers.method import reduction


@reduction(
    name="eigencam",
    title="EigenCAM",
    family="CAM",
    needs="activation",
    equation="A v1,  A = U S V^T with places as rows and channels as columns",
    source="muhammad2020eigencam",
    cost="1 forward",
    no_input="it knows no decision, and its map there would be the picture in its main colour",
)
def eigencam(pair: Pair) -> Float[Tensor, "b h w"]:
    """Projection of every place on the first right singular vector of the activations [muhammad2020eigencam].

    The decision is not used. With n = min(places, channels) one symmetric eigenproblem of size n is solved, where a
    singular value decomposition would cost the larger size as well. The sign, which the decomposition leaves open, is
    the one that makes the map's sum positive.
    """
    along = first_component(pair.A.flatten(2).mT)
    return along.reshape(len(pair.A), *pair.A.shape[2:])


def first_component(X: Float[Tensor, "b n c"]) -> Float[Tensor, "b n"]:
    """`X v1` for the first right singular vector v1 of each X, with a positive sum."""
    scale = X.abs().amax((1, 2), keepdim=True).clamp_min(torch.finfo(X.dtype).tiny)
    X = X / scale
    by_place = X.shape[1] <= X.shape[2]
    gram = X @ X.mT if by_place else X.mT @ X
    values, vectors = torch.linalg.eigh(gram)
    first = vectors[..., -1]
    along = first * values[..., -1:].clamp_min(0).sqrt() if by_place else (X @ first[..., None])[..., 0]
    signed: Tensor = torch.where(along.sum(1, keepdim=True) < 0, -along, along) * scale[..., 0]
    return signed
