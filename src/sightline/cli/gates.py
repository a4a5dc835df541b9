"""`sightline gates`: where attention modules can be plugged, which there are, and which blocks deserve one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.cli.gate_show import ShowOptions
from sightline.common.settings import Settings, setting
from sightline.terminal.model import LabelledModelOptions
from sightline.terminal.screen import progress, say_json, say_note, say_table

if TYPE_CHECKING:
    from sightline.gates.analysis.statistics import GateRecord


def sites(
    model: Annotated[str | None, typer.Argument(help="Name of a network; imagenet if none.")] = None,
    model_arg: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the network's builder.")] = None,
    scheme: Annotated[
        str | None, typer.Option(help="Show which blocks a scheme plugs: 110|0011, 6,3,50,3, every-2, dense.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False,
) -> None:
    """List a network's places for gates: stage, block, path, channels, kind of block."""
    from sightline.gates import sites as sites_of
    from sightline.gates.scheme import scheme_of
    from sightline.models.load import BUNDLED, default_model, load_model
    from sightline.models.order import RANDOM
    from sightline.terminal.options import arguments_of

    name = default_model(model, None)
    weights = RANDOM if name != BUNDLED else None
    loaded = load_model(name, weights=weights, model_args=arguments_of(model_arg))
    places = sites_of(loaded.model)
    bits = scheme_of(scheme, places.lengths)
    if as_json:
        rows = [{**asdict(site), "plugged": bit} for site, bit in zip(places, bits.flat(), strict=True)]
        say_json({"model": loaded.name, "lengths": places.lengths, "scheme": str(bits), "sites": rows})
        return
    say_table(
        (">stage", ">block", "path", ">channels", "kind", "gate"),
        (
            (site.stage, site.block, site.path, site.channels, site.kind, "yes" if bit else "no")
            for site, bit in zip(places, bits.flat(), strict=True)
        ),
        title=loaded.name,
    )
    share = f"{sum(bits.flat())} of {len(places)} blocks"
    say_note(f"scheme {bits}, as integers {','.join(map(str, bits.ints))}: {share}")


def kinds(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False,
) -> None:
    """List the gates that have a name."""
    from sightline.gates import GATES

    rows = [{"gate": name, "about": kind.about, "source": kind.source} for name, kind in GATES.items()]
    if as_json:
        say_json(rows)
        return
    say_table(("gate", "about", "source"), ((row["gate"], row["about"], row["source"]) for row in rows))


@dataclass(frozen=True, kw_only=True)
class GateOptions(Settings):
    """Which gates the network has."""

    PANEL = "Gates"

    gate: str = setting("dia", "A name of `sightline gates list`, if the network comes without.")
    share: str = setting("stage", "Which blocks share one gate: stage, block or width.")
    gated_weights: Path | None = setting(
        None, "Weights of the network with its gates; a supernet's file needs no --model."
    )
    scheme: str | None = setting(None, "Which blocks use a gate; all if none.")


def show(
    photos: Annotated[list[Path], typer.Argument(help="Photos and folders of photos.")],
    model: LabelledModelOptions,
    gates: GateOptions,
    options: ShowOptions,
) -> None:
    """Show what gates do on photos: values over depth, what each depends on, and maps with and without them."""
    from sightline.cli.gate_model import opened
    from sightline.cli.gate_show import memory, plates_of, prepared, write
    from sightline.cli.gate_show import show as show_gates
    from sightline.data.photos import find_photos
    from sightline.terminal.folder import check_place

    check_place(options.out)
    files, seed = find_photos(list(photos)), options.seed
    loaded, trained = opened(model, gates, seed=seed)
    with progress() as bar:
        task = bar.add_task("photos", total=None)

        def step(what: str) -> None:
            bar.update(task, description=what)

        inputs, views = prepared(loaded, files)
        record, items = show_gates(loaded, files[: options.shown], inputs, views, options, step)
        states, untaken = memory(loaded, inputs, record, forest=options.forest, seed=seed, step=step)
    paths = write(record, items, plates_of(record, states, untaken), options.out)
    tell = _tell_json if options.as_json else _tell_table
    tell(record, states, untaken, paths, trained=trained, photos=len(files))
    _tell_limits(len(files), options.shown, trained=trained, exact=record.exact)


def _tell_json(
    record: GateRecord, states: Any, untaken: Any, paths: list[Path], *, trained: bool, photos: int
) -> None:
    from sightline.cli.gate_show import facts, memory_facts

    about = {"gate": record.gate, "trained": trained, "exact": record.exact, "sites": facts(record)}
    files = [str(path) for path in paths]
    say_json({**about, "memory": memory_facts(states), "not_asked": untaken, "files": files})


def _tell_table(
    record: GateRecord, states: Any, untaken: Any, paths: list[Path], *, trained: bool, photos: int
) -> None:
    from sightline.cli.gate_show import facts

    say_table(
        (">stage", ">block", "path", ">mean", ">lowest", ">highest", ">entropy", ">by picture"),
        ((*list(row.values())[:3], *(f"{value:.3f}" for value in list(row.values())[3:])) for row in facts(record)),
        title=f"{record.gate} over {photos} photos",
    )
    for path in paths:
        say_note(str(path))


def _tell_limits(photos: int, count: int, *, trained: bool, exact: bool) -> None:
    """What the figures do not say."""
    if photos > count:
        say_note(f"maps of the first {count} of {photos} photos are drawn; --shown {photos} draws all")
    if not trained:
        say_note(
            "these gates hold no trained weights, so they show what a gate begins with; give --gated-weights FILE"
        )
    if not exact:
        say_note("this gate has no factor that can be read; its values are fitted to what it did to each channel")
