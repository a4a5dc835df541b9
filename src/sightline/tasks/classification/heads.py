"""What of a classifier is its head, how deep its other weights lie, and the features that the head reads.

It hands the engine of training what that engine must not know: a network's parts.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sightline.common.modes import evaluating
from sightline.errors import TrainingError
from sightline.gates.surgery.block import GatedBlock
from sightline.models.adapter.embedded import classifiers
from sightline.models.depth import depths
from sightline.targets.base import class_logits
from sightline.targets.select import select_output
from sightline.training.anatomy import Anatomy
from sightline.training.augmentation import normalised


def anatomy_of(net: nn.Module) -> Anatomy:
    """The weights of a classifier: the backbone's by depth; the last layer's and the gates' are the heads'.

    Args:
        net: a network of class logits.
    """
    gates = {
        id(p) for block in net.modules() if isinstance(block, GatedBlock) for p in block.shared_gate().parameters()
    }
    last = tuple(f"{path}." for path in head_paths(net))
    names = [name for name, _ in net.named_parameters()]
    added = frozenset(name for name, parameter in net.named_parameters() if id(parameter) in gates)
    heads = frozenset(name for name in names if name.startswith(last)) if last else frozenset()
    return Anatomy(depths(net, without=heads | added), heads | added, added)


def head_paths(net: nn.Module) -> tuple[str, ...]:
    """Paths of the layers that make class logits; where nothing declares them, the last linear layer of the tree."""
    linear = [path for path, module in net.named_modules() if isinstance(module, nn.Linear)]
    return classifiers(net) or tuple(linear[-1:])


def head_of(net: nn.Module) -> nn.Module:
    """The layer that makes class logits of features.

    Raises:
        TrainingError: the network has none, or several.
    """
    paths = head_paths(net)
    if len(paths) != 1 or math.prod(getattr(net.get_submodule(paths[0]), "kernel_size", (1,))) > 1:
        raise TrainingError(
            f"{type(net).__name__} has no single last layer that could learn on features; leave --frozen out"
        )
    return net.get_submodule(paths[0])


def logits_of(net: nn.Module, x: Tensor) -> Float[Tensor, "b k"]:
    """Class logits of inputs, also where a network wraps them: those of Hugging Face, a dictionary, `[b, k, 1, 1]`.

    Args:
        net: a classifier.
        x: its inputs.

    Raises:
        TargetError: its output holds no class logits.
    """
    return class_logits(select_output(net(x)))


@torch.no_grad()
def features(
    net: nn.Module, images: UInt8[Tensor, "b 3 h w"], mean: Tensor, std: Tensor, batch: int = 32
) -> Float[Tensor, "b c"]:
    """What the last layer reads of pictures, in eval mode; of a convolution its mean over places.

    Args:
        net: a network of class logits; it is left as it was.
        images: pictures as bytes.
        mean: mean of each channel, `[1, c, 1, 1]`.
        std: standard deviation of each channel.
        batch: pictures at a time.
    """
    inputs: list[Tensor] = []

    def take(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        value: Tensor = arguments[0]
        inputs.append(value.mean((2, 3)) if value.ndim == 4 else value.flatten(1))

    with evaluating(net):
        hook = head_of(net).register_forward_pre_hook(take)
        try:
            for part in torch.split(images, batch):
                net(normalised(part, mean, std))
        finally:
            hook.remove()
    return torch.cat(inputs).float()


@torch.no_grad()
def lifted(net: nn.Module, inputs: Float[Tensor, "b 3 h w"]) -> bool:
    """Raise the biases of a last convolution so far that nothing behind it cuts its scores, in place.

    SqueezeNet's scores pass a ReLU before their mean over places, so a head that was fitted to mean features would
    name other classes. The same constant on all classes changes no probability.

    Args:
        net: a network of class logits.
        inputs: pictures as the network takes them.

    Returns:
        Whether scores were cut.
    """
    paths = head_paths(net)
    last = net.get_submodule(paths[0]) if len(paths) == 1 else None
    if not isinstance(last, nn.Conv2d) or last.bias is None:
        return False
    scores: list[Tensor] = []
    # a clone, as a ReLU behind it may change its output in place
    hook = last.register_forward_hook(lambda module, arguments, output: scores.append(output.float().clone()))
    try:
        with evaluating(net):
            logits = logits_of(net, inputs)
    finally:
        hook.remove()
    if torch.allclose(logits, scores[0].mean((2, 3)), rtol=1e-3, atol=1e-3):
        return False
    last.bias += 1.5 * (scores[0].max() - scores[0].min()) - scores[0].max()
    return True
