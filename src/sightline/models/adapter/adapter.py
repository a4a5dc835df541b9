"""`Adapter`: one model that can be looked into, and how it is called."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from sightline.common.threads import tree
from sightline.errors import InputError
from sightline.models.adapter.call import PLAIN, Call, told
from sightline.models.adapter.embedded import AUTO, embedded
from sightline.models.adapter.layers import LayerSpec
from sightline.models.adapter.shelf import structure_of
from sightline.models.adapter.structure import Structure, Wanted
from sightline.models.adapter.unwrap import unwrap


@dataclass(frozen=True, eq=False)
class Adapter:
    """A model that can be looked into.

    Args:
        model: the plain module, unwrapped.
        classes: number of classes where the last linear or convolutional layer tells, else None.
        call: how it is called with the tensor that is explained.
        names: what the axes of the input's places are called; None takes the usual ones.
    """

    model: nn.Module
    classes: int | None
    call: Call = PLAIN
    names: tuple[str, ...] | None = None

    def run(self, x: Tensor) -> Any:
        """What the model returns for samples of the explained input, and what goes with them."""
        return self.call(self.model, x)

    def rows(self, part: slice) -> Adapter:
        """The same for some of the samples."""
        return self if self.call is PLAIN else replace(self, call=self.call.rows(part))

    def structure(self, x: Tensor, *, fresh: bool = False) -> Structure:
        """What a recorded forward tells of the model for inputs like these; recorded once and kept.

        Args:
            x: the input that is explained, samples first.
            fresh: whether to record anew in any case.

        Raises:
            ModelError: the model failed on them.
        """
        with told(self.model, x):
            return structure_of(self.model, self.call, x, self.names, fresh=fresh)

    def layers(self, x: Tensor, choice: Wanted = None) -> list[LayerSpec]:
        """Where to listen; see `Structure.layers`."""
        return self.structure(x).layers(choice)

    def encoder(self, where: str = AUTO) -> Adapter:
        """The same model as an encoder that returns its embedding; see `sightline.models.adapter.embedded`."""
        return replace(self, model=embedded(self.model, where), classes=None)

    def check_inputs(self, inputs: Tensor) -> None:
        """Refuse inputs that this model cannot take, before any work.

        Raises:
            InputError: no floats with samples first, empty, not finite, or of another dtype or device than the model.
        """
        if not isinstance(inputs, Tensor):
            raise InputError(f"inputs must be a tensor with samples first, not {type(inputs).__name__}")
        shape = tuple(inputs.shape)
        if inputs.ndim < 2:
            raise InputError(
                f"inputs must have shape [batch, channels, places...], but have {shape}; add the batch axis with "
                "inputs[None]"
            )
        if 0 in shape:
            raise InputError(f"inputs hold nothing: their shape is {shape}")
        if not inputs.is_floating_point():
            raise InputError(
                f"inputs must be floats as the model expects them, but are {inputs.dtype}; normalise first"
            )
        if not torch.isfinite(inputs.sum()) and (bad := int((~torch.isfinite(inputs)).sum())):
            raise InputError(f"inputs hold {bad} values that are NaN or infinite, of {inputs.numel()}")
        self._check_home(inputs)

    def _check_home(self, inputs: Tensor) -> None:
        parameters = (p for part in tree(self.model) for p in part._parameters.values() if p is not None)
        first = next((p for p in parameters if p.is_floating_point()), None)
        if first is None:
            return
        if first.device != inputs.device:
            raise InputError(f"inputs are on {inputs.device}, the model on {first.device}; move one with .to(...)")
        if first.dtype != inputs.dtype and not torch.is_autocast_enabled(inputs.device.type):
            raise InputError(f"inputs are {inputs.dtype}, the model is {first.dtype}; convert one with .to(...)")


def adapt(model: nn.Module) -> Adapter:
    """Look at a model's tree of modules and tell where it can be read.

    Args:
        model: any torchvision or timm classifier or plain module; it is not run and not changed.

    Raises:
        ModelError: its inside cannot be read (scripted, exported, sharded).

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        >>> [spec.path for spec in adapt(net).layers(torch.ones(1, 3, 8, 8))]
        ['1']
    """
    plain = unwrap(model)
    return Adapter(model=plain, classes=_classes(plain))


def _classes(model: nn.Module) -> int | None:
    """Number of classes, where the model says it or has exactly one head that ends in a linear layer."""
    count = getattr(model, "num_classes", None)
    if isinstance(count, int) and count > 0:
        return count
    heads = [getattr(model, name, None) for name in ("fc", "classifier", "head", "heads")]
    ends = [_last_linear(head) for head in heads if isinstance(head, nn.Module)]
    sizes = [end.out_features for end in ends if end is not None]
    return sizes[0] if len(sizes) == 1 else None


def _last_linear(head: nn.Module) -> nn.Linear | None:
    return next((m for m in reversed(list(head.modules())) if isinstance(m, nn.Linear)), None)
