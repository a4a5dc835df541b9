"""`Trunk`: a classifier without its head - photos in, one feature map `[b, c, h, w]` out, as fine as one asks.

Works on timm's models, torchvision's and the bundled one. It knows nothing of what is built upon the features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.utils.hooks import RemovableHandle

from sightline.common.modes import evaluating
from sightline.common.nested import tensors_of
from sightline.errors import ModelError
from sightline.models.adapter.discover import units
from sightline.models.adapter.embedded import ended
from sightline.models.adapter.layout import Layout
from sightline.models.adapter.shelf import output_layout
from sightline.models.ends import last_places

Features = Callable[[nn.Module, Tensor], Tensor]
DECLARING = ("timm", "torchvision", "sightline")
"""Packages whose networks say what their features are, by `forward_features` or by `features`."""
STRIDED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


class TooCoarseError(ModelError):
    """Features cannot be as fine as was asked."""


class Trunk(nn.Module):
    """The part of a classifier that makes features.

    Args:
        body: the classifier; its own head is taken away.
        size: `(h, w)` of its pictures, of which one is looked at where nothing declares the features.

    Raises:
        ModelError: the classifier does not take such pictures, or nothing in it has places.
    """

    def __init__(self, body: nn.Module, size: tuple[int, int] = (224, 224)) -> None:
        super().__init__()
        self.body, self.features = _beheaded(body, size)
        self._layouts: dict[tuple[int, ...], Layout | None] = {}

    def forward(self, x: Float[Tensor, "b k y x"]) -> Float[Tensor, "b c h w"]:
        """The last feature map, whatever the layout inside."""
        layout = self._layout(x)
        output = self.features(self.body, x)
        if layout is None or not layout.fits(output.shape, len(x)):
            layout = self._layout(x, fresh=True)
        if layout is None:
            raise ModelError(f"{type(self.body).__name__} ends in a tensor {tuple(output.shape)} that holds no grid")
        return layout.to_grid(output)

    def _layout(self, x: Tensor, *, fresh: bool = False) -> Layout | None:
        """How the features of such pictures are laid out."""
        shape = tuple(x.shape[1:])
        if fresh or shape not in self._layouts:
            self._layouts[shape] = output_layout(self.body, lambda body, two: self.features(body, two), x)
        return self._layouts[shape]

    def forget_layouts(self) -> None:
        """The body computes otherwise from now on."""
        self._layouts.clear()

    def levels(self, x: Float[Tensor, "b k y x"], paths: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        """The last feature map, and the grids `[b, c, h, w]` that the modules at these paths returned on the way."""
        outputs: dict[str, Tensor] = {}
        self._layout(x)  # before anybody listens: it runs the body
        hooks = [self.get_submodule(path).register_forward_hook(_recorder(outputs, path)) for path in paths]
        try:
            last = self.forward(x)
        finally:
            for hook in hooks:
                hook.remove()
        return last, [outputs[path] for path in paths]


def _recorder(outputs: dict[str, Tensor], path: str) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        outputs[path] = output

    return hook


def finer_levels(trunk: Trunk, stride: int, size: tuple[int, int]) -> tuple[tuple[str, int], ...]:
    """Where a trunk's features are finer than its last ones, down to `stride` pixels per cell.

    Args:
        trunk: it is run once and not changed.
        stride: pixels per cell of the finest features that are wanted.
        size: `(h, w)` of the pictures.

    Returns:
        Path and channels of the last block at each finer grid, fine to coarse.

    Raises:
        ModelError: no block has features of that stride.
    """
    end = grid_of(trunk, size).height
    paths = [f"body.{path}" for path in units(trunk.body)]
    shapes: list[tuple[str, tuple[int, ...]]] = []
    hooks = [
        trunk.get_submodule(path).register_forward_hook(lambda m, i, o, path=path: shapes.append((path, o.shape)))
        for path in paths
    ]
    run_watched(trunk, size, hooks)
    grids = {shape[2]: (path, shape[1]) for path, shape in shapes if len(shape) == 4}
    finest = size[0] // stride
    if finest not in grids:
        raise ModelError(
            f"features of stride {stride} were asked for to read attributes off, but {type(trunk.body).__name__} has "
            f"blocks with {', '.join(f'{size[0] / rows:g}' for rows in sorted(grids, reverse=True))} pixels per cell"
        )
    return tuple(grids[rows] for rows in sorted(grids, reverse=True) if end < rows <= finest)


@dataclass(frozen=True)
class Grid:
    """What a trunk makes of a picture: channels, rows and columns of its features."""

    channels: int
    height: int
    width: int


def grid_of(trunk: Trunk, size: tuple[int, int]) -> Grid:
    """Shape of the features of one picture of `(h, w)` pixels."""
    with torch.no_grad():
        shape = features_of_grey(trunk, size).shape
    return Grid(shape[1], shape[2], shape[3])


def hold_stride(trunk: Trunk, stride: int, size: tuple[int, int]) -> Trunk:
    """Keep features as fine as one cell per `stride` pixels: whatever would make them coarser takes every cell.

    Weights stay as they are. Kernels behind a place that no longer strides are dilated, so that they reach as far
    in the picture as before.

    Args:
        trunk: changed in place.
        stride: pixels per cell.
        size: `(h, w)` of the pictures, to find out where the features become that coarse.

    Raises:
        TooCoarseError: the features stay coarser, because they are coarse from the beginning (patches) or through an
            operation that is no convolution or pooling.
    """
    rows = math.ceil(size[0] / stride)
    for module, side in _inputs_of_strided(trunk, size):
        excess = _times(rows, side)
        if excess > 1:
            _dilate(module, excess)
        if side <= rows and _stride(module) > 1:
            _unstride(trunk, module)
    trunk.forget_layouts()
    try:
        height = grid_of(trunk, size).height
    except RuntimeError as problem:  # branches that are joined again no longer have one size
        raise TooCoarseError(
            f"features of stride {stride} were asked for, but {type(trunk.body).__name__} does not run without the "
            "strides behind them; ask for --stride 0, the network's own, or for another backbone"
        ) from problem
    if height < rows and pixels_per_cell(trunk, size) > stride:
        raise TooCoarseError(
            f"features of stride {stride} were asked for, but those of {type(trunk.body).__name__} have "
            f"{size[0] / height:g} pixels per cell at {size[0]} pixels; ask for that, or for another backbone"
        )
    return trunk


def _times(rows: int, side: int) -> int:
    """How many times coarser a grid of `side` rows is: 17 rows halved are 9, so the nearest power of 2 counts."""
    if side >= rows:
        return 1
    return rows // side if rows % side == 0 else 2 ** round(math.log2(rows / side))


def pixels_per_cell(trunk: Trunk, size: tuple[int, int]) -> float:
    """Pixels between neighbouring cells, from how many more rows a taller picture has.

    The side over the rows would take a network that does not pad (13 rows of 224 pixels, 16 pixels apart) for a
    coarser one. A network that takes pictures of one size only is judged by that.

    Args:
        trunk: it is run twice and not changed.
        size: `(h, w)` of the pictures.
    """
    rows = grid_of(trunk, size).height
    more = 2 * size[0]
    try:
        taller = grid_of(trunk, (more, size[1])).height
    except Exception:  # noqa: BLE001 - networks of one size refuse another in many ways
        return size[0] / rows
    return (more - size[0]) / max(1, taller - rows)


def _inputs_of_strided(trunk: Trunk, size: tuple[int, int]) -> list[tuple[nn.Module, int]]:
    """Convolutions and pools in the order in which they run, with the rows of their input."""
    calls: list[tuple[nn.Module, int]] = []
    grid_of(trunk, size)  # its layout is known then, so that the body runs once while we listen
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs: calls.append((module, inputs[0].shape[-2])))
        for module in trunk.modules()
        if isinstance(module, STRIDED)
    ]
    run_watched(trunk, size, hooks)
    return calls


def run_watched(trunk: Trunk, size: tuple[int, int], hooks: Sequence[RemovableHandle]) -> None:
    """Run a trunk on a grey picture, without gradients; the hooks that watch it are taken away at the end."""
    try:
        with torch.no_grad():
            features_of_grey(trunk, size)
    finally:
        for hook in hooks:
            hook.remove()


def features_of_grey(trunk: Trunk, size: tuple[int, int]) -> Tensor:
    """Features of a grey picture, in evaluation mode."""
    weight = next(trunk.parameters())
    with evaluating(trunk):
        out: Tensor = trunk(weight.new_zeros(1, _channels(trunk), *size))
    return out


def _channels(trunk: Trunk) -> int:
    first = next((m for m in trunk.modules() if isinstance(m, nn.Conv2d)), None)
    return 3 if first is None else first.in_channels


def _stride(module: Any) -> int:
    return _pair(module.stride)[0]


def _unstride(trunk: Trunk, module: Any) -> None:
    """Take every cell: stride 1; a pool without overlap goes, for there is nothing left to pool."""
    kernel = max(_pair(module.kernel_size))
    if isinstance(module, nn.Conv2d):
        module.stride = (1, 1)
        if kernel % 2 == 0:
            module.padding = "same"
    elif kernel % 2 == 0:
        parent, _, name = next(path for path, part in trunk.named_modules() if part is module).rpartition(".")
        setattr(trunk.get_submodule(parent), name, nn.Identity())
    else:
        module.stride = 1


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value, value)


def _dilate(module: nn.Module, factor: int) -> None:
    """Let a kernel reach `factor` times as far."""
    if isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1 and not isinstance(module.padding, str):
        module.dilation = (module.dilation[0] * factor, module.dilation[1] * factor)
        module.padding = (int(module.padding[0]) * factor, int(module.padding[1]) * factor)


def _beheaded(body: Any, size: tuple[int, int]) -> tuple[nn.Module, Features]:
    """The body without its head, and how its features are asked for."""
    kind, known = type(body).__name__, type(body).__module__.partition(".")[0] in DECLARING
    if not known:
        try:  # what a user calls features need not be all that comes before the head
            return ended(body, *last_places(body, size)), _first
        except ModelError:
            if not _declares(body):
                raise
    if hasattr(body, "forward_features"):
        return _without_head(body), _own
    if kind == "ResNet" and hasattr(body, "layer4"):
        body.fc = nn.Identity()
        return body, _resnet
    if kind == "VisionTransformer" and hasattr(body, "conv_proj"):
        body.heads = nn.Identity()
        return body, _vit
    if isinstance(getattr(body, "features", None), nn.Module):
        return _chain(body), _rectified if kind == "DenseNet" else _run
    return ended(body, *last_places(body, size)), _first


def _declares(body: nn.Module) -> bool:
    return hasattr(body, "forward_features") or isinstance(getattr(body, "features", None), nn.Module)


def _without_head(body: Any) -> nn.Module:
    """A timm model drops its classifier; the bundled model its two heads."""
    if hasattr(body, "reset_classifier"):
        body.reset_classifier(0)
    for name in ("class_head", "attribute_head"):
        if hasattr(body, name):
            setattr(body, name, nn.Identity())
    plain: nn.Module = body
    return plain


def _chain(body: Any) -> nn.Module:
    """Torchvision's chain of features, with the norm that follows it in some."""
    features: nn.Module = body.features
    norm = getattr(body, "norm", None)
    return nn.Sequential(features, norm) if isinstance(norm, nn.Module) else features


def _run(body: Any, x: Tensor) -> Tensor:
    out: Tensor = body(x)
    return out


def _first(body: Any, x: Tensor) -> Tensor:
    """What a body gives, or the first tensor of it."""
    return next(iter(tensors_of(body(x))))


def _own(body: Any, x: Tensor) -> Tensor:
    out: Tensor = body.forward_features(x)
    return out


def _rectified(body: Any, x: Tensor) -> Tensor:
    return fn.relu(_run(body, x))


def _resnet(body: Any, x: Tensor) -> Tensor:
    for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
        x = getattr(body, name)(x)
    return x


def _vit(body: Any, x: Tensor) -> Tensor:
    tokens = body._process_input(x)
    out: Tensor = body.encoder(torch.cat([body.class_token.expand(len(x), -1, -1), tokens], dim=1))
    return out
