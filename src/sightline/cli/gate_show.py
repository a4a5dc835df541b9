"""The work behind `sightline gates show`: gate values over depth, and a photo's maps with and without the gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.common.numbers import SEEDS
from sightline.common.settings import Settings, setting

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from sightline.gates.analysis.recurrence import Dependency
    from sightline.gates.analysis.statistics import GateRecord
    from sightline.models.load import LoadedModel
    from sightline.reports.figure import ExtraFigure
    from sightline.results import Explanations

FOREST_PHOTOS = 8
"""Fewest photos to grow a forest over gates with."""
STATE_PHOTOS = 32
"""Most photos over which the state is followed; they pass through the model in one piece."""
DEPTH_WORDS = (
    "The mean gate of every block over the photos; columns are channels. Percent: share of the gate's variance that "
    "the picture explains. A gate near 0 % is a constant per channel, and not attention to the picture."
)
MEMORY_WORDS = (
    "Rows are blocks, columns the blocks before them; every map has its own scale. Forest: share of the importance "
    "that the gate of an earlier block has in predicting this one. All gates see the same picture, so gates without "
    "any memory predict one another too: read the forest against its control. Derivative: change of the gate with "
    "what the earlier gate saw, through the state alone. Replaced: relative change of the gate when the state behind "
    "the earlier block is replaced by its mean over the photos."
)


@dataclass(frozen=True, kw_only=True)
class ShowOptions(Settings):
    """What is shown of them."""

    PANEL = "What to show"

    method: str = setting("gradcam", "How the maps are made (`sightline methods`).")
    target: str | None = setting(None, "A class; the top one if none.")
    forest: bool = setting(True, "Random forests predict each gate from earlier gates (needs 8 photos).")
    shown: int = setting(12, "Photos whose maps are drawn; gates are read over all.", low=1)
    out: Path = setting(Path("gates_out"), "Folder for the figures and the page.")
    seed: int = setting(0, "Seed of everything random.", low=0, high=SEEDS - 1)
    as_json: bool = setting(False, "As JSON on standard output.", "--json")


def show(
    loaded: LoadedModel,
    photos: Sequence[Path],
    inputs: Float[Tensor, "n c h w"],
    views: Float[Tensor, "n c h w"],
    options: ShowOptions,
    step: Callable[[str], None] = lambda what: None,
) -> tuple[GateRecord, Explanations]:
    """The gates over all inputs, and for each photo its maps with and without them, for one and the same class.

    Args:
        loaded: the model with its gates.
        photos: those whose maps are drawn, the first of the inputs.
        inputs: photos as the model takes them.
        views: photos as the model sees them, scaled and cut.
        options: method of the maps, class and seed.
        step: told what is done now.
    """
    from sightline.gates import plugged
    from sightline.gates.analysis.statistics import gate_record

    step(f"gates over {len(inputs)} photos")
    record, scheme = gate_record(loaded.model, inputs), plugged(loaded.model).scheme
    common: dict[str, Any] = {
        "method": options.method, "labels": loaded.labels, "images": views, "seed": options.seed,
        "provenance": loaded.provenance, "sources": [str(path) for path in photos],
    }  # fmt: skip
    return record, _both(loaded, inputs, str(scheme), options.target, common, step)


def prepared(
    loaded: LoadedModel, photos: Sequence[Path]
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]]:
    """The photos as the model takes them, where it lives, and as it sees them, for drawing."""
    import torch

    from sightline.data.photos import read_photo

    ready = [loaded.preprocess(read_photo(path)) for path in photos]
    home = next(loaded.model.parameters()).device
    return torch.stack([one.inputs for one in ready]).to(home), torch.stack([one.view for one in ready])


def _both(
    loaded: LoadedModel,
    inputs: Any,
    scheme: str,
    target: str | None,
    common: dict[str, Any],
    step: Callable[[str], None],
) -> Explanations:
    """Explanations with the gates, and without them for the classes that were explained with them."""
    from sightline.api.explain import explain
    from sightline.gates import use_scheme
    from sightline.results import Explanations

    flows = []
    for row, source in enumerate(common["sources"]):
        step(f"maps with and without gates, photo {row + 1} of {len(common['sources'])}")
        wishes = {**common, "images": common["images"][row : row + 1], "sources": [source]}
        one = inputs[row : row + 1]
        own = explain(loaded.model, one, target=target, **wishes).to("cpu")
        use_scheme(loaded.model, "empty")
        try:
            plain = explain(loaded.model, one, target=_again(own, target), **wishes).to("cpu")
        finally:
            use_scheme(loaded.model, scheme)
        for words, items in (("with gates", own), ("without gates", plain)):
            flows += [replace(item, flow=replace(item.flow, method=f"{item.method} {words}")) for item in items]
    return Explanations(tuple(flows))


def _again(items: Explanations, target: str | None) -> Any:
    """The decisions of explanations as a target: classes by number, since a model may have no names for them."""
    indices = [item.decision.index for item in items]
    return target if None in indices else indices


def memory(
    loaded: LoadedModel,
    inputs: Float[Tensor, "n c h w"],
    record: GateRecord,
    *,
    forest: bool,
    seed: int,
    step: Callable[[str], None],
) -> tuple[dict[str, dict[int, Dependency]], list[str]]:
    """How much each gate hangs on the ones before it, asked in every way that these gates and photos allow.

    Returns:
        By way of asking and stage; and a sentence for every way that was not taken.
    """
    from sightline.gates.analysis.probing import recurrent
    from sightline.gates.analysis.recurrence import forest_map, gradient_map, intervention_map, without_memory
    from sightline.gates.analysis.statistics import gate_record

    stages = [stage for stage, rows in record.heat().items() if len(rows) > 1]
    few = inputs[:STATE_PHOTOS]
    ways: dict[str, Callable[[int], Dependency]] = {}
    untaken = [] if stages else ["no stage has two gates, so none can depend on another"]
    if not forest:
        untaken.append("the forest was not asked for")
    elif len(inputs) < FOREST_PHOTOS:
        untaken.append(f"a forest over gates needs at least {FOREST_PHOTOS} photos, and {len(inputs)} were given")
    else:
        ways["forest"] = lambda stage: forest_map(record, stage, seed=seed)
    if not recurrent(loaded.model):
        untaken.append(f"{record.gate} carries no state from block to block, so there is no memory to follow")
    else:
        if "forest" in ways:
            with without_memory(loaded.model):
                forgetful = gate_record(loaded.model, inputs)
            ways["forest, state cut (control)"] = lambda stage: forest_map(forgetful, stage, seed=seed)
        ways["derivative through the state"] = lambda stage: gradient_map(loaded.model, few, stage, seed=seed)
        if len(inputs) < 2:
            untaken.append("a state is replaced by its mean over photos, which takes at least two")
        else:
            ways["state replaced by its mean"] = lambda stage: intervention_map(loaded.model, few, stage).dependency
    dependencies: dict[str, dict[int, Dependency]] = {}
    for way, ask in ways.items():
        for stage in stages:
            step(f"{way}, stage {stage}")
            dependencies.setdefault(way, {})[stage] = ask(stage)
    return dependencies, untaken


def plates_of(
    record: GateRecord, dependencies: dict[str, dict[int, Dependency]], untaken: Sequence[str]
) -> tuple[ExtraFigure, ...]:
    """The figures of the page, with what they say."""
    from sightline.reports.figure import ExtraFigure
    from sightline.reports.gate_figures import dependency_figure, depth_figure

    heat, shares = record.heat(), record.by_picture()
    paths = {stage: [site.path for site in record.sites if site.stage == stage] for stage in heat}
    rows = {stage: [f"{path}  {100 * shares[path]:.0f} %" for path in paths[stage]] for stage in heat}
    depth = ExtraFigure.of("Gates over depth", DEPTH_WORDS, depth_figure(heat, rows, record.gate))
    spoken = " ".join(f"Not drawn: {why}." for why in untaken)
    if not dependencies:
        return depth, ExtraFigure("What a gate depends on", spoken)
    maps = {way: {stage: one.matrix for stage, one in by.items()} for way, by in dependencies.items()}
    photos = len(next(iter(record.values.values())))
    if photos > STATE_PHOTOS and any(not way.startswith("forest") for way in dependencies):
        spoken = f"The state is followed over the first {STATE_PHOTOS} of {photos} photos. {spoken}"
    words = " ".join([MEMORY_WORDS, *_foretold(dependencies), spoken]).strip()
    return depth, ExtraFigure.of("What a gate depends on", words, dependency_figure(maps, paths))


def _foretold(dependencies: dict[str, dict[int, Dependency]]) -> list[str]:
    """What forests foretell on photos that they were not grown on."""
    sentences = []
    for way, by in dependencies.items():
        for stage, one in by.items():
            if one.held_out is not None:
                scores = ", ".join(f"{value:.2f}" for value in one.held_out[1:].tolist())
                sentences.append(f"R2 on the other half of the photos, {way}, stage {stage}: {scores}.")
    return sentences


def write(record: GateRecord, items: Explanations, plates: Sequence[ExtraFigure], folder: Path) -> list[Path]:
    """The figures of the gates, the montage and the page that holds all of it."""
    from sightline._version import __version__
    from sightline.common.files import write_bytes
    from sightline.reports import save_montage, save_page
    from sightline.terminal.folder import whole_folder, write_summary

    with whole_folder(folder) as partial:
        for name, plate in zip(("gates.png", "memory.png"), plates, strict=True):
            if plate.png:
                write_bytes(partial / name, plate.png)
        save_montage(items, partial / "montage.png")
        save_page(items, partial / "page.html", title=f"With and without gates ({record.gate})", plates=plates)
        names = sorted(path.name for path in partial.iterdir())
        summary = {"sightline": __version__, "gate": record.gate, "blocks": facts(record), "files": names}
        write_summary(partial, summary)
    return [folder / name for name in names]


def memory_facts(dependencies: dict[str, dict[int, Dependency]]) -> list[dict[str, Any]]:
    """One entry for each way of asking and stage."""
    return [
        {
            "way": way,
            "stage": stage,
            "paths": list(one.paths),
            "matrix": one.matrix.tolist(),
            "held_out_r2": None if one.held_out is None else one.held_out.tolist(),
        }
        for way, by in dependencies.items()
        for stage, one in by.items()
    ]


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
