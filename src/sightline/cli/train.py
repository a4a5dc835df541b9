"""`sightline train`: train the bundled model again from nothing, and an encoder for similarity."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Train the bundled model, or an encoder.", no_args_is_help=True)


@app.callback()
def train() -> None:
    """Train the bundled model, or an encoder."""


@app.command()
def birdnet(
    out: Annotated[Path, typer.Option(help="Weights file to write; its card is written beside it.")],
    scenes: Annotated[int, typer.Option(help="Number of training scenes.")] = 8_000,
    loose: Annotated[int, typer.Option(help="Number of training scenes with attributes by chance.")] = 12_000,
    epochs: Annotated[int, typer.Option(help="Passes over them.")] = 7,
    seed: Annotated[int, typer.Option(help="Seed of the world, the weights and the order.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that draw scenes.")] = 2,
    threads: Annotated[int, typer.Option(help="Threads of torch; more than one only helps on idle cores.")] = 1,
    work: Annotated[
        Path | None, typer.Option(help="Folder of scenes and checkpoints; kept, so that a run can go on.")
    ] = None,
    toy: Annotated[bool, typer.Option("--toy", help="A size that finishes in seconds and learns nothing.")] = False,
) -> None:
    """Draw scenes, train, measure on held-out scenes, write weights and model card.

    Interrupted? The same command goes on after the last finished epoch.
    """
    with _needing_the_extra():
        from sightline.training.birdnet import Recipe, train_birdnet
    recipe = Recipe(scenes=scenes, loose=loose, epochs=epochs, seed=seed, workers=workers, threads=threads)
    measures = train_birdnet(out, recipe=recipe.toy() if toy else recipe, work=work)
    low, high = measures.interval
    typer.echo(f"class accuracy {measures.accuracy:.4f} ({low:.4f}-{high:.4f}) on {measures.scenes} held-out scenes")
    base = f"most frequent value: {measures.attribute_base:.4f}"
    typer.echo(f"attribute accuracy, attributes by chance {measures.attribute_accuracy:.4f} ({base})")
    typer.echo(f"{out} and {out.with_suffix('.md')} written")


@app.command()
def contrastive(
    out: Annotated[Path, typer.Option(help="Weights file to write; its card is written beside it.")],
    scenes: Annotated[int, typer.Option(help="Number of training scenes.", min=40)] = 2_000,
    epochs: Annotated[int, typer.Option(help="Passes over them.", min=1)] = 40,
    seed: Annotated[int, typer.Option(help="Seed of the world, the weights and the order.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that draw scenes.")] = 2,
    threads: Annotated[int, typer.Option(help="Threads of torch; more than one only helps on idle cores.")] = 1,
    work: Annotated[
        Path | None, typer.Option(help="Folder of scenes and checkpoints; kept, so that a run can go on.")
    ] = None,
    toy: Annotated[bool, typer.Option("--toy", help="A size that finishes in seconds and learns nothing.")] = False,
) -> None:
    """Train an image encoder with InfoNCE on the aviary: two scenes of one species belong together.

    Interrupted? The same command goes on after the last finished epoch.
    """
    with _needing_the_extra():
        from sightline.training.contrastive import ContrastiveRecipe, train_contrastive
    recipe = ContrastiveRecipe(scenes=scenes, epochs=epochs, seed=seed, workers=workers, threads=threads)
    found = train_contrastive(out, recipe=recipe.toy() if toy else recipe, work=work)
    low, high = found.interval
    base = f"chance {found.chance:.4f}, untrained {found.untrained / found.queries:.4f}"
    typer.echo(f"retrieval accuracy@1 {found.accuracy:.4f} ({low:.4f}-{high:.4f}) of {found.queries} queries; {base}")
    typer.echo(f"{out} and {out.with_suffix('.md')} written")


@contextmanager
def _needing_the_extra() -> Iterator[None]:
    """What is imported inside needs the extra `train`.

    Raises:
        MissingExtraError: it is not installed.
    """
    from sightline.errors import MissingExtraError

    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("lightning", "torchmetrics"):
            raise
        raise MissingExtraError(str(error.name), "train", "training") from error
