"""A classifier from start to end: pictures, network, training, figures, files.

Resumable: pictures and checkpoints stay in a work folder. Weights, card and page are written when all is measured.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from sightline.common.files import check_place, write_text
from sightline.common.statistics.intervals import wilson
from sightline.gates.store import GatedSpec, gated_net, load_gated, plain_net, save_gated
from sightline.gates.surgery.plug import plugged
from sightline.models.load import load_model
from sightline.models.preprocess import Preprocess
from sightline.models.zoo.cifar_names import is_cifar
from sightline.tasks.classification.data.pictures import Pictures, gather
from sightline.tasks.classification.fit import fit, scores
from sightline.tasks.classification.module import Descent
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.tasks.classification.report import card, facts
from sightline.training.callbacks import Curves, Row
from sightline.training.loop import Loop, Telling
from sightline.training.recipe import lasting
from sightline.training.resume import claim_folder, digest
from sightline.training.run_page import run_page


@dataclass(frozen=True)
class Classified:
    """What a training left behind.

    Args:
        hits: test pictures whose class the last epoch's weights name.
        total: test pictures.
        frequent: test pictures of the class that is most frequent in training.
        best: highest test accuracy over all epochs: optimistic, because the test pictures chose it.
        best_epoch: when that was, from 1.
        epochs: how many were trained.
        parameters: of the network with its gates.
        scheme: which blocks have a gate; empty for the plain network.
        files: weights, card, page.
        notes: what was noticed in the data.
    """

    hits: int
    total: int
    frequent: int
    best: float
    best_epoch: int
    epochs: int
    parameters: int
    scheme: str
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float:
        """Test accuracy of the last epoch."""
        return self.hits / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of it: over pictures, for this one training."""
        return wilson(self.hits, self.total)


def train_classify(
    data: str | Path,
    out: Path,
    recipe: ClassifyRecipe = ClassifyRecipe(),
    work: Path | None = None,
    *,
    telling: Telling = Telling(),
) -> Classified | None:
    """Train a classifier and write its weights, card and page.

    Args:
        data: a folder of pictures, of CIFAR's binary files, or `aviary`.
        out: the weights of the last epoch; card and page are written beside it.
        recipe: everything else.
        work: folder of pictures, checkpoints and logs; None takes `out` with the ending `.work`. Running again with
            the same folder goes on after the last finished epoch and ends as if nothing had happened.
        telling: what is said meanwhile.

    Returns:
        What was measured; None in a process that only helped to train.

    Raises:
        DataError: the data cannot be learnt from.
        InputError: a picture cannot be read.
        ModelError: there is no such network.
        GateError: the gate or its scheme does not fit the network.
        TrainingError: the recipe makes no sense, the work folder is another training's, or the loss is not finite.
        ResultError: the files cannot be written.
    """
    work = work or out.with_suffix(".work")
    check_place(out)
    torch.set_num_threads(recipe.threads)
    with telling.reading() as report:
        pictures = as_taught(gather(data, recipe, work, report), recipe)
    spec, net = built(pictures, recipe)
    claim_folder(work, _claims(pictures, recipe))
    lightning.seed_everything(recipe.seed, verbose=False)
    curves = Curves(telling.epoch)
    net = fit(
        net,
        pictures,
        descent_of(recipe),
        loop_of(recipe),
        work=work,
        callbacks=[curves],
        loggers=[CSVLogger(work, name="log")],
        bar=telling.bar,
    )
    if rank_zero_only.rank:
        return None
    return _finish(net, spec, curves.rows, pictures, recipe, out, telling.command or "sightline train classify")


def built(pictures: Pictures, recipe: ClassifyRecipe) -> tuple[GatedSpec, nn.Module]:
    """The spec of the network that a recipe asks for, and the network with its gates.

    Raises:
        ModelError: there is no such network.
        GateError: the gate or its scheme does not fit it.
    """
    own = {} if recipe.reduction is None else {"reduction": recipe.reduction}
    settings = Preprocess((recipe.size, recipe.size), None, pictures.mean, pictures.std)
    spec = GatedSpec(
        model=recipe.model,
        classes=pictures.classes,
        model_args=recipe.model_args,
        skip=recipe.skip,
        norm=recipe.norm,
        gate=None if recipe.gate == "none" else recipe.gate,
        share=recipe.share,
        scheme=recipe.scheme,
        start=recipe.start,
        options=own,
        preprocess=settings.record(),
    )
    plain = plain_net(spec, None if recipe.weights == "published" else recipe.weights, recipe.seed)
    if recipe.init == "fan_out":
        drawn_anew(plain, recipe.seed)
    net = gated_net(spec, seed=recipe.seed, plain=plain)
    return spec if spec.gate is None else replace(spec, scheme=str(plugged(net).scheme)), net


def as_taught(pictures: Pictures, recipe: ClassifyRecipe) -> Pictures:
    """The pictures, normalised as the weights that are begun with were taught, where a published network has some."""
    if recipe.weights == "random" or is_cifar(recipe.model):
        return pictures
    own = load_model(recipe.model, weights="random", model_args=recipe.model_args).preprocess
    return replace(pictures, mean=own.mean, std=own.std)


def drawn_anew(net: nn.Module, seed: int) -> None:
    """Every convolution from a normal of mean 0 and variance 2 / (k k channels behind), in place; biases to 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


def descent_of(recipe: ClassifyRecipe) -> Descent:
    """The rates of a recipe."""
    return Descent(
        rate=recipe.rate,
        drops=recipe.milestones,
        factor=recipe.factor,
        decay=recipe.decay,
        momentum=recipe.momentum,
        augment=recipe.augment == "crop-flip",
        seed=recipe.seed,
    )


def loop_of(recipe: ClassifyRecipe) -> Loop:
    """How long a recipe trains, and on what."""
    return Loop(
        epochs=recipe.epochs,
        batch=recipe.batch,
        precision=recipe.precision,
        accelerator=recipe.accelerator,
        devices=recipe.devices,
        seed=recipe.seed,
    )


def _claims(pictures: Pictures, recipe: ClassifyRecipe) -> dict[str, Any]:
    """Everything that must be the same when a training goes on."""
    return {
        "classes": digest("\n".join(pictures.classes).encode()),
        "pictures": digest(pictures.known.encode() + pictures.labels.numpy().tobytes()),
        **lasting(recipe),
    }


def _finish(
    net: nn.Module,
    spec: GatedSpec,
    rows: list[Row],
    pictures: Pictures,
    recipe: ClassifyRecipe,
    out: Path,
    command: str,
) -> Classified:
    """Write the last epoch's weights, measure them as they were written, and write card and page."""
    half = save_gated(net, spec, out.with_suffix(".tmp"))
    written = load_gated(half)[0]
    found = judged(written, spec, rows, pictures)
    page, text = out.with_suffix(".html"), out.with_suffix(".md")
    about = facts(found, pictures, recipe)
    write_text(text, card(found, pictures, about, command))
    made = run_page(
        rows,
        title=f"{out.stem}: {recipe.model}, gate {recipe.gate}",
        facts=about,
        recipe={name: str(value) for name, value in asdict(recipe).items()},
        notes=pictures.notes,
        tables={},
        best=len(rows),
    )
    write_text(page, made)
    half.replace(out)
    return replace(found, files=(out, text, page))


def judged(net: nn.Module, spec: GatedSpec, rows: list[Row], pictures: Pictures) -> Classified:
    """The figures of a network.

    Args:
        net: in eval mode.
        spec: how it is built.
        rows: figures of every epoch.
        pictures: its data.
    """
    labels = pictures.labels[pictures.test]
    seen = torch.bincount(pictures.labels[pictures.train], minlength=len(pictures.classes))
    course = [row["val/accuracy"] for row in rows if "val/accuracy" in row]
    return Classified(
        hits=int((scores(net, pictures).argmax(1) == labels).sum()),
        total=len(labels),
        frequent=int((labels == seen.argmax()).sum()),
        best=max(course),
        best_epoch=course.index(max(course)) + 1,
        epochs=len(rows),
        parameters=sum(p.numel() for p in net.parameters()),
        scheme=spec.scheme if spec.gate else "",
        notes=pictures.notes,
    )
