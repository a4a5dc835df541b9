"""`sightline gates`: where attention modules can be plugged, which there are, and which blocks deserve one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sightline.terminal.screen import progress, say_json, say_note, say_table


def sites(
    model: Annotated[str | None, typer.Argument(help="Name of a network; none is the bundled one.")] = None,
    model_arg: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the network's builder.")] = None,
    scheme: Annotated[
        str | None, typer.Option(help="Show which blocks a scheme plugs: 110|0011, 6,3,50,3, every-2, dense.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False,
) -> None:
    """List a network's places for gates: stage, block, path, channels, kind of block."""
    from sightline.gates import sites as sites_of
    from sightline.gates.scheme import scheme_of
    from sightline.models.load import BUNDLED, RANDOM, load_model
    from sightline.terminal.options import arguments_of

    chosen = RANDOM if model not in (None, BUNDLED) else None
    loaded = load_model(model, weights=chosen, model_args=arguments_of(model_arg))
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


def show(
    photos: Annotated[list[Path], typer.Argument(help="Photos and folders of photos.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Name of a network; none is the bundled one.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Of the network: a file, or 'random'.")] = None,
    model_arg: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the network's builder.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Class names.")] = None,
    gate: Annotated[
        str, typer.Option(help="A name of `sightline gates list`, if the network comes without.")
    ] = "dia",
    share: Annotated[str, typer.Option(help="Which blocks share one gate: stage, block or width.")] = "stage",
    gated_weights: Annotated[
        Path | None, typer.Option(help="Weights of the network with its gates, such as a supernet's.")
    ] = None,
    scheme: Annotated[str | None, typer.Option(help="Which blocks use a gate; all if none.")] = None,
    method: Annotated[str, typer.Option(help="How the maps are made (`sightline methods`).")] = "gradcam",
    target: Annotated[str | None, typer.Option("--target", "-t", help="A class; the top one if none.")] = None,
    forest: Annotated[
        bool, typer.Option(help="Grow forests that foretell each gate from earlier ones (8 photos at least).")
    ] = True,
    shown: Annotated[int, typer.Option(help="Photos whose maps are drawn; gates are read over all.", min=1)] = 12,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the figures and the page.")] = Path(
        "gates_out"
    ),
    seed: Annotated[int, typer.Option(help="Of whatever is drawn.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False,
) -> None:
    """Show what gates do on photos: values over depth, what each hangs on, and maps with and without them."""
    from sightline.cli.gate_show import facts, memory, memory_facts, plates_of, prepared, with_gates, write
    from sightline.cli.gate_show import show as show_gates
    from sightline.data.photos import find_photos
    from sightline.models.load import load_model
    from sightline.terminal.folder import check_writable
    from sightline.terminal.options import arguments_of, device_of

    check_writable(out)
    files = find_photos(list(photos))
    loaded = load_model(
        model, weights=weights, labels=labels, model_args=arguments_of(model_arg), device=device_of(device), seed=seed
    )
    trained = with_gates(loaded, gate, share=share, scheme=scheme, weights=gated_weights, seed=seed)
    with progress() as bar:
        task = bar.add_task("photos", total=None)
        inputs, views = prepared(loaded, files)
        record, items = show_gates(
            loaded,
            files[:shown],
            inputs,
            views,
            method=method,
            target=target,
            seed=seed,
            step=lambda what: bar.update(task, description=what),
        )
        found, untaken = memory(
            loaded, inputs, record, forest=forest, seed=seed, step=lambda what: bar.update(task, description=what)
        )
    written, rows = write(record, items, plates_of(record, found, untaken), out), facts(record)
    if as_json:
        files_written = [str(path) for path in written]
        known = {"gate": record.gate, "trained": trained, "exact": record.exact}
        say_json(
            {**known, "sites": rows, "memory": memory_facts(found), "not_asked": untaken, "files": files_written}
        )
    else:
        say_table(
            (">stage", ">block", "path", ">mean", ">lowest", ">highest", ">entropy", ">by picture"),
            ((*list(row.values())[:3], *(f"{value:.3f}" for value in list(row.values())[3:])) for row in rows),
            title=f"{record.gate} over {len(files)} photos",
        )
        for path in written:
            say_note(str(path))
    if len(files) > shown:
        say_note(f"maps of the first {shown} of {len(files)} photos are drawn; --shown {len(files)} draws all")
    if not trained:
        say_note(
            "these gates hold no trained weights, so they show what a gate begins with; give --gated-weights FILE"
        )
    if not record.exact:
        say_note("this gate has no factor that can be read; its values are fitted to what it did to each channel")
