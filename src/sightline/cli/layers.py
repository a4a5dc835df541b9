"""`sightline layers`: the places inside a network where attention is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.terminal.screen import say_json, say_table

if TYPE_CHECKING:
    from sightline.models.load import LoadedModel


def layers(
    model: Annotated[str | None, typer.Argument(help="Name of a network; imagenet if none.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", "-w", help="A weights file; without one the weights are random, as layers need none."
        ),
    ] = None,
    model_arg: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the network's builder.")] = None,
    size: Annotated[str | None, typer.Option(help="Input size: 224, or 224x320 for height x width.")] = None,
    patterns: Annotated[
        list[str] | None, typer.Option("--layers", help="all, last, convs, or layer names and wildcards.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False,
) -> None:
    """List a network's layers with their layouts, and the blocks that have no places, with the reason."""
    from sightline.models.load import BUNDLED, default_model, load_model
    from sightline.models.order import RANDOM
    from sightline.terminal.options import arguments_of, listed, size_of

    name = default_model(model, weights)
    source = weights or (RANDOM if name != BUNDLED else None)
    loaded = load_model(name, weights=source, model_args=arguments_of(model_arg))
    rows, left_out = _rows(loaded, size_of(size) or loaded.preprocess.size, listed(patterns))
    if as_json:
        say_json({"model": loaded.name, "layers": rows, "without_places": left_out})
        return
    say_table(
        ("layer", "kind", "grid", ">before", ">channels", ">stride"),
        (
            (
                r["name"],
                r["kind"],
                "x".join(map(str, r["grid"])),
                r["prefix"] or "",
                r["channels"],
                f"{r['stride']:g}",
            )
            for r in rows
        ),
        title=loaded.name,
    )
    if left_out:
        say_table(("without places", "why"), left_out.items(), title="")


def _rows(
    loaded: LoadedModel, size: tuple[int, int], patterns: list[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """One row per layer, in forward order, from one pass over an empty picture; and blocks that are no layers."""
    import torch

    from sightline.capture import Plan, capture
    from sightline.models import adapt
    from sightline.targets import parse_target

    adapter = adapt(loaded.model)
    plan = Plan(target=parse_target(), layers=patterns or None)
    x = torch.zeros(1, loaded.preprocess.channels, *size)
    record = capture(adapter, x, plan)
    rows = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "grid": list(layer.grid),
            "prefix": layer.layout.prefix,
            "channels": layer.channels,
            "stride": layer.stride,
        }
        for layer in record.layers
    ]
    return rows, {} if patterns else adapter.structure(x).without_places
