"""The recipe of an attribute network from start to end: data, training, knowledge, figures, files.

Resumable: pictures and checkpoints stay in a work folder. Weights, card and page are written when all is measured.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from sightline.common.files import check_place, write_text
from sightline.models.zoo.catalog import find_model
from sightline.tasks.attributes.data.pictures import Pictures, gather
from sightline.tasks.attributes.metrics.evaluate import Judged, judge
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec, attribute_net
from sightline.tasks.attributes.network.store import load_attribute_net, save_attribute_net
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.report import card, facts, tables, within
from sightline.tasks.attributes.train.calibrate import knowledge_of
from sightline.tasks.attributes.train.fit import fit, restored
from sightline.tasks.attributes.train.module import Rates
from sightline.tasks.attributes.train.resume import claim
from sightline.training.callbacks import MONITORS, Curves, Keeper, Patience, Row
from sightline.training.loop import Loop, Telling
from sightline.training.resume import checkpoint
from sightline.training.run_page import run_page


@dataclass(frozen=True)
class Trained:
    """What a training left behind.

    Args:
        judged: figures of the best epoch's weights.
        epochs: how many were trained.
        best: which of them was kept, from 1.
        files: best weights, last weights, card, page.
        judged_on: which pictures the figures are of.
        notes: what was noticed in the data.
    """

    judged: Judged
    epochs: int
    best: int
    files: tuple[Path, ...]
    judged_on: str
    notes: tuple[str, ...]


def train_eat(
    data: Path | None,
    out: Path,
    recipe: EatRecipe = EatRecipe(),
    work: Path | None = None,
    *,
    telling: Telling = Telling(),
) -> Trained | None:
    """Train an attribute network and write its weights, card and page.

    Args:
        data: a folder that `read_attributes` reads; None draws scenes of the aviary.
        out: the weights of the best epoch; those of the last, the card and the page are written beside it.
        recipe: everything else.
        work: folder of pictures, checkpoints and logs; None takes `out` with the ending `.work`. Running again with
            the same folder goes on after the last finished epoch and ends as if nothing had happened.
        telling: what is said meanwhile.

    Returns:
        What was measured; None in a process that only helped to train.

    Raises:
        DataError: the data cannot be learnt from.
        InputError: a picture cannot be read.
        ModelError: there is no such backbone, or its features cannot be as fine as asked.
        TrainingError: the recipe makes no sense, the work folder is another training's, or the loss is not finite.
        ResultError: the files cannot be written.
    """
    work = work or out.with_suffix(".work")
    check_place(out)
    find_model(recipe.backbone)
    torch.set_num_threads(recipe.threads)
    with telling.reading() as report:
        pictures = gather(data, recipe, work, report)
    claim(work, pictures, recipe)
    lightning.seed_everything(recipe.seed, verbose=False)
    net = attribute_net(_spec(pictures, recipe), _weights(pictures, recipe))
    curves = Curves(telling.epoch)
    last = fit(
        net,
        pictures.train,
        _rates(pictures, recipe),
        _loop(recipe),
        validation=pictures.validation,
        work=work,
        callbacks=[curves, *_choosing(recipe, work)],
        loggers=_loggers(work),
        bar=telling.bar,
    )
    if rank_zero_only.rank:
        return None
    return _finish(last, curves.rows, pictures, recipe, out, work, telling.command or "sightline train eat")


def _finish(
    net: AttributeNet,
    rows: list[Row],
    pictures: Pictures,
    recipe: EatRecipe,
    out: Path,
    work: Path,
    command: str,
) -> Trained:
    """Teach the network what it must know to speak, measure it as it was written, and write all files."""
    last, page = out.with_suffix(".last.safetensors"), out.with_suffix(".html")
    _save(restored(net, checkpoint(work, "last")), pictures, last)
    half = _save(restored(net, checkpoint(work, "best")), pictures, out.with_suffix(".tmp"))
    written = load_attribute_net(half)
    judged = judge(written, pictures.judging)
    best = _best(rows, recipe)
    about = facts(
        written, judged, pictures, recipe, f"{len(rows)} epochs; epoch {best} kept, by validation {recipe.best}"
    )
    write_text(out.with_suffix(".md"), card(written, judged, pictures, about, command))
    text = run_page(
        rows,
        title=f"{out.stem}: {recipe.backbone} with attributes",
        facts={**about, "within classes": within(judged).partition(": ")[2]},
        recipe={name: str(value) for name, value in asdict(recipe).items()},
        notes=pictures.notes,
        tables=tables(judged),
        best=best,
    )
    write_text(page, text)
    half.replace(out)
    files = (out, last, out.with_suffix(".md"), page)
    return Trained(judged, len(rows), best, files, pictures.judged_on, pictures.notes)


def _save(net: AttributeNet, pictures: Pictures, path: Path) -> Path:
    net.knowledge = knowledge_of(net, pictures.train, pictures.validation)
    return save_attribute_net(net, path)


def _best(rows: list[Row], recipe: EatRecipe) -> int:
    """The first epoch of the best figure, from 1, as the checkpoint has it."""
    name, mode = MONITORS[recipe.best]
    values = [row[name] if mode == "max" else -row[name] for row in rows]
    return values.index(max(values)) + 1


def _spec(pictures: Pictures, recipe: EatRecipe) -> AttributeSpec:
    words: Any = {"join": recipe.join, "pool": recipe.pool}
    return AttributeSpec(
        backbone=recipe.backbone,
        classes=pictures.classes,
        vocabulary=pictures.vocabulary,
        stride=recipe.stride,
        reading=recipe.reading,
        width=recipe.width,
        size=recipe.size,
        model_args=recipe.model_args,
        seed=recipe.seed,
        **words,
    )


def _weights(pictures: Pictures, recipe: EatRecipe) -> str | None:
    """What `load_model` is to fill the backbone with; None asks for the published weights."""
    if recipe.weights == "published":
        return None
    return recipe.weights or ("random" if pictures.drawn else None)


def _rates(pictures: Pictures, recipe: EatRecipe) -> Rates:
    learnt = _weights(pictures, recipe) != "random"
    return Rates(
        attributes=recipe.attribute_weight,
        rate=recipe.rate,
        trunk_rate=recipe.trunk_rate if recipe.trunk_rate is not None else 0.1 if learnt else 1.0,
        decay=recipe.decay,
        smoothing=recipe.smoothing,
        seed=recipe.seed,
        outside=recipe.outside,
        parts=recipe.parts,
        consistency=recipe.consistency,
        balance=recipe.balance,
    )


def _loop(recipe: EatRecipe) -> Loop:
    return Loop(
        epochs=recipe.epochs,
        batch=recipe.batch,
        precision=recipe.precision,
        accelerator=recipe.accelerator,
        devices=recipe.devices,
        seed=recipe.seed,
        strategy=recipe.strategy,
    )


def _choosing(recipe: EatRecipe, work: Path) -> list[Callback]:
    """What keeps the best epoch, and stops where none is better for long."""
    patience = [Patience(recipe.best, recipe.patience)] if recipe.patience else []
    return [*patience, Keeper(work / "checkpoints", "best", recipe.best)]


def _loggers(work: Path) -> list[Any]:
    """CSV always; TensorBoard where it is installed."""
    board = [TensorBoardLogger(work, name="board")] if find_spec("tensorboard") else []
    return [CSVLogger(work, name="log"), *board]
