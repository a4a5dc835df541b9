"""`sightline train eat`: a network that is taught attributes."""

from __future__ import annotations

import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.tasks.attributes.recipe import EatRecipe
from sightline.terminal.config import Config, given
from sightline.terminal.guard import training
from sightline.terminal.screen import picture_bar, say_json, say_note

if TYPE_CHECKING:
    from sightline.tasks.attributes.train.experiment import Trained

EAT = EatRecipe()

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


def eat(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="Weights (.safetensors); card and run page are written beside it.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Photos with attributes: a drawn world, CUB, AwA2, SUN, CSV. Default: the aviary, drawn."),
    ] = None,
    config: Config = None,
    backbone: Annotated[str, typer.Option(help="Any classifier of `sightline models`.")] = EAT.backbone,
    weights: Annotated[
        str | None,
        typer.Option(help="Its weights: a file, 'published' or 'random'. Default: published, without --data random."),
    ] = EAT.weights,
    model_arg: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the backbone's builder.")] = None,
    join: Annotated[
        str, typer.Option(help="How attributes meet the class: parallel, fusion, bottleneck.")
    ] = EAT.join,
    pool: Annotated[str, typer.Option(help="How the head puts places together: average, max, places.")] = EAT.pool,
    attribute_weight: Annotated[
        float, typer.Option("--lambda", help="Weight of the attribute loss beside the class loss.")
    ] = EAT.attribute_weight,
    stride: Annotated[int, typer.Option(help="Pixels per cell of the features; 0: the backbone's.")] = EAT.stride,
    reading: Annotated[
        int, typer.Option(help="Pixels per cell of finer features to read attributes off; 0: none.")
    ] = EAT.reading,
    width: Annotated[int, typer.Option(help="Channels of those finer features.")] = EAT.width,
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.")] = EAT.size,
    epochs: Epochs = EAT.epochs,
    batch: Annotated[int, typer.Option(help="Pictures per step, over all devices together.")] = EAT.batch,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = EAT.rate,
    trunk_rate: Annotated[
        float | None, typer.Option(help="Factor on it for the backbone. Default: 0.1, with random weights 1.")
    ] = EAT.trunk_rate,
    decay: Annotated[float, typer.Option(help="Weight decay.")] = EAT.decay,
    smoothing: Annotated[float, typer.Option(help="Of the class labels.")] = EAT.smoothing,
    balance: Annotated[float, typer.Option(help="How much more rare attributes count, 0 to 1.")] = EAT.balance,
    targets: Annotated[str, typer.Option(help="Attributes of each image, or of its class.")] = EAT.targets,
    only: Annotated[
        list[str] | None, typer.Option(help="Attributes or groups, wildcards, commas. Default: all.")
    ] = None,
    outside: Annotated[
        float, typer.Option(help="Guide: weight of the class map's energy outside the object (masks, boxes).")
    ] = EAT.outside,
    parts: Annotated[
        float, typer.Option(help="Guide: weight of reading attributes off their parts (part masks).")
    ] = EAT.parts,
    consistency: Annotated[
        float, typer.Option(help="Guide: weight of agreeing with the same scene before another background (worlds).")
    ] = EAT.consistency,
    validation: Annotated[
        float, typer.Option(help="Share of each class put aside where the data has no validation split.")
    ] = EAT.validation,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Leave out classes without training pictures.")
    ] = EAT.incomplete,
    scenes: Scenes = EAT.scenes,
    best: Annotated[str, typer.Option(help="What chooses the epoch: validation accuracy or loss.")] = EAT.best,
    patience: Annotated[
        int, typer.Option(help="Epochs without a better one after which training stops; 0: never.")
    ] = EAT.patience,
    precision: Annotated[str, typer.Option(help="bf16-mixed, 16-mixed or 32.")] = EAT.precision,
    accelerator: Annotated[str, typer.Option(help="Of Lightning: auto, cpu, gpu.")] = EAT.accelerator,
    devices: Annotated[str, typer.Option(help="How many of them; auto: all.")] = EAT.devices,
    strategy: Annotated[str, typer.Option(help="Of Lightning: auto, ddp.")] = EAT.strategy,
    workers: Workers = EAT.workers,
    seed: Seed = EAT.seed,
    threads: Threads = EAT.threads,
    work: Work = None,
    toy: Toy = False,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON on standard output.")] = False,
) -> None:
    """Teach any classifier attributes as a second task, so that it can say in words what it decides by.

    Interrupted? The same command goes on after the last finished epoch, to the same weights bit for bit.
    """
    recipe = _recipe(ctx.params)
    folder = work or out.with_suffix(".work")
    with training(folder):
        from sightline.tasks.attributes.train.experiment import train_eat
        from sightline.training.loop import Telling

        found = train_eat(
            data,
            out,
            recipe.toy() if toy else recipe,
            folder,
            telling=Telling(picture_bar, _epoch, sys.stderr.isatty(), given(ctx)),
        )
    if found is not None:
        _tell(found, as_json=as_json)


def _recipe(params: dict[str, Any]) -> EatRecipe:
    """The recipe of all options that are of it."""
    from sightline.terminal.options import arguments_of, listed

    said = {field.name: params[field.name] for field in fields(EatRecipe) if field.name in params}
    said |= {"only": tuple(listed(params["only"])), "model_args": arguments_of(params["model_arg"])}
    return replace(EAT, **said)


def _epoch(number: int, row: dict[str, float]) -> None:
    """One line per epoch."""
    parts = [f"{name} {row[key]:.4f}" for name, key in _SHOWN.items() if key in row]
    say_note(f"epoch {number}: {', '.join(parts)}")


_SHOWN = {
    "loss": "train/loss",
    "validation loss": "val/loss",
    "accuracy": "val/accuracy",
    "attribute score": "val/attribute score",
}


def _tell(found: Trained, *, as_json: bool) -> None:
    """The figures for people or for programs."""
    judged = found.judged
    low, high = judged.interval
    if as_json:
        record = {
            **asdict(judged),
            "accuracy": judged.accuracy,
            "interval": [low, high],
            "judged_on": found.judged_on,
        }
        run = {"epochs": found.epochs, "best": found.best, "notes": list(found.notes)}
        say_json({**record, **run, "files": [str(path) for path in found.files]})
        return
    for note in found.notes:
        say_note(note)
    typer.echo(f"class accuracy {judged.accuracy:.4f} ({low:.4f}-{high:.4f}) on {judged.pictures} {found.judged_on}")
    if judged.choices:
        shares = [[100 * c.right / max(1, c.total) for c in read] for read in (judged.choices, judged.by_class)]
        base = sum(100 * c.base / max(1, c.total) for c in judged.choices)
        means = [sum(column) / len(judged.choices) for column in shares]
        typer.echo(
            f"attribute groups read right {means[0]:.1f} % (most frequent value {base / len(judged.choices):.1f} %, "
            f"said from the true class {means[1]:.1f} %)"
        )
    if judged.rankings:
        means = [sum(r.precision for r in read) / len(read) for read in (judged.rankings, judged.ranked_by_class)]
        share = sum(r.share for r in judged.rankings) / len(judged.rankings)
        typer.echo(f"average precision {means[0]:.3f} (share {share:.3f}, said from the true class {means[1]:.3f})")
    if judged.within is not None:
        typer.echo(f"within classes {judged.within} of {judged.pairs} pairs ranked right (class alone: 0.5)")
    if judged.energy is not None:
        typer.echo(f"class map on the object {judged.energy.inside} (object's area {judged.energy.area:.3f})")
    typer.echo(f"epoch {found.best} of {found.epochs} kept; {', '.join(map(str, found.files))} written")
