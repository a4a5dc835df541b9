"""`sightline gates`: where attention modules can be plugged into a network, and which there are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sightline.cli.screen import say_json, say_note, say_table

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
    from sightline.backbones.load import BUNDLED, RANDOM, load_model
    from sightline.cli.options import arguments_of
    from sightline.gates import sites as sites_of
    from sightline.gates.scheme import scheme_of

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
