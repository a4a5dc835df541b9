"""`sightline methods`: every method of explaining, straight from the registry."""

from __future__ import annotations

from typing import Annotated

import typer

from sightline.terminal.screen import say_json, say_table


def methods(as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False) -> None:
    """List the methods: what they need, what they cost, where they come from."""
    from sightline.explainers import METHODS

    facts = ("name", "title", "family", "needs", "cost", "signed", "source", "equation")
    rows = [{fact: getattr(method, fact) for fact in facts} for method in METHODS.values()]
    if as_json:
        layers = (method.default_layers for method in METHODS.values())
        say_json([{**row, "default_layers": where} for row, where in zip(rows, layers, strict=True)])
        return
    say_table(
        ("name", "title", "family", "needs", "cost in forwards", "signed"),
        ((r["name"], r["title"], r["family"], r["needs"], r["cost"], "yes" if r["signed"] else "") for r in rows),
    )
