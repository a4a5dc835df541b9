"""What the similarity targets share: reading an embedding, its norm, a reference for each sample."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import TargetError

HALF = (torch.float16, torch.bfloat16)


def vectors_of(output: Tensor) -> Float[Tensor, "b d"]:
    """The output as embeddings `[b, d]`, in float32 at least; `[b, d, 1, 1]` loses its empty axes.

    Raises:
        TargetError: it holds more than one vector per sample, or none.
    """
    if output.ndim > 2 and output[0].numel() == output.shape[1]:
        output = output.flatten(1)
    if output.ndim != 2 or not output.shape[1]:
        raise TargetError(
            f"a similarity needs an embedding of shape [batch, d], but what was read is {tuple(output.shape)}; "
            "say where to read it: embedding=<path of a module that gives one vector per picture>"
        )
    return output.float() if output.dtype in HALF else output


def norms_of(e: Float[Tensor, "n d"], *, tolerant: bool = False, what: str = "embedding") -> Float[Tensor, "n 1"]:
    """Euclidean norm of each row.

    Args:
        e: embeddings.
        tolerant: give 1 for the norm of a zero row, so that its cosine with anything is 0, rather than refuse it.
        what: what the rows are, for the error text.

    Raises:
        TargetError: a row is zero, so it has no direction.
    """
    norms: Tensor = torch.linalg.vector_norm(e, dim=1, keepdim=True)
    if tolerant:
        return torch.where(norms > 0, norms, torch.ones_like(norms))
    zero = (norms[:, 0] == 0).nonzero()[:, 0].tolist()
    if zero:
        rows = ", ".join(map(str, zero[:5])) + (", ..." if len(zero) > 5 else "")
        raise TargetError(
            f"the {what} of row {rows} is zero, so it has no direction and no cosine; compare by 'dot' or "
            "'euclidean', or read the embedding elsewhere"
        )
    return norms


def directions_of(
    e: Float[Tensor, "n d"], *, freeze_norm: bool, tolerant: bool = False, what: str = "embedding"
) -> Float[Tensor, "n d"]:
    """Each row over its norm; the norm is a constant of the gradient if frozen."""
    norms = norms_of(e, tolerant=tolerant, what=what)
    return e / (norms.detach() if freeze_norm else norms)


def rows_for(reference: Tensor, e: Float[Tensor, "b d"], *, what: str = "reference") -> Float[Tensor, "b d"]:
    """A reference for each embedding: one for all, or one per sample.

    Raises:
        TargetError: it has another width, or neither one row nor as many as there are samples.
    """
    rows = reference.detach().to(e)
    rows = rows[None] if rows.ndim == 1 else rows.flatten(1)
    check_width(rows, e, what=what)
    if len(rows) not in (1, len(e)):
        raise TargetError(
            f"{len(rows)} references were given for a batch of {len(e)} samples; give one, or one for each"
        )
    return rows.expand(len(e), -1)


def check_width(rows: Float[Tensor, "n d"], e: Float[Tensor, "b d"], *, what: str) -> None:
    """Refuse vectors of another width than the embedding.

    Raises:
        TargetError: saying both widths.
    """
    if rows.shape[1] != e.shape[1]:
        raise TargetError(
            f"the {what} has {rows.shape[1]} numbers, but the model's embedding has {e.shape[1]}; make both with the "
            "same model, read at the same place (sightline.embed)"
        )


def bank_of(bank: Tensor, e: Float[Tensor, "b d"], *, what: str, least: int = 1) -> Float[Tensor, "n d"]:
    """Vectors that embeddings are compared with, on their device and of their type.

    Raises:
        TargetError: they are no matrix, too few, or of another width.
    """
    if bank.ndim != 2:
        raise TargetError(f"{what} must be a matrix [n, d], one row for each, but has shape {tuple(bank.shape)}")
    if len(bank) < least:
        raise TargetError(f"at least {least} {what} are needed, but {len(bank)} were given")
    rows = bank.detach().to(e)
    check_width(rows, e, what=what)
    return rows
