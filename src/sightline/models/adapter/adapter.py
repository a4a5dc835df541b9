"""`Adapter`: what is known of one model - its layers, their layout, its classes - without running it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from sightline.errors import InputError, LayerError
from sightline.models.adapter.discover import discover_blocks, discover_convolutions, prefix_tokens
from sightline.models.adapter.embedded import AUTO, embedded
from sightline.models.adapter.layers import INPUT, LayerSpec, match_layers
from sightline.models.adapter.layout import Layout, find_layout
from sightline.models.adapter.unwrap import unwrap

Wanted = str | Sequence[str] | None


@dataclass(frozen=True, eq=False)
class Adapter:
    """A model that can be looked into.

    Args:
        model: the plain module, unwrapped.
        blocks: its default layers, as found in its tree.
        prefix: tokens before the grid, in models that have tokens.
        windows: whether four-axis tensors are `[b, h, w, c]`; None decides by shape.
        classes: number of classes where the last linear or convolutional layer tells, else None.
    """

    model: nn.Module
    blocks: tuple[LayerSpec, ...]
    prefix: int
    windows: bool | None
    classes: int | None

    def layers(self, choice: Wanted = None) -> list[LayerSpec]:
        """Where to listen.

        Args:
            choice: None or `"all"` for every block, `"convs"` for every convolution, `"last"` for the last block,
                or names and wildcards.

        Raises:
            LayerError: nothing found, or a name that matches nothing.
        """
        if isinstance(choice, str):
            choice = [part for part in choice.replace(" ", ",").split(",") if part]
        if choice is not None and not len(choice):
            raise LayerError("no layer was asked for; leave layers out for all blocks")
        names = list(choice or ["all"])
        specs: dict[LayerSpec, None] = {}
        for name in names:
            specs.update(dict.fromkeys(self._group(name)))
        if not specs:
            raise LayerError(f"{type(self.model).__name__} has no blocks or convolutions; name layers by module path")
        return list(specs)

    def _group(self, name: str) -> list[LayerSpec]:
        if name == "input" or name.endswith("+input"):
            return [INPUT, *(self._group(name.removesuffix("+input")) if name != "input" else ())]
        if name in ("all", "blocks"):
            return list(self.blocks)
        if name == "last":
            return list(self.blocks[-1:])
        if name == "convs":
            return discover_convolutions(self.model)
        paths = [path for path, _ in self.model.named_modules() if path]
        return match_layers([name], self.blocks, paths)

    def encoder(self, where: str = AUTO) -> Adapter:
        """The same model as an encoder that returns its embedding; see `sightline.models.adapter.embedded`."""
        return replace(self, model=embedded(self.model, where), classes=None)

    def layout(self, shape: tuple[int, ...], picture: tuple[int, int]) -> Layout | None:
        """How a layer's tensor of this shape is laid out; None where it holds no grid."""
        return find_layout(shape, picture, prefix=self.prefix, windows=self.windows)

    def check_inputs(self, inputs: Tensor) -> None:
        """Refuse inputs that this model cannot take, before any work.

        Raises:
            InputError: not `[b, c, h, w]` floats, empty, not finite, or of another dtype or device than the model.
        """
        if not isinstance(inputs, Tensor):
            raise InputError(f"inputs must be a tensor [batch, channels, height, width], not {type(inputs).__name__}")
        shape = tuple(inputs.shape)
        if inputs.ndim != 4:
            hint = "; add the batch axis with inputs[None]" if inputs.ndim == 3 else ""
            raise InputError(f"inputs must have shape [batch, channels, height, width], but have {shape}{hint}")
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
        first = next((p for p in self.model.parameters() if p.is_floating_point()), None)
        if first is None:
            return
        if first.device != inputs.device:
            raise InputError(f"inputs are on {inputs.device}, the model on {first.device}; move one with .to(...)")
        if first.dtype != inputs.dtype and not torch.is_autocast_enabled(inputs.device.type):
            raise InputError(f"inputs are {inputs.dtype}, the model is {first.dtype}; convert one with .to(...)")
        channels = _input_channels(self.model)
        if channels is not None and channels != inputs.shape[1]:
            raise InputError(
                f"inputs have {inputs.shape[1]} channels, but the model's first convolution takes {channels}"
            )


def adapt(model: nn.Module) -> Adapter:
    """Look at a model's tree of modules and tell where it can be read.

    Args:
        model: any torchvision or timm classifier or plain module; it is not run and not changed.

    Raises:
        ModelError: its inside cannot be read (scripted, exported, sharded).

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        >>> [spec.path for spec in adapt(net).layers()]
        ['1']
    """
    plain = unwrap(model)
    blocks, prefix = tuple(discover_blocks(plain)), prefix_tokens(plain)
    return Adapter(model=plain, blocks=blocks, prefix=prefix, windows=_windows(plain), classes=_classes(plain))


def _windows(model: nn.Module) -> bool | None:
    """What the model itself says about channels-last tensors; shape decides where it is silent."""
    axes = getattr(model, "output_fmt", None)
    if axes is not None:
        return "NHWC" in str(axes) or None
    return True if type(model).__name__ == "SwinTransformer" else None


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


def _input_channels(model: nn.Module) -> int | None:
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    return None if first is None or next(iter(model.parameters())) is not first.weight else first.in_channels
