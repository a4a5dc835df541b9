"""`sightline gates`: where attention modules can be plugged, which there are, and which blocks deserve one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sightline.terminal.screen import progress, say_json, say_note, say_table

app = typer.Typer(help="Attention modules that are built into a network.", no_args_is_help=True)


@app.command()
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


@app.command("list")
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


@app.command()
def search(
    data: Annotated[
        Path, typer.Option(help="Folder with train/ and val/, in each a folder of photos for every class.")
    ],
    log: Annotated[Path, typer.Option(help="File of the evaluations; a stopped search goes on from it.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Name of a network; none is the bundled one.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="What the network begins with: a file, or 'random'.")] = None,
    model_arg: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the network's builder.")] = None,
    gate: Annotated[str, typer.Option(help="A name of `sightline gates list`.")] = "dia",
    share: Annotated[str, typer.Option(help="Which blocks share one gate: stage, block or width.")] = "stage",
    reduction: Annotated[int | None, typer.Option(help="Of the gate's inner width.", min=1)] = None,
    supernet: Annotated[
        Path | None, typer.Option(help="Weights of a trained supernet; trained and kept beside the log if none.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Of the supernet's training.", min=0)] = 10,
    lr: Annotated[float, typer.Option(help="Learning rate of that training, at its start.")] = 0.05,
    searcher: Annotated[str, typer.Option(help="reinforce, random, greedy or exhaustive.")] = "reinforce",
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the searcher; repeat for more.")] = None,
    budget: Annotated[int, typer.Option(help="Most schemes that are evaluated.", min=2)] = 100,
    sparsity: Annotated[float, typer.Option(help="Accuracy that a network without gates is worth more.")] = 0.02,
    photos: Annotated[int, typer.Option(help="Most validation photos for each evaluation.", min=1)] = 1000,
    recalibrate: Annotated[
        int, typer.Option(help="Training photos to estimate batch norms anew for each scheme; 0: none.", min=0)
    ] = 256,
    batch_size: Annotated[int, typer.Option(help="Photos that go through the network together.", min=2)] = 32,
    workers: Annotated[int, typer.Option(help="Evaluate in so many processes; 0 is this one alone.", min=0)] = 0,
    spread: Annotated[
        str, typer.Option(help="Workers are 'processes' of this machine, or 'ray' workers.")
    ] = "processes",
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False,
) -> None:
    """Search which blocks deserve a gate: train a supernet under random masks, then try schemes in it."""
    from sightline.tasks.gate_search import SEARCHERS
    from sightline.tasks.gate_search.command import SPREADS, make_supernet, run_search, tell
    from sightline.tasks.gate_search.job import Job
    from sightline.terminal.options import arguments_of, device_of, one_of

    one_of(spread, SPREADS, option="--spread")
    one_of(searcher, tuple(SEARCHERS), option="--searcher")
    job = Job(
        folder=data, model=model, weights=weights, model_args=tuple(arguments_of(model_arg).items()), gate=gate,
        share=share, reduction=reduction, photos=photos, recalibrate=recalibrate, batch=batch_size, seed=seed,
        device=device_of(device), supernet=supernet or log.with_name(f"{log.stem}.supernet.safetensors"),
    )  # fmt: skip
    make_supernet(job, epochs=epochs, rate=lr)
    found = run_search(
        job, searcher=searcher, budget=budget, sparsity=sparsity, log=log, workers=workers, spread=spread,
        options=arguments_of(option),
    )  # fmt: skip
    tell(found, as_json=as_json, log=log, supernet=job.supernet)


@app.command()
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
