"""`sightline train classify`: any classifier with any gate, on pictures of one's own, CIFAR, or drawn scenes."""

from __future__ import annotations

import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.tasks.classification.recipe import CONFIGS, ClassifyRecipe, drops_of
from sightline.terminal.config import given, reading
from sightline.terminal.guard import training
from sightline.terminal.screen import picture_bar, say_json, say_note

if TYPE_CHECKING:
    from sightline.tasks.classification.train import Classified

OWN = ClassifyRecipe()
NAMED = ", ".join(sorted(path.stem for path in CONFIGS.glob("*.toml")))


def classify(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="Weights (.safetensors); card and run page are written beside it.")],
    data: Annotated[
        str,
        typer.Option(
            help="Folder: train/CLASS/* with test/CLASS/* or val/CLASS/*, CLASS/*, pictures with labels.csv, CIFAR's "
            "binary version. 'aviary' draws scenes."
        ),
    ] = "aviary",
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            callback=reading(CONFIGS),
            is_eager=True,
            help=f"TOML file of these options, or a published recipe: {NAMED}. The command line beats it.",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A name of `sightline models`, or cifar-resnet20, cifar-wrn-16-4 and the like.")
    ] = OWN.model,
    weights: Annotated[str, typer.Option(help="Its weights: random, published, or a file.")] = OWN.weights,
    model_arg: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the network's builder.")] = None,
    gate: Annotated[str, typer.Option(help="A name of `sightline gates list`, or none.")] = OWN.gate,
    share: Annotated[str, typer.Option(help="Who shares a gate: block (nobody), stage, width.")] = OWN.share,
    scheme: Annotated[
        str, typer.Option(help="Which blocks have it: dense, empty, every-2, 110|0011, 6,3.")
    ] = OWN.scheme,
    start: Annotated[str, typer.Option(help="Of the gate: default, or identity for trained weights.")] = OWN.start,
    reduction: Annotated[int | None, typer.Option(help="Of the gate's inner width. Default: the gate's own.")] = None,
    skip: Annotated[bool, typer.Option(help="Shortcuts (CIFAR networks).")] = OWN.skip,
    norm: Annotated[bool, typer.Option(help="BatchNorm (CIFAR networks).")] = OWN.norm,
    init: Annotated[str, typer.Option(help="Of the convolutions: default (the network's own), fan_out.")] = OWN.init,
    epochs: Annotated[int, typer.Option(help="Passes over the training pictures.")] = OWN.epochs,
    batch: Annotated[int, typer.Option(help="Pictures per step, over all devices together.")] = OWN.batch,
    rate: Annotated[float, typer.Option(help="Learning rate at the start.")] = OWN.rate,
    drops: Annotated[
        str | None, typer.Option(help="Epochs after which it falls: 60,120. Default: a half and three quarters.")
    ] = None,
    factor: Annotated[float, typer.Option(help="By which it falls.")] = OWN.factor,
    decay: Annotated[float, typer.Option(help="Weight decay.")] = OWN.decay,
    momentum: Annotated[float, typer.Option(help="Of stochastic gradient descent.")] = OWN.momentum,
    augment: Annotated[str, typer.Option(help="crop-flip, or none.")] = OWN.augment,
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.")] = OWN.size,
    held_out: Annotated[
        float, typer.Option(help="Share of each class that is tested on where the data has no test pictures.")
    ] = OWN.held_out,
    scenes: Annotated[int, typer.Option(help="Training scenes of the aviary; a third as many are tested on.")] = (
        OWN.scenes
    ),
    precision: Annotated[str, typer.Option(help="32, bf16-mixed or 16-mixed.")] = OWN.precision,
    accelerator: Annotated[str, typer.Option(help="Of Lightning: auto, cpu, gpu.")] = OWN.accelerator,
    devices: Annotated[str, typer.Option(help="How many of them; auto: all.")] = OWN.devices,
    workers: Annotated[int, typer.Option(help="Processes that draw scenes.")] = OWN.workers,
    seed: Annotated[int, typer.Option(help="Of weights, order and augmentation.")] = OWN.seed,
    threads: Annotated[int, typer.Option(help="Of torch; more than one only helps on idle cores.")] = OWN.threads,
    work: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures and checkpoints; a run goes on with it. Default: OUT with .work"),
    ] = None,
    toy: Annotated[bool, typer.Option("--toy", help="A size that finishes in seconds and learns nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON on standard output.")] = False,
) -> None:
    """Train a classifier, plain or with an attention module, and test it.

    The figure is the last epoch's. Interrupted? The same command goes on after the last finished epoch, to the same
    weights bit for bit.
    """
    recipe = _recipe(ctx.params)
    with training(work or out.with_suffix(".work")):
        from sightline.tasks.classification.train import train_classify
        from sightline.training.loop import Telling

        found = train_classify(
            data,
            out,
            recipe.toy() if toy else recipe,
            work,
            telling=Telling(picture_bar, _epoch, sys.stderr.isatty(), given(ctx)),
        )
    if found is not None:
        _tell(found, as_json=as_json)


def _recipe(params: dict[str, Any]) -> ClassifyRecipe:
    """The recipe of all options that are of it."""
    from sightline.terminal.options import arguments_of

    said = {field.name: params[field.name] for field in fields(ClassifyRecipe) if field.name in params}
    return replace(
        OWN, **said | {"drops": drops_of(params["drops"]), "model_args": arguments_of(params["model_arg"])}
    )


def _epoch(number: int, row: dict[str, float]) -> None:
    """One line per epoch."""
    shown = {"loss": "train/loss", "accuracy": "train/accuracy", "test accuracy": "val/accuracy"}
    say_note(f"epoch {number}: {', '.join(f'{name} {row[key]:.4f}' for name, key in shown.items() if key in row)}")


def _tell(found: Classified, *, as_json: bool) -> None:
    """The figures for people or for programs."""
    from sightline.tasks.classification.report import OPTIMISTIC

    low, high = found.interval
    if as_json:
        record = {
            **asdict(found),
            "accuracy": found.accuracy,
            "interval": [low, high],
            "remark": f"best: {OPTIMISTIC}",
        }
        say_json({**record, "files": [str(path) for path in found.files]})
        return
    for note in found.notes:
        say_note(note)
    typer.echo(
        f"test accuracy of the last epoch {found.accuracy:.4f} ({low:.4f}-{high:.4f}) on {found.total} pictures; "
        f"always the most frequent class: {found.frequent / found.total:.4f}"
    )
    typer.echo(f"best over {found.epochs} epochs {found.best:.4f} in epoch {found.best_epoch} ({OPTIMISTIC})")
    gated = f", gate at {found.scheme}" if found.scheme else ", no gate"
    typer.echo(f"{found.parameters} parameters{gated}; {', '.join(map(str, found.files))} written")
