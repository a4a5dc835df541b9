"""Do texts about real photos earn their words? Frozen ImageNet features, attributes mined from sentences.

    python benchmarks/eat_texts.py --work eat_texts.work          # needs the test pack and the extra `imagenet`
    python benchmarks/eat_texts.py --toy

The heads are fitted to the training photos of the CUB subset; skill is measured on cross-fitted predictions of the
same photos, and what the text calls seen is held against the sentences of the test photos, which no training saw.
Features and finished rows are kept in the work folder.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from _eat_cells import _pack
from _study import Rows, publish
from sightline.api.open_model import open_model
from sightline.common.files import write_text
from sightline.common.statistics.bootstrap import ratio
from sightline.data.photos import read_photo
from sightline.models.trunk import Trunk
from sightline.tasks.attributes.data import (
    BIRDS,
    Attribute,
    AttributeData,
    Vocabulary,
    class_means,
    read_attributes,
)
from sightline.tasks.attributes.data.captions import read_captions
from sightline.tasks.attributes.data.mined import count_mentions
from sightline.tasks.attributes.explain.speaking import PictureOutput
from sightline.tasks.attributes.explain.strategies import AlongWeights
from sightline.tasks.attributes.metrics.speech import TextReport, text_report, texts_of
from sightline.tasks.attributes.network.calibration import Calibration, best_thresholds, log_odds, platt
from sightline.tasks.attributes.network.skill import Answers, Skill, cross_fitted, measure_skill

FOLDS, SMOOTH, SEEDS = 10, 2.0, 3
CLASS_RIDGE = 300.0


@dataclass(frozen=True)
class Photos:
    """Frozen features of photos, and what is known of them."""

    features: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor
    sentences: Tensor  # how many of the ten say it

    def take(self, rows: Tensor) -> Photos:
        """Some of them."""
        return Photos(
            self.features[rows], self.labels[rows], self.targets[rows], self.weights[rows], self.sentences[rows]
        )


@dataclass(frozen=True)
class Kind:
    """A kind of heads.

    Args:
        anchored: whether an attribute's logit starts from what the class probabilities imply, so that only what the
            class does not say is learnt; False learns it from the features alone.
        ridge: penalty on the attributes' weights.
    """

    anchored: bool
    ridge: float


class Heads:
    """Class and attribute heads, fitted to frozen features."""

    def __init__(self, photos: Photos, kind: Kind, classes: int) -> None:
        self.kind, self.classes = kind, classes
        self.mean, self.std = photos.features.mean(0), photos.features.std(0) + 1e-6
        scaled = (photos.features - self.mean) / self.std
        # as many directions as photos: a ridge finds the same heads in them, several times faster
        self.directions = torch.linalg.svd(scaled, full_matrices=False).Vh.T
        x = self._scaled(photos)
        self.class_weights = class_head(x, photos.labels, classes)
        sums, counts = _sums(photos, classes)
        self.base = (photos.targets * photos.weights).sum(0) / photos.weights.sum(0)
        self.table = (sums + SMOOTH * self.base) / (counts + SMOOTH)
        offset = (
            self._anchor_of_training(x, photos, sums, counts) if kind.anchored else torch.zeros_like(photos.targets)
        )
        parts = [
            logistic(x, photos.targets[:, k], photos.weights[:, k], offset[:, k], kind.ridge)
            for k in range(photos.targets.shape[1])
        ]
        self.attribute_weights = torch.stack([weight for weight, _ in parts])
        self.bias = torch.stack([bias for _, bias in parts])

    def read(self, photos: Photos) -> tuple[Tensor, Tensor, Tensor]:
        """Class logits, attribute logits, and what the predicted class alone implies."""
        x = self._scaled(photos)
        classes = _with_bias(x) @ self.class_weights.T
        anchor = log_odds(classes.softmax(1) @ self.table) if self.kind.anchored else 0
        return classes, anchor + x @ self.attribute_weights.T + self.bias, self.table[classes.argmax(1)]

    def _anchor_of_training(self, x: Tensor, photos: Photos, sums: Tensor, counts: Tensor) -> Tensor:
        """What the class implies of training photos: by classes read in cross-fit, and without the photo itself."""
        likely = torch.zeros(len(x), self.classes)
        fold = folds_of(len(x), 1)
        for one in range(FOLDS):
            rest, own = fold != one, fold == one
            weights = class_head(x[rest], photos.labels[rest], self.classes)
            likely[own] = (_with_bias(x[own]) @ weights.T).softmax(1)
        own_class = torch.nn.functional.one_hot(photos.labels, self.classes).float()[:, :, None]
        known = photos.weights[:, None]
        less, fewer = sums - own_class * (photos.targets * photos.weights)[:, None], counts - own_class * known
        return log_odds((likely[:, :, None] * (less + SMOOTH * self.base) / (fewer + SMOOTH)).sum(1))

    def _scaled(self, photos: Photos) -> Tensor:
        return ((photos.features - self.mean) / self.std) @ self.directions


def _sums(photos: Photos, classes: int) -> tuple[Tensor, Tensor]:
    """Weighted positives and weights of each class and attribute."""
    hot = torch.nn.functional.one_hot(photos.labels, classes).float().T
    return hot @ (photos.targets * photos.weights), hot @ photos.weights


def class_head(x: Tensor, labels: Tensor, classes: int) -> Tensor:
    """A soft-max on features with a ridge, [y, c + 1]; the last column is the bias."""
    weights = torch.zeros(classes, x.shape[1] + 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(_with_bias(x) @ weights.T, labels, reduction="sum")
        loss = loss + CLASS_RIDGE / 2 * weights[:, :-1].square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return weights.detach()


def logistic(x: Tensor, truth: Tensor, weight: Tensor, offset: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Weights and bias of a ridge logistic regression with an offset, by Newton's method on the photos' kernel."""
    kernel, one = (x @ x.T / ridge).double(), torch.ones(len(x), 1, dtype=torch.float64)
    alpha, bias = torch.zeros(len(x), dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for _ in range(12):
        eta = kernel @ alpha + bias
        p = (eta + offset).sigmoid()
        bend = (weight * p * (1 - p)).clamp(min=1e-3)
        goal = eta + weight * (truth - p) / bend
        solved = torch.linalg.solve(kernel + torch.diag(1 / bend), torch.cat([goal[:, None], one], 1))
        bias = (solved[:, 0].sum() / solved[:, 1].sum())[None]
        alpha = solved[:, 0] - bias * solved[:, 1]
    return (x.double().T @ alpha / ridge).float(), bias[0].float()


def folds_of(count: int, seed: int) -> Tensor:
    """Number of the fold of each photo."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)) % FOLDS


def _with_bias(x: Tensor) -> Tensor:
    return torch.cat([x, torch.ones(len(x), 1)], 1)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("eat_texts.work"), help="folder of features and figures")
    parser.add_argument("--json", type=Path, help="a file for the tables")
    parser.add_argument("--write", action="store_true", help="put the tables between their marks in docs/studies")
    parser.add_argument("--toy", action="store_true", help="features drawn at random, in seconds")
    asked = parser.parse_args()
    cells = toy() if asked.toy else cub(asked.work)
    publish({"texts": cells}, "eat_texts", json_to=asked.json, write=asked.write)


@dataclass(frozen=True)
class Way:
    """One way to teach and to judge.

    Args:
        name: what it is called in the table.
        crop: whether photos are cut to the bird's box.
        kind: kind of heads.
        alone: whether one sentence alone counts as "not there" in training; False leaves it unknown.
        each: training photos of each class; 0 for all.
        shuffled: whether attributes are those of other photos: the control that has to be silent.
    """

    name: str
    crop: bool = False
    kind: Kind = Kind(anchored=True, ridge=1000.0)
    alone: bool = False
    each: int = 0
    shuffled: bool = False


WAYS = (
    Way("attributes read off the photo", kind=Kind(anchored=False, ridge=1000.0)),
    Way("+ what the class does not say"),
    Way("+ cut to the bird's box", crop=True),
    Way("+ one sentence alone is a no", crop=True, alone=True),
    Way("the last with 20 photos a class", crop=True, alone=True, each=20),
    Way("the last with 10 photos a class", crop=True, alone=True, each=10),
    Way("attributes of other photos", crop=True, alone=True, shuffled=True),
)


def cub(work: Path) -> Rows:
    """The CUB subset."""
    root = _pack() / "cub_200_2011_subset" / "CUB_200_2011"
    data = read_attributes(root, incomplete=True, mined=BIRDS, validation=0.0)
    counts = sentences_of(data)
    labels = torch.from_numpy(np.unique(data.labels, return_inverse=True)[1])
    splits = [torch.from_numpy(data.split == at) for at in (0, 2)]
    rows = [person(counts[splits[1]], data)]
    for way in WAYS:
        weights = torch.from_numpy(data.weights).clone()
        if way.alone:
            weights[counts == 1] = 1.0
        photos = Photos(features(data, work, way.crop), labels, torch.from_numpy(data.targets), weights, counts)
        path = work / f"{sha256(repr((way, SEEDS, FOLDS)).encode()).hexdigest()[:12]}.json"
        if not path.is_file():
            train, test = (photos.take(split) for split in splits)
            write_text(path, json.dumps(row(way, train, test, data.vocabulary, SEEDS)))
        rows.append(json.loads(path.read_text()))
    return rows


def toy() -> Rows:
    """A world of features in which attribute 0 is seen, 1 follows from the class, and 2 is anything."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(240) % 4
    targets = (torch.rand(240, 3, generator=draw) < 0.5).float()
    targets[:, 1] = (labels < 2).float()
    signs = torch.cat([torch.nn.functional.one_hot(labels, 4), targets[:, :1]], 1).float()
    x = 4 * signs + 0.3 * torch.randn(240, 5, generator=draw)
    photos = Photos(x, labels, targets, torch.ones_like(targets), (5 * targets).long())
    words = Vocabulary(
        tuple(
            Attribute(f"has_{part}_color::red", f"has_{part}_color", "red", part) for part in ("bill", "wing", "leg")
        )
    )
    train, test = torch.arange(240) < 160, torch.arange(240) >= 160
    ways = (WAYS[1], replace(WAYS[-1], crop=False))
    return [row(way, photos.take(train), photos.take(test), words, 1) for way in ways]


def sentences_of(data: AttributeData) -> Tensor:
    """How many sentences of each photo say each attribute."""
    counts = count_mentions(read_captions(data.root, data.files))
    names = [f"has_{part.replace(' ', '_')}_{kind}::{value}" for part, kind, value in counts.names]
    return torch.from_numpy(counts.yes[:, [names.index(name) for name in data.vocabulary.names]])


@torch.inference_mode()
def features(data: AttributeData, work: Path, crop: bool) -> Tensor:
    """Pooled features of EfficientNet-Lite0 at 224 px, from the work folder or anew."""
    path = work / f"{'box' if crop else 'photo'}.npy"
    if not path.is_file():
        loaded = open_model("imagenet")
        trunk = Trunk(loaded.model).eval()
        mean, std = (
            torch.tensor(value).view(1, 3, 1, 1) for value in (loaded.preprocess.mean, loaded.preprocess.std)
        )
        parts = []
        for at in range(0, len(data), 32):
            photos = np.stack([_photo(data, row, crop) for row in range(at, min(at + 32, len(data)))])
            x = torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255
            parts.append(trunk((x - mean) / std).mean((2, 3)))
        work.mkdir(parents=True, exist_ok=True)
        np.save(path, torch.cat(parts).numpy())
    return torch.from_numpy(np.load(path))


def _photo(data: AttributeData, row: int, crop: bool) -> NDArray[np.uint8]:
    """The middle square of a photo, or the square around the bird's box and a tenth more."""
    image = read_photo(data.files[row]).image.convert("RGB")
    side = min(image.size)
    box = ((image.width - side) / 2, (image.height - side) / 2, (image.width + side) / 2, (image.height + side) / 2)
    if crop and data.boxes is not None:
        x, y, wide, high = data.boxes[row]
        half = 0.55 * max(wide, high)
        middle = (x + wide / 2, y + high / 2)
        image = image.crop(
            tuple(int(at) for at in (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half))
        )
        box = (0, 0, *image.size)
    return np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR, box=box), np.uint8)


def row(way: Way, train: Photos, test: Photos, words: Vocabulary, seeds: int) -> dict[str, str]:
    """One row of the table: the first seed of the folds with intervals, and how far the others lie."""
    if way.each:
        kept = [torch.nonzero(train.labels == label)[: way.each, 0] for label in train.labels.unique()]
        train = train.take(torch.cat(kept))
    reports = [judged(train, test, way.kind, words, seed=seed, shuffled=way.shuffled) for seed in range(seeds)]
    strict, known = reports[0]
    speaking = [1 - one.silent.mean for one, _ in reports]
    spoken = bool(strict.seen.named)
    return {
        "heads": way.name,
        "seen, typical": ", ".join(f"{one.readable}+{one.usual}" for one, _ in reports),
        "photos with something seen": " / ".join(f"{share:.2f}" for share in speaking),
        "true": str(strict.seen.precision) if spoken else "-",
        "class control": str(strict.by_class.precision) if spoken else "-",
        "less class control": str(strict.over_class) if spoken else "-",
        "true, unsure left out": str(known.seen.precision) if spoken else "-",
        "class control, unsure left out": str(known.by_class.precision) if spoken else "-",
        "typical is true": str(strict.typical.precision) if strict.typical.named else "-",
    }


def person(counts: Tensor, data: AttributeData) -> dict[str, str]:
    """A control from the other side: what one sentence of a person says, held against the other nine."""
    said, true = counts.sum(1).double(), (counts * (counts - 1 >= 2)).sum(1).double()
    clear = (counts * (counts - 1 != 1)).sum(1).double()
    return {
        "heads": "one person's sentence, against the other nine",
        "seen, typical": f"{len(data.vocabulary)}+0",
        "photos with something seen": f"{float((said > 0).double().mean()):.2f}",
        "true": str(ratio(true, said)),
        "class control": "-",
        "less class control": "-",
        "true, unsure left out": str(ratio(true, clear)),
        "class control, unsure left out": "-",
        "typical is true": "-",
    }


class Reader:
    """Heads on frozen features as a network that speaks."""

    named = False

    def __init__(
        self, heads: Heads, words: Vocabulary, labels: tuple[str, ...], known: tuple[Calibration, Skill]
    ) -> None:
        self.heads, self.vocabulary, self.labels = heads, words, labels
        self.calibration, self.skill = known

    def outputs(self, photos: Photos) -> list[PictureOutput]:
        """What is read off each photo."""
        classes, logits, _ = self.heads.read(photos)
        slopes = self.heads.class_weights[:, :-1]
        nowhere = torch.zeros(len(self.vocabulary), 1, 1)
        return [
            PictureOutput(
                scores,
                z,
                z.sigmoid(),
                nowhere,
                AlongWeights(slopes, self.heads.attribute_weights, z, self.calibration.mean_logit),
            )
            for scores, z in zip(classes, logits, strict=True)
        ]

    def read(self, x: Tensor) -> PictureOutput:
        """Of a photo; here features are read instead."""
        raise NotImplementedError


def knowledge(train: Photos, kind: Kind, classes: int, seed: int) -> tuple[Calibration, Skill]:
    """Calibration and skill from heads that were fitted to the other folds."""
    fold = folds_of(len(train.labels), seed)
    logits, implied = torch.zeros_like(train.targets), torch.zeros_like(train.targets)
    predicted = torch.zeros_like(train.labels)
    for one in range(FOLDS):
        own = fold == one
        scores, logits[own], implied[own] = Heads(train.take(~own), kind, classes).read(train.take(own))
        predicted[own] = scores.argmax(1)
    answers = Answers(logits.sigmoid(), predicted, train.targets, train.weights, implied)
    slope, offset = platt(answers.probabilities, train.targets, train.weights)
    tables = (train.targets.numpy(), train.weights.numpy(), train.labels.numpy())
    empty = Calibration.nothing(classes, train.targets.shape[1])
    known = replace(empty, slope=slope, offset=offset, mean=answers.probabilities.mean(0), mean_logit=logits.mean(0))
    known = replace(known, prototypes=torch.from_numpy(class_means(*tables, classes)))
    fair = cross_fitted(answers.probabilities, answers).float()
    known = replace(known, threshold=best_thresholds(fair, train.targets, train.weights, beta=0.5))
    return known, measure_skill(answers, known)


def judged(
    train: Photos, test: Photos, kind: Kind, words: Vocabulary, *, seed: int = 0, shuffled: bool = False
) -> tuple[TextReport, TextReport]:
    """How true texts of test photos are: one sentence alone taken as no, and left out."""
    classes = int(train.labels.max()) + 1
    if shuffled:
        order = torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(seed))
        train = replace(train, targets=train.targets[order], weights=train.weights[order])
    reader = Reader(
        Heads(train, kind, classes), words, tuple(map(str, range(classes))), knowledge(train, kind, classes, seed)
    )
    texts = texts_of(reader, reader.outputs(test))
    frequency = (train.targets * train.weights).sum(0) / train.weights.sum(0)
    truth = (test.sentences >= 2).float()
    everything = torch.ones_like(truth, dtype=torch.bool)
    strict = text_report(reader, texts, truth, everything, frequency)
    return strict, text_report(reader, texts, truth, test.sentences != 1, frequency)


if __name__ == "__main__":
    main()
