"""How deep each weight of a network lies: its block's number in forward order, as the tree of modules has it.

For trainings that let early blocks learn more slowly. It runs nothing.
"""

from __future__ import annotations

from torch import nn

from sightline.models.adapter.discover import units


def depths(net: nn.Module, root: str = "", *, without: frozenset[str] = frozenset()) -> dict[str, int]:
    """Depth of every parameter below a module, from 0 at the input.

    Parameters of one block have one depth. Outside of blocks a layer has a depth of its own, and a norm, scale or
    bias that of the layer before it.

    Args:
        net: the network; it is not run and not changed.
        root: path of the part whose parameters are meant.
        without: names of parameters that are left out, such as those of heads.

    Example:
        >>> stem = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        >>> depths(nn.Sequential(stem, nn.Conv2d(4, 4, 1, bias=False)))
        {'0.0.weight': 0, '0.0.bias': 0, '0.1.weight': 0, '0.1.bias': 0, '1.weight': 1}
    """
    part = net.get_submodule(root)
    blocks = units(part, root)
    numbers: dict[str, int] = {}
    place, depth = "", -1
    for name, parameter in part.named_parameters(root):
        if name in without:
            continue
        block = next((path for path in blocks if name.startswith(f"{path}.")), None)
        layer = block or name.rpartition(".")[0]
        if depth < 0 or (layer != place and (block is not None or parameter.ndim > 1)):
            place, depth = layer, depth + 1
        numbers[name] = depth
    return numbers
