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
from torch import Tensor

from _eat_cells import _pack
from _eat_text_heads import FOLDS, Heads, Kind, Photos, folds_of
from _eat_text_ways import WAYS, Way, features, sentences_of
from _study import Rows, publish
from sightline.common.files import write_text
from sightline.common.statistics.bootstrap import ratio, ratio_difference
from sightline.tasks.attributes.data import (
    BIRDS,
    Attribute,
    AttributeData,
    Vocabulary,
    class_means,
    read_attributes,
)
from sightline.tasks.attributes.explain.speaking import PictureOutput
from sightline.tasks.attributes.explain.strategies import AlongWeights
from sightline.tasks.attributes.metrics.speech import TextReport, Texts, as_many, text_report, texts_of
from sightline.tasks.attributes.network.calibration import Calibration, best_thresholds, platt
from sightline.tasks.attributes.network.skill import Answers, Skill, cross_fitted, measure_skill

SEEDS = 3


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("eat_texts.work"), help="folder of features and figures")
    parser.add_argument("--json", type=Path, help="a file for the tables")
    parser.add_argument("--write", action="store_true", help="put the tables between their marks in docs/studies")
    parser.add_argument("--toy", action="store_true", help="features drawn at random, in seconds")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cells = toy() if asked.toy else cub(asked.work)
    publish(tables_of(cells), "eat_texts", json_to=asked.json, write=asked.write)


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
        photos = Photos(features(data, work, way), labels, torch.from_numpy(data.targets), weights, counts)
        path = work / f"{sha256(repr((way, SEEDS, FOLDS, 3)).encode()).hexdigest()[:12]}.json"
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
    ways = (WAYS[1], replace(next(way for way in WAYS if way.shuffled), crop=False))
    return [row(way, photos.take(train), photos.take(test), words, 1) for way in ways]


def row(way: Way, train: Photos, test: Photos, words: Vocabulary, seeds: int) -> dict[str, str]:
    """One row of both tables, its cells named `seen ...` and `typical ...`; intervals pool the seeds of the folds."""
    if way.each:
        kept = [torch.nonzero(train.labels == label)[: way.each, 0] for label in train.labels.unique()]
        train = train.take(torch.cat(kept))
    answers = [judged(train, test, way.kind, words, seed=seed, shuffled=way.shuffled) for seed in range(seeds)]
    seen, typical = ([getattr(one.texts, name) for one in answers] for name in ("seen", "typical"))
    control, same = [one.by_class for one in answers], [one.same_words for one in answers]
    there, clear = test.sentences >= 2, test.sentences != 1
    own = torch.nn.functional.one_hot(test.labels).float()
    usual = ((own.T @ there.float()) / own.sum(0)[:, None] >= 0.5)[test.labels]
    everything = torch.ones_like(there)
    return {
        "heads": way.name,
        "seen: of 24": ", ".join(str(one.report.readable) for one in answers),
        "seen: photos with some": _speaking(seen),
        "seen: true": _true(seen, there, everything),
        "seen: by seed": " / ".join(f"{one.report.seen.precision.mean:.2f}" for one in answers),
        "seen: class control": _true(control, there, everything),
        "seen: less class control": _less(seen, control, there, everything),
        "seen: same words by class": _true(same, there, everything),
        "seen: less same words": _less(seen, same, there, everything),
        "seen: true, unsure left out": _true(seen, there, clear),
        "seen: less class control, unsure left out": _less(seen, control, there, clear),
        "typical: of 24": ", ".join(str(one.report.usual) for one in answers),
        "typical: photos with some": _speaking(typical),
        "typical: usual for the true class": _true(typical, usual, everything),
        "typical: true of the photo": _true(typical, there, everything),
        "typical: true of the photo, unsure left out": _true(typical, there, clear),
    }


def _speaking(tables: list[Tensor]) -> str:
    """Share of the photos of which something is said, seed by seed."""
    return " / ".join(f"{float(one.any(1).double().mean()):.2f}" for one in tables)


def _counts(tables: list[Tensor], truth: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Per photo, over all seeds: what was said truly, and what was said and can be judged."""
    said = torch.stack([one & known for one in tables]).double().sum(0)
    return (said * truth).sum(1), said.sum(1)


def _true(tables: list[Tensor], truth: Tensor, known: Tensor) -> str:
    hits, said = _counts(tables, truth, known)
    return str(ratio(hits, said)) if bool(said.any()) else "-"


def _less(tables: list[Tensor], control: list[Tensor], truth: Tensor, known: Tensor) -> str:
    ours, theirs = (_counts(one, truth, known) for one in (tables, control))
    return str(ratio_difference(ours, theirs)) if bool(ours[1].any()) else "-"


def person(counts: Tensor, data: AttributeData) -> dict[str, str]:
    """A control from the other side: what one sentence of a person says, held against the other nine."""
    said, true = counts.sum(1).double(), (counts * (counts - 1 >= 2)).sum(1).double()
    clear = (counts * (counts - 1 != 1)).sum(1).double()
    return {
        "heads": "one person's sentence, against the other nine",
        "seen: of 24": str(len(data.vocabulary)),
        "seen: photos with some": f"{float((said > 0).double().mean()):.2f}",
        "seen: true": str(ratio(true, said)),
        "seen: true, unsure left out": str(ratio(true, clear)),
    }


def tables_of(cells: Rows) -> dict[str, Rows]:
    """What is called seen, and what is called typical, each as a table."""
    names = list(max(cells, key=len))  # a person's row has fewer
    return {
        kind: [
            {"heads": one["heads"]}
            | {
                name.partition(": ")[2]: one.get(name, "-").replace("nan", "-")
                for name in names
                if name.startswith(kind)
            }
            for one in cells
            if any(name.startswith(kind) for name in one)
        ]
        for kind in ("seen", "typical")
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


@dataclass(frozen=True)
class Judged:
    """What heads say of test photos, and what the predicted class alone says.

    Args:
        report: how true the texts are.
        texts: what they name.
        by_class: as many attributes of each photo, those that are most usual for its class.
        same_words: each attribute of as many photos, those whose class it is most usual for.
    """

    report: TextReport
    texts: Texts
    by_class: Tensor
    same_words: Tensor


def judged(
    train: Photos, test: Photos, kind: Kind, words: Vocabulary, *, seed: int = 0, shuffled: bool = False
) -> Judged:
    """How true texts of test photos are; one sentence alone counts as a no."""
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
    report = text_report(reader, texts, truth, torch.ones_like(truth, dtype=torch.bool), frequency)
    usual = torch.nan_to_num(reader.calibration.prototypes)[texts.predicted]
    return Judged(report, texts, as_many(usual, texts.seen.sum(1)), as_many(usual.T, texts.seen.sum(0)).T)


if __name__ == "__main__":
    main()
