"""`sightline train birdnet`: the bundled model again from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sightline.terminal.guard import training

Out = Annotated[Path, typer.Option(help="Weights file to write; its card is written beside it.")]
Scenes = Annotated[int, typer.Option(help="Number of training scenes.", min=1)]
Epochs = Annotated[int, typer.Option(help="Passes over the training pictures.", min=1)]
Seed = Annotated[int, typer.Option(help="Seed of the world, the weights and the order.")]
Workers = Annotated[int, typer.Option(help="Processes that draw scenes.")]
Threads = Annotated[int, typer.Option(help="Threads of torch; more than one only helps on idle cores.")]
Work = Annotated[
    Path | None,
    typer.Option(help="Folder of pictures and checkpoints; kept, so that a run can go on. Default: OUT with .work"),
]
Toy = Annotated[bool, typer.Option("--toy", help="A size that finishes in seconds and learns nothing.")]


def birdnet(
    out: Out,
    scenes: Scenes = 8_000,
    loose: Annotated[int, typer.Option(help="Number of training scenes with attributes by chance.")] = 12_000,
    epochs: Epochs = 7,
    seed: Seed = 0,
    workers: Workers = 2,
    threads: Threads = 1,
    work: Work = None,
    toy: Toy = False,
) -> None:
    """Draw scenes, train, measure on held-out scenes, write weights and model card.

    Interrupted? The same command goes on after the last finished epoch.
    """
    with training(work or out.with_suffix(".work")):
        from sightline.tasks.bird.train import Recipe, train_birdnet

        recipe = Recipe(scenes=scenes, loose=loose, epochs=epochs, seed=seed, workers=workers, threads=threads)
        measures = train_birdnet(out, recipe=recipe.toy() if toy else recipe, work=work)
    low, high = measures.interval
    typer.echo(f"class accuracy {measures.accuracy:.4f} ({low:.4f}-{high:.4f}) on {measures.scenes} held-out scenes")
    base = f"most frequent value: {measures.attribute_base:.4f}"
    typer.echo(f"attribute accuracy, attributes by chance {measures.attribute_accuracy:.4f} ({base})")
    typer.echo(f"{out} and {out.with_suffix('.md')} written")
