"""What the inverse of an affine map needs beside its weights: its mean eigenvalue, and small inverses over channels.

`damping` is relative: the weight of `|d|^2` is `damping` times the mean eigenvalue of `W^T W`, in closed form
`|W|_F^2 / (inputs per group x stride)`. Where windows do not overlap (1x1 convolutions, linear layers, patches) the
damped pseudo-inverse is exact and is one product.

All of it depends on weights only, so it is kept from one walk to the next for as long as they stay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from sightline.explainers.flow.affine import Affine, Convolution, Linear


@dataclass(frozen=True, eq=False)
class Damped:
    """What an affine map needs to be inverted.

    Args:
        damping: absolute weight of `|d|^2`.
        inverse: weights whose transposed map is the exact damped pseudo-inverse; None where windows overlap.
    """

    damping: float
    inverse: Tensor | None = None


@dataclass(eq=False)
class InverseCache:
    """Inverses of one model's affine maps: those that this walk has used, and those of the walk before."""

    now: dict[tuple[object, ...], tuple[Tensor, Damped]] = field(default_factory=dict)
    before: dict[tuple[object, ...], tuple[Tensor, Damped]] = field(default_factory=dict)

    def turn(self) -> InverseCache:
        """Begin a walk. What the last one did not use goes: weights that a model computes anew have no end."""
        self.before, self.now = self.now, {}
        return self

    def get(self, step: Affine, W: Tensor, damping: float) -> Damped:
        """What inverts a map, from the shelf where its weights are the same as then."""
        if not windows_apart(step):
            return damped(step, W, damping)
        weight = step.weight
        key = (weight.data_ptr(), tuple(W.shape), W.dtype, str(W.device), _geometry(step), damping)
        inverse = self.now.get(key) or self.before.get(key)
        # All weights are compared: `.data`, a shared array or a permutation change them and leave no trace.
        if inverse is None or not torch.equal(inverse[0], W):
            inverse = W.clone(), damped(step, W, damping)
        self.now[key] = inverse
        return inverse[1]


_CACHES: WeakKeyDictionary[nn.Module, InverseCache] = WeakKeyDictionary()


def cache_of(model: nn.Module) -> InverseCache:
    """The shelf of a model, for one more walk; it goes when the model goes."""
    return _CACHES.setdefault(model, InverseCache()).turn()


def damped(step: Affine, W: Tensor, damping: float) -> Damped:
    """What inverts a convolution or a linear layer.

    Args:
        step: the map.
        W: its weights, a fused batch norm's factor in them.
        damping: strength of the Tikhonov term, relative to the mean eigenvalue.
    """
    weight = damping * mean_eigenvalue(step, W)
    if not windows_apart(step):
        return Damped(weight)
    groups = step.groups if isinstance(step, Convolution) else 1
    rows = W.reshape(groups, W.shape[0] // groups, -1) if isinstance(step, Convolution) else W.t()[None]
    exact = rows.to(torch.promote_types(W.dtype, torch.float32))
    return Damped(weight, _as_weights(step, W, _pseudo_inverse(exact, weight).to(W.dtype)))


def mean_eigenvalue(step: Affine, W: Tensor) -> float:
    """Mean eigenvalue of `W^T W`, but for the borders: the size of all taps that an input meets."""
    size = float(W.float().square().sum() if W.itemsize < 4 else W.square().sum())
    if not isinstance(step, Convolution):
        return size / W.shape[0]
    if step.transposed:
        return size / W.shape[0]
    area = math.prod(step.options[0]) if not windows_apart(step) else math.prod(W.shape[2:])
    return size / (W.shape[1] * step.groups * area)


def windows_apart(step: Affine) -> bool:
    """Whether no two outputs read the same input, so that the map is inverted window by window."""
    if isinstance(step, Linear):
        return True
    if not isinstance(step, Convolution) or step.transposed:
        return False
    stride, padding, dilation = step.options[:3]
    sides = step.weight.shape[2:]
    return not any(padding) and all(
        k <= s and (d == 1 or k == 1) for k, s, d in zip(sides, stride, dilation, strict=True)
    )


def _geometry(step: Affine) -> tuple[object, ...]:
    if not isinstance(step, Convolution):
        return (type(step).__name__,)
    return tuple(tuple(x) if isinstance(x, list) else x for x in step.options)


def _pseudo_inverse(rows: Tensor, weight: float) -> Tensor:
    """`(R^T R + weight)^-1 R^T` of each group, by the smaller of the two grams; undamped by singular values."""
    if weight == 0:
        inverse: Tensor = torch.linalg.pinv(rows)
        return inverse
    if rows.shape[1] < rows.shape[2]:
        return rows.mT @ _inverse(rows @ rows.mT, weight)
    return _inverse(rows.mT @ rows, weight) @ rows.mT


def _inverse(gram: Tensor, weight: float) -> Tensor:
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    inverse: Tensor = torch.cholesky_inverse(torch.linalg.cholesky(gram + weight * eye))
    return inverse


def _as_weights(step: Affine, W: Tensor, inverse: Tensor) -> Tensor:
    """A pseudo-inverse `[g, inputs, outputs]` laid out like the weights, to be used by `step.transpose`."""
    if not isinstance(step, Convolution):
        return inverse[0].contiguous()
    return inverse.mT.reshape(W.shape).contiguous()
