"""What is asked of each network of the support table: its layers, whether their layouts are right, its flow.

**Moves**: the oracle of layouts. The input is changed in one patch at a time; at every layer the places that change
must lie where the patch is. It knows nothing of shapes: transposed places, channels taken for rows and windows that
are put back wrongly all fail. The figure is the correlation of the patches' places with the changes' places over
twelve patches, the smaller of rows and columns.

**Closed form**: where no operation moves an axis (a CNN), a hooked tensor is `[b, c, places...]`, so the layout's
size is its shape.

**Conserved**: with every bias, running mean and additive token at zero nothing but the input makes the score, so LRP
must carry the whole score through each layer through which everything goes.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

import sightline
from _support_zoo import Subject
from sightline.common.nested import tensors_of
from sightline.models import adapt
from sightline.models.adapter.discover import _is_passed
from sightline.models.adapter.layers import LayerSpec, layer_name
from sightline.models.adapter.structure import Site, Structure


def silenced(model: nn.Module) -> None:
    """Everything that makes a score without the input is set to zero: biases, running means, additive tokens."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            own = name.rpartition(".")[2]
            if "bias" in own or any(word in own for word in ADDED):
                parameter.zero_()
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.zero_()


def enliven(subject: Subject) -> None:
    """Give random weights what training gives: values where they start at zero, and BatchNorm's statistics."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in subject.model.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.02, generator=generator)
        norms = [module for module in subject.model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.train()
            norm.momentum = None
        if norms:
            subject.model(torch.cat([subject.inputs, subject.inputs.flip(-1)]))
        for norm in norms:
            norm.eval()


ADDED = ("beta", "token", "pos_emb", "position_emb", "pos_embed", "registers")


def layout_row(subject: Subject) -> dict[str, Any]:
    """Layers and their layouts, checked."""
    adapter = adapt(subject.model)
    structure = adapter.structure(subject.inputs)
    specs = structure.layers()
    tensors = _tensors(subject.model, structure, specs, _moved(subject.inputs, structure))
    moves, shaped = {}, 0
    for (spec, site), tensor in tensors.items():
        grid = site.layout.to_grid(tensor)
        moves[layer_name(spec, site.call, structure.calls(spec.path))] = _agreement(grid, structure)
        shaped += tuple(tensor.shape[2:]) == site.layout.size and site.layout.kind == "grid"
    names = {event.name for event in structure.recording.events}
    worst = min(moves, key=lambda name: moves[name]) if moves else ""
    sizes = [site.layout.size for _, site in tensors]
    return {
        "layers": len(specs),
        "places": " ".join(structure.axes),
        "kinds": list(dict.fromkeys(site.layout.kind for _, site in tensors)),
        "first": {"name": specs[0].path, "grid": list(sizes[0])},
        "last": {"name": specs[-1].path, "grid": list(sizes[-1])},
        "closed_form": "cnn" if not names & MOVING else None,
        "misfits": len(tensors) - shaped if not names & MOVING else 0,
        "moves": round(moves[worst], 3) if moves else None,
        "worst": worst,
        "checked": len(moves),
    }


MOVING = {"permute", "transpose", "roll", "bmm", "im2col", "unfold", "_softmax", "_safe_softmax", "pixel_shuffle",
          "scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"}  # fmt: skip
"""Operations that a network without attention, and with its channels second, does without."""


def _cells(structure: Structure) -> list[tuple[int, ...]]:
    n = len(structure.axes)
    return list(product(*(range(k) for k in SPLITS[n])))


SPLITS = {1: (12,), 2: (3, 4), 3: (2, 2, 3)}


def _moved(x: Tensor, structure: Structure) -> Tensor:
    """The input, and as many copies as there are patches, each changed in one."""
    generator = torch.Generator().manual_seed(1)
    copies = [x]
    for cell in _cells(structure):
        mask = torch.zeros_like(x)
        slices = [slice(None)] * x.ndim
        for i, n, source in zip(cell, SPLITS[len(cell)], structure.sources, strict=True):
            side = x.shape[int(source)]
            slices[int(source)] = slice(i * side // n, (i + 1) * side // n)
        mask[tuple(slices)] = 1
        copies.append(x + mask * torch.randn(x.shape, generator=generator))
    return torch.cat(copies)


def _tensors(
    model: nn.Module, structure: Structure, specs: list[LayerSpec], x: Tensor
) -> dict[tuple[LayerSpec, Site], Tensor]:
    """What the layers give for some samples, by a plain forward with hooks."""
    kept: dict[tuple[LayerSpec, Site], Tensor] = {}
    handles, counts = [], dict.fromkeys(specs, 0)

    def keep(spec: LayerSpec, parts: Any) -> None:
        counts[spec] += 1
        site = structure.site(spec.path, spec.side, counts[spec])
        if site is not None and site.layout is not None and max(site.layout.size) > 1:
            kept[spec, site] = tensors_of(parts)[site.leaf].detach().clone()

    for spec in specs:
        module = model.get_submodule(spec.path)
        if spec.side == "input":
            hook = module.register_forward_pre_hook(
                lambda m, args, kwargs, spec=spec: keep(spec, (args, kwargs)), with_kwargs=True
            )
        else:
            hook = module.register_forward_hook(lambda m, args, output, spec=spec: keep(spec, output))
        handles.append(hook)
    try:
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return kept


def _agreement(grid: Tensor, structure: Structure) -> float:
    """The least correlation, over the axes, of where the input was changed with where the layer changed."""
    cells = torch.tensor(_cells(structure), dtype=torch.float64)
    energy = (grid[1:] - grid[:1]).double().square().sum(1)
    # A place that answers to everything tells nothing.
    energy = energy / energy.sum(0, keepdim=True).clamp_min(1e-300)
    energy = energy / energy.flatten(1).sum(1).clamp_min(1e-300).reshape(-1, *[1] * (energy.ndim - 1))
    least = 1.0
    for d in range(len(structure.axes)):
        if grid.shape[d + 2] < 2:
            continue
        other = [i + 1 for i in range(len(structure.axes)) if i != d]
        along = energy.sum(other) if other else energy
        centre = along @ torch.arange(grid.shape[d + 2], dtype=torch.float64)
        both = torch.stack([centre, cells[:, d]])
        least = min(least, float(torch.nan_to_num(torch.corrcoef(both)[0, 1], nan=-1.0)))
    return least


def flow_row(subject: Subject) -> dict[str, Any]:
    """The LRP flow, and what it must conserve."""
    structure = adapt(subject.model).structure(subject.inputs)
    flow = sightline.explain(subject.model, subject.inputs, target=subject.target, method="lrp").one().flow
    errors = {}
    for name in flow:
        notes = flow[name].notes
        path = name.partition("@")[0].partition(":")[0]
        site = structure.site(path, "output", 1)
        plain = site is not None and site.layout is not None and not (site.layout.prefix or site.layout.suffix)
        if (
            subject.target is None
            and plain
            and name == path
            and structure.calls(path) == 1
            and _is_passed(structure, "", path)
        ):
            carried, drift = float(notes["carried"]), float(notes["drift"])
            errors[name] = abs(drift) / max(abs(carried - drift), 1e-12)
    statuses = {layer: str(status) for layer, status in flow.statuses.items() if status != "ok"}
    worst = max(errors, key=lambda name: errors[name]) if errors else ""
    return {
        "flow": "follows",
        "not_ok": statuses,
        "necks": len(errors),
        "conserved": errors[worst] if errors else None,
        "leak": worst,
    }
