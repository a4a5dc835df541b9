"""`sightline models`: every network that can be named."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sightline.terminal.screen import say_json, say_note, say_table


def models(
    pattern: Annotated[str, typer.Argument(help="A part of a name, or a pattern such as 'vit_*_224'.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False,
) -> None:
    """List the networks that come as a package, and those of torchvision and timm."""
    from sightline.errors import ModelError, near
    from sightline.models.zoo.catalog import models as catalogue
    from sightline.models.zoo.packaged import entries as packaged

    entries = [*packaged(pattern), *catalogue(pattern)]
    if not entries:
        raise ModelError(f"no model matches {pattern!r}; {near(pattern, (entry.name for entry in catalogue()))}")
    if as_json:
        say_json([asdict(entry) for entry in entries])
        return
    say_table(
        ("name", "family", ">parameters", "published weights"),
        (
            (
                entry.full,
                entry.family,
                "" if entry.parameters is None else f"{entry.parameters / 1e6:.1f} M",
                "yes" if entry.published else "no",
            )
            for entry in entries
        ),
    )
    say_note(f"{len(entries)} {'model' if len(entries) == 1 else 'models'}; photos without --model go to imagenet")
