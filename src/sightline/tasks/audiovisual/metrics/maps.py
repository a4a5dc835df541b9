"""Maps of where and when by any means: the network's own attention, explainers on its picture tokens, controls."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.metrics import centred_gaussian
from sightline.tasks.audiovisual.network.net import EventNet

Maps = tuple[Float[Tensor, "b t y x"], Float[Tensor, "b s"]]
"""WHERE and WHEN."""
Inputs = tuple[Float[Tensor, "b t 3 h w"], Float[Tensor, "b s m f"]]
Way = Callable[[EventNet, Inputs, Tensor], Maps]
"""From a network, inputs and the output of each scene to its maps."""


def cells_of_frame(net: EventNet, frames: Float[Tensor, "b t 3 h w"]) -> tuple[int, int]:
    """Rows and columns of the network's patches."""
    return frames.shape[-2] // net.spec.patch, frames.shape[-1] // net.spec.patch


@torch.no_grad()
def attention(net: EventNet, inputs: Inputs, outputs: Int[Tensor, " b"]) -> Maps:
    """The network's own maps of one output for each scene."""
    attended = net.attend(*inputs)
    chosen = outputs.clamp(max=attended.weights.shape[1] - 1)
    weights = attended.weights[torch.arange(len(chosen)), chosen]
    return weights.sum(2).reshape(-1, *attended.grid), weights.sum(1)


def gradients(net: EventNet, inputs: Inputs, outputs: Int[Tensor, " b"]) -> Maps:
    """Input times gradient: its positive part over each patch, and over each segment."""
    frames, spectra = (part.detach().requires_grad_() for part in inputs)
    logits = net(frames, spectra)
    picture, sound = torch.autograd.grad(logits.gather(1, outputs[:, None]).sum(), (frames, spectra))
    pixels = (frames * picture).detach().sum(2)
    cells = torch.nn.functional.adaptive_avg_pool2d(pixels, cells_of_frame(net, frames))
    return cells.clamp(min=0), (spectra * sound).detach().sum((2, 3)).clamp(min=0)


def gradcam(net: EventNet, inputs: Inputs, outputs: Int[Tensor, " b"]) -> Maps:
    r"""Grad-CAM [selvaraju2017gradcam] on the tokens of both encoders: $\mathrm{ReLU}(\sum_c \bar g_c A_c)$."""
    kept: dict[str, Tensor] = {}
    hooks = [
        part.register_forward_hook(lambda _, __, out, name=name: kept.__setitem__(name, out))
        for name, part in (("picture", net.picture), ("sound", net.sound))
    ]
    try:
        with torch.enable_grad():
            logits = net(*(part.detach().requires_grad_() for part in inputs))
            picture, sound = kept["picture"], kept["sound"]
            ours, theirs = torch.autograd.grad(logits.gather(1, outputs[:, None]).sum(), (picture, sound))
    finally:
        for hook in hooks:
            hook.remove()
    where = (picture * ours.mean((1, 3, 4), keepdim=True)).sum(2)
    when = (sound * theirs.mean(1, keepdim=True)).sum(2)
    return where.detach().clamp(min=0), when.detach().clamp(min=0)


def lrp(net: EventNet, inputs: Inputs, outputs: Int[Tensor, " b"]) -> Maps:
    """The LRP flow at the last layer of the picture's encoder, its positive part; its WHEN is even: it has none."""
    from sightline.api.explain import explain

    layer = [name for name, _ in net.picture.named_modules()][-1]
    even = torch.ones(inputs[1].shape[:2])
    maps: Tensor | None = None
    for output in sorted(set(outputs.tolist())):
        rows = (outputs == output).nonzero()[:, 0]
        own = tuple(part[rows] for part in inputs)
        items = explain(net, own, target=output, method="lrp", layers=f"picture.{layer}", domain="space-time")
        values = torch.stack([item.flow[-1].values for item in items]).clamp(min=0)
        maps = values.new_zeros(len(outputs), *values.shape[1:]) if maps is None else maps
        maps[rows] = values
    return torch.as_tensor(maps), even


def uniform(net: EventNet, inputs: Inputs, outputs: Int[Tensor, " b"]) -> Maps:
    """The same everywhere."""
    frames, spectra = inputs
    count, length = frames.shape[:2]
    return torch.ones(count, length, *cells_of_frame(net, frames)), torch.ones(spectra.shape[:2])


def centre(net: EventNet, inputs: Inputs, outputs: Int[Tensor, " b"]) -> Maps:
    """The middle of every picture, and the middle of the time."""
    where, when = uniform(net, inputs, outputs)
    return where * centred_gaussian(tuple(where.shape[2:])), when * centred_gaussian((when.shape[1],))


def loudness(net: EventNet, inputs: Inputs, outputs: Int[Tensor, " b"]) -> Maps:
    """What moves in the picture, and how loud each segment is."""
    frames, spectra = inputs
    change = (frames - frames.roll(1, 1)).abs().mean(2)
    change[:, 0] = change[:, 1]
    cells = torch.nn.functional.adaptive_avg_pool2d(change, cells_of_frame(net, frames))
    return cells, spectra.exp().mean((2, 3))


WAYS: dict[str, Way] = {
    "attention": attention,
    "gradcam": gradcam,
    "input x gradient": gradients,
    "LRP flow": lrp,
    "uniform": uniform,
    "middle of the picture": centre,
    "loudness": loudness,
}
"""By name; `loudness` has movement for WHERE."""
