"""The work behind `sightline gates show`: gate values over depth, and a photo's maps with and without the gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.errors import GateError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sightline.backbones.load import LoadedModel
    from sightline.gates.explain import GateRecord
    from sightline.results import Explanations


def with_gates(
    loaded: LoadedModel, gate: str, *, share: str, scheme: str | None, weights: Path | None, seed: int
) -> bool:
    """Plug gates into the model, unless it came with some; whether its gates hold trained weights.

    Args:
        loaded: the model; changed in place.
        gate: name, of a model that comes without.
        share: which blocks share one.
        scheme: at which sites; of a model that came with gates, those in use.
        weights: of the model with its gates, a supernet's for example.
        seed: of gates without trained weights.
    """
    import torch

    from sightline.backbones.weights import fit_weights, read_weights
    from sightline.gates import plug, plugged, use_scheme

    try:
        plugged(loaded.model)
        trained = True
    except GateError:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            plug(loaded.model, gate, share=share)
        trained = weights is not None
    if weights is not None:
        fit_weights(loaded.model, read_weights(weights), name="the model with its gates")
    if scheme is not None:
        use_scheme(loaded.model, scheme)
    return trained


def show(
    loaded: LoadedModel, photos: Sequence[Path], *, method: str, target: str | None, seed: int
) -> tuple[GateRecord, Explanations]:
    """The gates over the photos, and for each photo its maps with and without them, for one and the same class."""
    import torch

    from sightline.data.photos import read_photo
    from sightline.gates import plugged, use_scheme
    from sightline.gates.explain import gate_record

    prepared = [loaded.preprocess(read_photo(path)) for path in photos]
    home = next(loaded.model.parameters()).device
    inputs = torch.stack([one.inputs for one in prepared]).to(home)
    views = torch.stack([one.view for one in prepared])
    record, scheme = gate_record(loaded.model, inputs), plugged(loaded.model).scheme
    common: dict[str, Any] = {
        "method": method, "labels": loaded.labels, "images": views, "seed": seed, "provenance": loaded.provenance,
        "sources": [str(path) for path in photos],
    }  # fmt: skip
    return record, _both(loaded, inputs, str(scheme), target, common, use_scheme)


def _both(
    loaded: LoadedModel, inputs: Any, scheme: str, target: str | None, common: dict[str, Any], use_scheme: Any
) -> Explanations:
    """Explanations with the gates, and without them for the classes that were explained with them."""
    from sightline.frontdoor import explain
    from sightline.results import Explanations

    found = []
    for row, source in enumerate(common["sources"]):
        wishes = {**common, "images": common["images"][row : row + 1], "sources": [source]}
        one = inputs[row : row + 1]
        own = explain(loaded.model, one, target=target, **wishes).to("cpu")
        use_scheme(loaded.model, "empty")
        try:
            plain = explain(loaded.model, one, target=own[0].decision.label, **wishes).to("cpu")
        finally:
            use_scheme(loaded.model, scheme)
        for words, items in (("with gates", own), ("without gates", plain)):
            found += [replace(item, flow=replace(item.flow, method=f"{item.method} {words}")) for item in items]
    return Explanations(tuple(found))


def heat_figure(record: GateRecord) -> Figure:
    """The mean gate of every block over its channels, stage by stage; beside it what the picture explains of it."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    from sightline.reports.palette import UNSIGNED

    heat, shares = record.heat(), record.by_picture()
    paths = {stage: [site.path for site in record.sites if site.stage == stage] for stage in heat}
    top = max(1.0, *(float(rows.max()) for rows in heat.values()))
    low = min(0.0, *(float(rows.min()) for rows in heat.values()))
    figure = Figure(figsize=(9, 1 + sum(0.5 + 0.3 * len(rows) for rows in heat.values())), layout="constrained")
    axes = figure.subplots(len(heat), 1, squeeze=False, height_ratios=[1 + len(rows) for rows in heat.values()])
    colours = ListedColormap(UNSIGNED.double().numpy() / 255)
    for (stage, rows), axis in zip(heat.items(), axes[:, 0], strict=True):
        axis.imshow(rows.float().numpy(), aspect="auto", cmap=colours, vmin=low, vmax=top, interpolation="nearest")
        axis.set_yticks(
            range(len(rows)), [f"{path}  {100 * shares[path]:.0f} %" for path in paths[stage]], fontsize=7
        )
        axis.set_xticks([])
        axis.set_title(f"stage {stage}: {rows.shape[1]} channels or groups", fontsize=8, loc="left")
    figure.colorbar(axes[-1, 0].images[0], ax=list(axes[:, 0]), label=f"mean gate ({record.gate})")
    figure.suptitle("Gates over depth; percent: share of the variance that the picture explains", fontsize=9)
    return figure


def write(record: GateRecord, items: Explanations, folder: Path) -> list[Path]:
    """The figure of the gates, the montage and the page."""
    from sightline.reports import save_montage, save_page

    folder.mkdir(parents=True, exist_ok=True)
    heat_figure(record).savefig(folder / "gates.png", dpi=150)
    save_montage(items, folder / "montage.png")
    save_page(items, folder / "page.html", title="With and without gates")
    return [folder / name for name in ("gates.png", "montage.png", "page.html")]


def facts(record: GateRecord) -> list[dict[str, Any]]:
    """One row for each block."""
    entropy, shares = record.entropy(), record.by_picture()
    return [
        {
            "stage": site.stage,
            "block": site.block,
            "path": site.path,
            "mean": float(record.values[site.path].mean()),
            "lowest": float(record.values[site.path].min()),
            "highest": float(record.values[site.path].max()),
            "entropy": entropy[site.path],
            "explained_by_picture": shares[site.path],
        }
        for site in record.sites
    ]
