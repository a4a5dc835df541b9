"""The fine-tuned cells of `eat_study.py`: whole networks on the photos of CUB, by the recipe of `train eat`.

All training photos are learnt from, and the last epoch counts. The probe of the features before training is the
control of every cell. Cells of `CHOICE` learn from four fifths of the photos and are judged on the last fifth: they
choose EAT's arm, and nothing else.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from _eat_arms import Row, World, answers_of, drawn, second_task
from _eat_features import Base, Frozen, Pictures, network, pictures, vocabularies
from _eat_measures import attention
from sightline.tasks.attributes.data import Vocabulary
from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train.anatomy import probe_features
from sightline.tasks.attributes.train.calibrate import normalised
from sightline.tasks.attributes.train.fit import fit
from sightline.tasks.attributes.train.start import start_attribute_head, start_class_head
from sightline.training.anatomy import head_factor
from sightline.training.probe import Features, linear_probe

ARMS = ("zero", "eat", "permuted")
VARIANTS = ("eat 0.3", "parts")
"""Other ways to EAT, among which validation photos choose: a smaller lambda, and attributes shown their parts."""
CHOICE = ("choice: zero", "choice: eat", "choice: eat 0.3", "choice: parts")
LAMBDA = {"zero": 0.0, "eat 0.3": 0.3}
"""Weight of the attribute loss where it is not 1."""
PART = 0.3
AS_BUILT = ("zero, head as built",)
"""Arms whose class head does not start from the probe, as that of all others does; on the first seed."""
AT_RANDOM = ", attribute head as built"
"""Ending of arms whose attribute head does not start from a probe; not among the cells that the command trains."""
EPOCHS, CUT, FOLD = 10, 0.2, 0.2
"""Epochs; share of the places that deletion takes; share of each class's photos for the choice."""


def probe_row(base: Base, work: Path) -> Row:
    """The control: logistic regression on the network's features before training."""
    _, own, features = _ready(base, work)
    probe = linear_probe(features)
    hits = "".join(str(int(one)) for one in probe.right)
    return {**_name(base, "probe", 0), "hits": hits, "accuracy": sum(probe.right) / len(own.test)}


def tuned_row(base: Base, arm: str, seed: int, work: Path, device: str = "cpu") -> Row:
    """One training and all that is measured of it."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")
    begun, clock = time.process_time(), time.perf_counter()
    net, own, features = _ready(base, work)
    if arm.startswith("choice: "):
        own, features = _divided(own, features, seed)
    kind = (arm.partition(": ")[2] or arm).partition(",")[0]
    examples, rows = taught(own, kind, seed)
    _start(net, features, arm)
    if LAMBDA.get(kind, 1.0) and not arm.endswith(AT_RANDOM):
        start_attribute_head(net, features.train[rows], examples)
    fit(net, examples, recipe(seed, EPOCHS, net, arm=kind, features=features, device=device))
    net = net.to(_where(device))
    row = {**_name(base, arm, seed), "epochs": EPOCHS}
    if arm.startswith("choice: "):
        row |= judged(net, own)
    else:
        row |= measured(net, own) | deletion(net, own.test)
    return {**row, "seconds": time.process_time() - begun, "wall": time.perf_counter() - clock, "device": device}


def _where(device: str) -> str:
    return "cuda" if device in ("cuda", "gpu") else "cpu"


def _start(net: AttributeNet, features: Features, arm: str) -> None:
    """The class head starts from the probe, as `train eat` lets it, unless the arm says otherwise."""
    head = linear_probe(features).head
    if arm not in AS_BUILT and head is not None:
        start_class_head(net, head)


def recipe(
    seed: int, epochs: int, net: AttributeNet, *, arm: str, features: Features, device: str = "cpu"
) -> EatRecipe:
    """The defaults of fine-tuning; lambda is 0, 0.3 or 1."""
    own = EatRecipe.of(
        attribute_weight=LAMBDA.get(arm, 1.0),
        part_weight=PART if arm == "parts" else 0.0,
        balance=0.0,
        epochs=epochs,
        size=net.spec.size,
        backbone=net.spec.backbone,
        device=device,
        seed=seed,
    )
    return own.but(head_lr_factor=head_factor(features.train, own.optim.lr))


def _divided(own: Pictures, features: Features, seed: int) -> tuple[Pictures, Features]:
    """The training photos in two: a share of each class, drawn by the seed, takes the place of the test photos."""
    draw = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(own.pool), generator=draw)
    by_class = [order[own.pool.labels[order] == y] for y in own.pool.labels.unique()]
    aside = torch.cat([rows[: max(1, round(FOLD * len(rows)))] for rows in by_class])
    kept = torch.ones(len(own.pool), dtype=torch.bool).index_fill(0, aside, value=False)
    rows = torch.nonzero(kept)[:, 0]
    x, y = features.train, features.train_labels
    parts = replace(own, pool=own.pool.take(rows), test=own.pool.take(aside))
    return parts, Features(x[rows], y[rows], x[aside], y[aside])


@torch.no_grad()
def judged(net: AttributeNet, own: Pictures) -> Row:
    """Accuracy and cross-entropy of the class on the photos that were put aside."""
    scores = torch.cat([net.read(normalised(net, own.test.images[rows])).classes.cpu() for rows in _parts(own.test)])
    right = scores.argmax(1) == own.test.labels
    loss = torch.nn.functional.cross_entropy(scores.float(), own.test.labels)
    return {"accuracy": float(right.float().mean()), "loss": float(loss)}


def _parts(examples: Examples) -> tuple[Tensor, ...]:
    return torch.arange(len(examples)).split(25)


def _ready(base: Base, work: Path) -> tuple[AttributeNet, Pictures, Features]:
    words, _ = vocabularies("cub")
    net = network(base, words, 7)
    own = pictures("cub", net.spec.size, work)
    path = work / "probed" / f"{base.name}.pt"
    if not path.is_file():
        features = probe_features(net, own.pool, own.test)
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(f".{os.getpid()}.tmp")
        torch.save([features.train, features.train_labels, features.test, features.test_labels], half)
        half.replace(path)
    return net, own, Features(*torch.load(path, weights_only=True))


def _name(base: Base, arm: str, seed: int) -> Row:
    return {"data": "cub", "base": base.name, "arm": arm, "each": 30, "seed": seed}


def taught(own: Pictures, arm: str, seed: int) -> tuple[Examples, Tensor]:
    """All training photos with the attributes of an arm, and their places in the pool."""
    nothing = torch.zeros(len(own.pool), 1)
    known = (own.pool.labels, own.pool.targets, own.pool.weights)
    table = (nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing)
    frozen = Frozen(torch.tensor(len(own.pool)), nothing, nothing, nothing, *known, *table)
    world = World("cub", "", frozen, own.words, own.class_words)
    rows = drawn(world, 30, seed)
    targets, weights = second_task(world, arm, rows, seed)
    return own.pool.take(rows).taught(targets, weights), rows


def measured(net: AttributeNet, own: Pictures) -> Row:
    """Class, attention and attributes on the test photos."""
    seen = attention(net, own.test)
    with torch.no_grad():
        outputs = [net.read(normalised(net, own.test.images[rows])) for rows in _parts(own.test)]
    scores, p = (torch.cat([getattr(one, name).cpu() for one in outputs]) for name in ("classes", "probabilities"))
    right = (scores.argmax(1) == own.test.labels).int()
    hot = torch.nn.functional.one_hot(own.pool.labels).float().T
    table = (hot @ (own.pool.targets * own.pool.weights)) / (hot @ own.pool.weights).clamp(min=1e-6)
    energies = [round(1000 * float(one)) for one in seen["energy"]]
    row: Row = {"accuracy": float(right.float().mean()), "hits": "".join(map(str, right.tolist()))}
    row |= {
        "energies": energies,
        "energy": float(seen["energy"].mean()),
        "another map": float(seen["swapped"].mean()),
    }
    row |= {"area": float(seen["area"].mean()), "centred": float(seen["gaussian"].mean())}
    known = (own.test.targets, own.test.weights, own.test.labels)
    return row | answers_of(p, *known, table[scores.argmax(1)])


@torch.no_grad()
def deletion(net: AttributeNet, test: Examples) -> Row:
    """Accuracy without the fifth of the places that the class map values most, and without those of another map."""
    maps = []
    for rows in _parts(test):
        with torch.enable_grad():
            features = net.trunk(normalised(net, test.images[rows])).detach().requires_grad_()
            top = net.read_features(features).classes.amax(1).sum()
            slope = torch.autograd.grad(top, features)[0]
        maps.append((features * slope).sum(1).detach().relu())
    drawn_maps = torch.cat(maps).cpu()
    return {
        "deleted": _without(net, test, drawn_maps),
        "deleted another": _without(net, test, drawn_maps.roll(len(test) // 2 + 1, 0)),
    }


def _without(net: AttributeNet, test: Examples, maps: Tensor) -> float:
    """Accuracy with the top of each map painted in the photo's mean colour."""
    hits = 0
    flat = maps.flatten(1)
    edge = flat.topk(max(1, int(CUT * flat.shape[1])), 1).values[:, -1]
    cut = (maps >= edge[:, None, None]).float()
    for rows in _parts(test):
        x = normalised(net, test.images[rows])
        mask = torch.nn.functional.interpolate(cut[rows][:, None], size=x.shape[2:]).to(x.device)
        painted = torch.where(mask > 0, x.mean((2, 3), keepdim=True), x)
        hits += int((net(painted).argmax(1).cpu() == test.labels[rows]).sum())
    return hits / len(test)


def toy_row(words: Vocabulary, arm: str, seed: int) -> Row:
    """A cell of noise at toy size: the same steps, in a second."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 255, (24, 3, 32, 32), generator=draw, dtype=torch.uint8)
    labels = torch.arange(24) % 3
    targets = (torch.rand(24, len(words), generator=draw) < 0.5).float()
    parts = torch.zeros(24, 16, 16, dtype=torch.uint8)
    parts[:, 4:12, 4:12] = 1
    whole = Examples(images, labels, targets, torch.ones_like(targets), parts, part_names=("bill", "wing"))
    train, test = whole.take(slice(0, 15)), whole.take(slice(15, 24))
    own = Pictures(train, test, None, words, words, (targets,) * 4, torch.zeros(0), torch.zeros(0))
    base = Base("toy", "timm:resnet18", "random", (("channels", (8, 8, 8, 8)),))
    net = network(base, words, 3, 32)
    begun = time.process_time()
    if arm == "probe":
        probe = linear_probe(probe_features(net, train, test))
        return {**_name(base, arm, seed), "hits": "".join(str(int(one)) for one in probe.right)} | {
            "accuracy": sum(probe.right) / len(test)
        }
    features = probe_features(net, train, test)
    if arm.startswith("choice: "):
        own, features = _divided(own, features, seed)
    _start(net, features, arm)
    kind = (arm.partition(": ")[2] or arm).partition(",")[0]
    fit(net, own.pool, recipe(seed, 1, net, arm=kind, features=features))
    row = {**_name(base, arm, seed), "epochs": 1}
    row |= judged(net, own) if arm.startswith("choice: ") else measured(net, own) | deletion(net, own.test)
    return row | {"seconds": time.process_time() - begun}
