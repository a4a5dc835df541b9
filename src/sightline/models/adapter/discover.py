"""Which modules of a model are its layers: blocks first, what is below them where a block has no places.

Containers are descended into, chains of layers are cut behind each convolution, and everything else that is built of
parts is one block. Which of them run, and have places, a recorded forward tells (`structure`). Families whose tree
says something else are listed as data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch import nn

from sightline.models.adapter.layers import LayerSpec

if TYPE_CHECKING:
    from sightline.models.adapter.structure import Structure

FAMILIES: dict[str, str] = {
    "DenseNet": r"features\.(denseblock\d+\.denselayer\d+|transition\d+|norm5)",
    "MaxVit": r"stem\.\d+|blocks\.\d+\.layers\.\d+\.layers\.(MBconv|window_attention|grid_attention)",
}
"""Patterns of module paths for the classes of model whose blocks structure alone does not show."""

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
BLOCK_LISTS = ("blocks", "layers", "stages", "layer", "levels")
ATTENTION = ("scaled_dot_product", "_scaled_dot_product", "_softmax", "_safe_softmax", "softmax")
PROJECTIONS = ("addmm", "mm", "linear", "bmm", "convolution")
SAME_NUMBERS = ("view", "_unsafe_view", "reshape", "_reshape_alias", "t", "transpose", "permute", "clone", "_to_copy",
                "detach", "alias", "unsqueeze", "squeeze", "expand")  # fmt: skip


def default_layers(model: nn.Module, structure: Structure) -> list[LayerSpec]:
    """The model's blocks, in forward order.

    Args:
        model: any module. One that is built around another says so by naming the path of the inner one,
            `blocks_within`.
        structure: what a recorded forward of it told.
    """
    inner = getattr(model, "blocks_within", "")
    root = inner if isinstance(inner, str) and inner else ""
    paths = _with_places(model, root, structure)
    if len(paths) == 1:
        below = _with_places(model, paths[0], structure)
        paths = below if len(below) > 1 else paths
    if not paths:
        paths = [spec.path for spec in discover_convolutions(model) if structure.has_places(spec.path)]
    ordered = sorted(dict.fromkeys(paths), key=lambda path: structure.recording_of(path).end)
    return [_place(structure, path) for path in ordered]


def _with_places(model: nn.Module, root: str, structure: Structure) -> list[str]:
    """Blocks below a module; one without places is replaced by what is below it, and so is a whole network."""
    paths: list[str] = []
    for path in units(model.get_submodule(root), root):
        below = _with_places(model, path, structure) if not _is_layer(model.get_submodule(path)) else []
        whole = structure.has_places(path)
        # A block may come down to one place, on a small input; a network that does is looked into.
        pooled = not whole and any(site.layout is not None for site in structure.sites(path))
        module = model.get_submodule(path)
        chain = isinstance(module, nn.Sequential) and _is_chain_of_layers(module)
        inside = _is_network(model, path, below, structure) or (pooled and (chain or len(below) > 2))
        if below and (inside or not (whole or pooled)):
            paths += below
        elif whole:
            paths.append(path)
        elif not pooled and _is_layer(model.get_submodule(path)):
            paths += _before(model, path, structure)
    return paths


def without_places(model: nn.Module, structure: Structure) -> dict[str, str]:
    """Blocks that are no layers, and why: what ran and lies neither in a layer nor around one.

    Args:
        model: the model.
        structure: what a recorded forward of it told.
    """
    layers = [spec.path for spec in structure.blocks]

    def left_out(root: str) -> Iterator[tuple[str, str]]:
        module = model.get_submodule(root)
        weighty = [_join(root, name) for name, child in module.named_children() if _weights(child)]
        for path in dict.fromkeys((*units(module, root), *weighty)):
            around = any(own == path or own.startswith(f"{path}.") for own in layers)
            if around or structure.has_places(path):
                continue
            if structure.calls(path):
                yield path, structure.reason(path) or "it holds one place"
            elif not _is_layer(model.get_submodule(path)):
                yield from left_out(path)

    return dict(left_out(""))


def _before(model: nn.Module, path: str, structure: Structure) -> list[str]:
    """The last layer with places of the run of a chain that ends at a layer without."""
    parent, _, name = path.rpartition(".")
    chain = [own for own, _ in model.get_submodule(parent).named_children()]
    for own in reversed(chain[: chain.index(name)]):
        earlier = _join(parent, own)
        if structure.has_places(earlier):
            return [earlier]
        if isinstance(model.get_submodule(earlier), CONVOLUTIONS):
            break
    return []


def _is_network(model: nn.Module, path: str, below: Sequence[str], structure: Structure) -> bool:
    """Whether a part repeats blocks of one class one behind the other, each built of parts: a network, no block."""
    if not structure.calls(path):  # its parts are called from outside it (`self.net.forward_features(x)`)
        return False
    modules = {own: model.get_submodule(own) for own in below}
    kinds = {own: type(m) for own, m in modules.items() if _is_block(m)}
    repeated = [own for own, kind in kinds.items() if list(kinds.values()).count(kind) > 1]
    return sum(_is_passed(structure, path, own) for own in repeated) > 1


def _is_passed(structure: Structure, path: str, inner: str) -> bool:
    """Whether all that a part makes of its input goes through one module inside it, with no way around.

    Of maps at several scales one, the last, is enough.
    """
    call, nodes = structure.recording_of(path), {site.node for site in structure.sites(inner)}
    reached = {entry.node for entry in call.inputs} - nodes
    for event in structure.recording.events[call.begin : call.end]:
        if not reached.isdisjoint(event.inputs):
            reached.update(node for node in event.outputs if node not in nodes)
    maps = [entry for entry in call.outputs if entry.node is not None and len(entry.shape) > 2]
    if len(maps) > 1 and len({entry.shape for entry in maps}) > 1:
        return any(entry.node not in reached for entry in maps)
    return all(entry.node is None or entry.node not in reached for entry in call.outputs)


def units(module: nn.Module, path: str = "") -> list[str]:
    """Paths of the blocks of a network, in the order of its module tree, as the tree alone shows them.

    Args:
        module: the network; it is not run and not changed.
        path: its own path, which is put before.
    """
    pattern = FAMILIES.get(type(module).__name__)
    if pattern:
        matches = [_join(path, own) for own, _ in module.named_modules() if re.fullmatch(pattern, own)]
        if matches:
            return matches
    blocks = list(_units(module, path))
    if len(blocks) < 3 and not isinstance(module, nn.Sequential):
        loose = [_join(path, name) for name, child in module.named_children() if isinstance(child, CONVOLUTIONS)]
        ordered = [_join(path, own) for own, _ in module.named_modules()]
        blocks = [own for own in ordered if own in {*blocks, *loose}]
    return blocks


def discover_convolutions(model: nn.Module) -> list[LayerSpec]:
    """Every convolution of the model, in the order of its module tree."""
    return [LayerSpec(path) for path, module in model.named_modules() if isinstance(module, CONVOLUTIONS)]


def _units(module: nn.Module, path: str) -> Iterator[str]:
    """Paths of the blocks below a module, in order."""
    chained = set(_cut_chain(module)) if isinstance(module, nn.Sequential) else set()
    for name, child in module.named_children():
        below = _join(path, name)
        if _is_layer(child):
            yield from (below,) if name in chained else ()
        elif _is_container(child):
            yield from _container_units(child, below)
        else:
            yield below


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
    lists = {name: getattr(module, name, None) for name in BLOCK_LISTS}
    return any(
        isinstance(entry, nn.Sequential | nn.ModuleList) and _has_parts(entry, blocks=name == "layer")
        for name, entry in lists.items()
    )


def _has_parts(entries: nn.Module, *, blocks: bool) -> bool:
    """Whether a list holds parts that are themselves built of parts; if asked, none of a single convolution."""
    sizes = [_multiplies(child) for child in entries.children() if not _is_layer(child)]
    return bool(sizes) and not (blocks and 1 in sizes)


def _is_block(module: nn.Module) -> bool:
    """Whether a part is more than a convolution, or a separable one, with what goes with it."""
    return not _is_layer(module) and _multiplies(module) > (2 if _is_chain_of_layers(module) else 1)


def _multiplies(module: nn.Module) -> int:
    """How many convolutions and linear layers a part holds."""
    return sum(isinstance(m, (*CONVOLUTIONS, nn.Linear)) for m in module.modules())


def _is_layer(module: nn.Module) -> bool:
    """A single layer: nothing in it but, at most, parts without weights (an activation inside a norm)."""
    return all(not _weights(child) for child in module.children()) and not isinstance(
        module, nn.Sequential | nn.ModuleList | nn.ModuleDict
    )


def _weights(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None or any(
        isinstance(m, (*CONVOLUTIONS, nn.Linear)) for m in module.modules()
    )


def _is_chain_of_layers(chain: nn.Module) -> bool:
    children = list(chain.children())
    return len(children) > 0 and all(_is_layer(child) for child in children)


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


def _place(structure: Structure, path: str) -> LayerSpec:
    """Where a block is read: at its output; one with tokens beside its places where they enter its attention.

    Behind the last block only the tokens that decide reach the decision, so the places there have no gradient.
    """
    site = structure.site(path, "output", 1)
    if site is None or site.layout is None or not (site.layout.prefix or site.layout.suffix):
        return LayerSpec(path)
    call = structure.recording_of(path)
    events = structure.recording.events[call.begin : call.end]
    attention = next((event for event in events if event.name.startswith(ATTENTION)), None)
    if attention is None:
        return LayerSpec(path)
    node = _entrance(structure, attention.inputs, call.begin)
    if node is None:
        return LayerSpec(path, "input")
    if any(entry.node == node for entry in call.inputs):
        return LayerSpec(path, "input")
    inner = [c for c in structure.recording.calls if c.path.startswith(f"{path}.") and c.begin >= call.begin]
    makers = [c.path for c in inner if c.call == 1 and any(entry.node == node for entry in c.outputs)]
    return LayerSpec(makers[0]) if makers else LayerSpec(path, "input")


def _entrance(structure: Structure, nodes: Sequence[int], begin: int) -> int | None:
    """The tensor from which an attention's queries and keys are made: what their projection reads."""
    makers = structure.makers
    waiting, seen = list(nodes), set()
    while waiting:
        event = makers.get(waiting.pop(0))
        if event is None or id(event) in seen:
            continue
        seen.add(id(event))
        if event.name in PROJECTIONS and len(event.inputs) == 1:
            node = event.inputs[0]
            while (maker := makers.get(node)) is not None and maker.name in SAME_NUMBERS:
                node = maker.inputs[0]
            return node
        waiting.extend(event.inputs)
    return None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
