"""`sightline train contrastive`: an image encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sightline.terminal.guard import training

Out = Annotated[Path, typer.Option(help="Weights file to write; its card is written beside it.")]
Epochs = Annotated[int, typer.Option(help="Passes over the training pictures.", min=1)]
Seed = Annotated[int, typer.Option(help="Seed of the world, the weights and the order.")]
Workers = Annotated[int, typer.Option(help="Processes that draw scenes.")]
Threads = Annotated[int, typer.Option(help="Threads of torch; more than one only helps on idle cores.")]
Work = Annotated[
    Path | None,
    typer.Option(help="Folder of pictures and checkpoints; kept, so that a run can go on. Default: OUT with .work"),
]
Toy = Annotated[bool, typer.Option("--toy", help="A size that finishes in seconds and learns nothing.")]


def contrastive(
    out: Out,
    scenes: Annotated[int, typer.Option(help="Number of training scenes.", min=40)] = 2_000,
    epochs: Epochs = 40,
    seed: Seed = 0,
    workers: Workers = 2,
    threads: Threads = 1,
    work: Work = None,
    toy: Toy = False,
) -> None:
    """Train an image encoder with InfoNCE on the aviary: two scenes of one species belong together.

    Interrupted? The same command goes on after the last finished epoch.
    """
    with training(work or out.with_suffix(".work")):
        from sightline.tasks.contrastive.train import ContrastiveRecipe, train_contrastive

        recipe = ContrastiveRecipe(scenes=scenes, epochs=epochs, seed=seed, workers=workers, threads=threads)
        found = train_contrastive(out, recipe=recipe.toy() if toy else recipe, work=work)
    low, high = found.interval
    base = f"chance {found.chance:.4f}, untrained {found.untrained / found.queries:.4f}"
    typer.echo(f"retrieval accuracy@1 {found.accuracy:.4f} ({low:.4f}-{high:.4f}) of {found.queries} queries; {base}")
    typer.echo(f"{out} and {out.with_suffix('.md')} written")
