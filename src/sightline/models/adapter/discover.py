"""Finding a model's layers from its tree of modules, without running it.

Blocks are found by structure: containers are descended into, chains of layers are cut behind each convolution, and
everything else that is built of parts is one block. Families whose structure says something else are listed as data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from sightline.models.adapter.layers import LayerSpec

FAMILIES: dict[str, str] = {
    "DenseNet": r"features\.(denseblock\d+\.denselayer\d+|transition\d+|norm5)",
    "MaxVit": r"stem\.\d+|blocks\.\d+\.layers\.\d+\.layers\.(MBconv|window_attention|grid_attention)",
}
"""Patterns of module paths for the classes of model whose blocks structure alone does not show."""

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
BLOCK_LISTS = ("blocks", "layers", "stages", "layer", "levels")
NO_BLOCKS = ("head", "heads", "classifier", "fc", "AuxLogits", "pooler", "global_pool", "attn_pool", "pos_embed")


def discover_blocks(model: nn.Module) -> list[LayerSpec]:
    """The model's blocks in the order of its module tree.

    Args:
        model: any module; it is not run and not changed. One that is built around another says so by naming the path
            of the inner one, `blocks_within`.

    Returns:
        Where to listen. Whether a place holds a grid shows only when the model runs; those without are left out then.
    """
    inner = getattr(model, "blocks_within", "")
    if isinstance(inner, str) and inner:
        below = discover_blocks(model.get_submodule(inner))
        return [replace(spec, path=f"{inner}.{spec.path}") for spec in below]
    pattern = FAMILIES.get(type(model).__name__)
    if pattern:
        matches = [LayerSpec(path) for path, _ in model.named_modules() if re.fullmatch(pattern, path)]
        if matches:
            return matches
    units = list(_units(model, ""))
    if len(units) < 3 and not isinstance(model, nn.Sequential):
        loose = [path for path, module in model.named_children() if isinstance(module, CONVOLUTIONS)]
        units = [path for path, _ in model.named_modules() if path in {*units, *loose}]
    units = units or [path for path, module in model.named_modules() if isinstance(module, CONVOLUTIONS)]
    class_token = prefix_tokens(model) > 0
    return [_place(model, path) if class_token else LayerSpec(path) for path in units]


def discover_convolutions(model: nn.Module) -> list[LayerSpec]:
    """Every convolution of the model, in the order of its module tree."""
    return [LayerSpec(path) for path, module in model.named_modules() if isinstance(module, CONVOLUTIONS)]


def prefix_tokens(model: nn.Module) -> int:
    """How many tokens stand before the grid: class, distillation and register tokens."""
    count = getattr(model, "num_prefix_tokens", None)
    if isinstance(count, int):
        return count
    names = {name.rpartition(".")[2]: parameter for name, parameter in model.named_parameters()}
    count = sum(1 for name in ("cls_token", "class_token", "dist_token") if name in names)
    registers = next((names[name] for name in ("reg_token", "register_tokens") if name in names), None)
    return count + (registers.shape[1] if registers is not None and registers.ndim == 3 else 0)


def _units(module: nn.Module, path: str) -> Iterator[str]:
    """Paths of the blocks below a module, in order."""
    chained = set(_cut_chain(module)) if isinstance(module, nn.Sequential) else set()
    for name, child in module.named_children():
        below = _join(path, name)
        if not path and name in NO_BLOCKS:
            yield from _head_units(child, below)
        elif _is_layer(child):
            yield from (below,) if name in chained else ()
        elif _is_container(child):
            yield from _container_units(child, below)
        else:
            yield below


def _head_units(head: nn.Module, path: str) -> Iterator[str]:
    """A classifier that convolves (SqueezeNet's) still has a grid."""
    if isinstance(head, nn.Sequential):
        yield from (_join(path, name) for name in _cut_chain(head))


def _container_units(container: nn.Module, path: str) -> Iterator[str]:
    """A chain with one convolution, or of a class of its own, is one block; any other container is descended into."""
    if isinstance(container, nn.Sequential) and _is_chain_of_layers(container):
        convolutions = sum(isinstance(m, CONVOLUTIONS) for m in container)
        if convolutions == 1 or (convolutions > 1 and type(container) is not nn.Sequential):
            yield path
            return
    yield from _units(container, path)


def _is_container(module: nn.Module) -> bool:
    if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return True
    if type(module).__name__.endswith(("Stage", "Stages", "Encoder")):
        return True
    lists = (getattr(module, name, None) for name in BLOCK_LISTS)
    return any(isinstance(entry, nn.Sequential | nn.ModuleList) and _has_parts(entry) for entry in lists)


def _has_parts(blocks: nn.Module) -> bool:
    """Whether a list holds blocks that are themselves built of parts."""
    return any(not _is_layer(child) for child in blocks.children())


def _is_layer(module: nn.Module) -> bool:
    """A single layer: nothing in it but, at most, parts without weights (an activation inside a norm)."""
    return all(not _weights(child) for child in module.children()) and not isinstance(
        module, nn.Sequential | nn.ModuleList | nn.ModuleDict
    )


def _weights(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None or any(
        isinstance(m, (*CONVOLUTIONS, nn.Linear)) for m in module.modules()
    )


def _is_chain_of_layers(chain: nn.Sequential) -> bool:
    return len(chain) > 0 and all(_is_layer(child) for child in chain)


def _cut_chain(chain: nn.Sequential) -> Iterator[str]:
    """Names of the last layer before the next convolution, pooling or block, for each convolution of a chain.

    So a layer lies behind the activation, where an in-place one has already done its work.
    """
    last = ""
    for name, layer in chain.named_children():
        convolution = isinstance(layer, CONVOLUTIONS)
        if convolution or _ends_run(layer):
            if last:
                yield last
            last = name if convolution else ""
        elif last:
            last = name
    if last:
        yield last


def _ends_run(layer: nn.Module) -> bool:
    """Whether a layer no longer belongs to the convolution before it."""
    other = isinstance(layer, nn.Dropout | nn.Flatten | nn.Linear)
    return other or "pool" in type(layer).__name__.lower() or not _is_layer(layer)


def _place(model: nn.Module, path: str) -> LayerSpec:
    """Where to read a transformer block of a model with a class token: the tensor that enters its attention.

    Behind the last block only the class token reaches the decision, so the patches there have no gradient.
    """
    block = model.get_submodule(path)
    names = [name for name, _ in block.named_children()]
    attention = next((name for name in names if _is_attention(block.get_submodule(name))), None)
    if attention is None:
        return LayerSpec(path)
    norms = [n for n in names if "norm" in type(block.get_submodule(n)).__name__.lower()]
    before = [n for n in norms if names.index(n) < names.index(attention)]
    if getattr(block, "norm_first", None) is True:
        before = norms[:1]
    return LayerSpec(_join(path, before[-1])) if before else LayerSpec(path, "input")


def _is_attention(module: nn.Module) -> bool:
    name = type(module).__name__.lower()
    return "attention" in name or name.endswith("attn") or name.startswith("attn")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
