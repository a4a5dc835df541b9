"""Wrong labels planted in photos: does the audit's ranking find them, and better than simpler ones?

    python benchmarks/eat_noise.py --work eat_noise.work --write        # needs the test pack and the extra `imagenet`
    python benchmarks/eat_noise.py --toy

Labels of classes and of attributes are changed before anything is fitted. Every ranking is out of sample, but for the
loss of the linear probe, which is what is at hand after a training. Features are kept in the work folder. What the
audit does was chosen on other plantings (seeds from 100) of the same photos.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from _eat_cells import _pack
from _measure import conditions
from _study import Rows, publish
from eat_texts import features as lite0_features
from sightline.common.files import write_text
from sightline.data.photos import read_photo
from sightline.models.zoo.cifar_names import cifar_net
from sightline.tasks.attributes.audit import Observations
from sightline.tasks.attributes.audit.crossfit import folds, narrowed, out_of_fold
from sightline.tasks.attributes.audit.mislabelled import class_suspicions
from sightline.tasks.attributes.audit.noise import suspicions
from sightline.tasks.attributes.data import BIRDS, Attribute, Vocabulary, read_attributes
from sightline.tasks.attributes.network.regression import fitted, probabilities

RATES, SEEDS, DRAWS = (0.02, 0.05, 0.1, 0.2), 3, 500
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RANKINGS = ("loss of the linear probe", "self-confidence", "self-confidence, penalty chosen", "class alone", "audit")
"""Self-confidence is of heads on features; `class alone` the share of the class's other photos with the label."""
PENALTY, PENALTIES = 1e-2, (1e-2, 5e-2, 0.25)
"""Of the probe, and those of which the likeliest out of fold is chosen for each question."""
REPEATS = 5


@dataclass(frozen=True)
class Labels:
    """Photos, their features and one kind of labels.

    Args:
        name: what they are called in the table.
        features: of a frozen network.
        labels: classes.
        targets: what is planted in: classes one-hot, or attributes; 0 or 1.
        weights: whether that is known.
        words: the classes as one question, or the attributes one by one.
        train: photos that the probe is fitted to.
    """

    name: str
    features: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor
    words: Vocabulary
    train: Tensor

    @property
    def of_class(self) -> bool:
        """Whether the labels are classes."""
        return bool(self.words.groups[0].exclusive)


def planted(data: Labels, rate: float, seed: int) -> tuple[Labels, Tensor]:
    """A share of the labels changed, and which: `[n, questions]`."""
    draw = torch.Generator().manual_seed(seed)
    if data.of_class:
        count, classes = data.targets.shape
        wrong = torch.rand(count, generator=draw) < rate
        shift = torch.randint(1, classes, (count,), generator=draw)
        labels = torch.where(wrong, (data.labels + shift) % classes, data.labels)
        hot = torch.nn.functional.one_hot(labels, classes).float()
        return replace(data, labels=labels, targets=hot), wrong[:, None]
    wrong = (torch.rand(data.targets.shape, generator=draw) < rate) & (data.weights > 0)
    return replace(data, targets=torch.where(wrong, 1 - data.targets, data.targets)), wrong


def scores(data: Labels) -> tuple[dict[str, Tensor], Tensor]:
    """How suspicious every label is by each ranking, [n, questions], and what the audit reports."""
    table, names = narrowed(data.features), tuple(f"{row:05d}" for row in range(len(data.labels)))
    seen = Observations(
        vocabulary=data.words,
        classes=tuple(map(str, range(int(data.labels.max()) + 1))),
        join="parallel",
        class_logits=torch.zeros(len(data.labels), int(data.labels.max()) + 1),
        probabilities=torch.zeros_like(data.targets),
        targets=data.targets,
        weights=data.weights,
        labels=data.labels,
        names=names,
        features=data.features,
        trained=data.train,
    )
    questions = seen.questions
    head = fitted(table[data.train], data.targets[data.train], data.weights[data.train], questions, PENALTY)
    network = probabilities(torch.cat([table, torch.ones(len(table), 1)], 1).double() @ head, questions).float()
    kinds = {
        penalty: torch.stack(
            [
                out_of_fold(table, data.targets, data.weights, questions, folds(names, salt=salt), penalty=penalty)
                for salt in range(REPEATS)
            ]
        )
        for penalty in PENALTIES
    }
    if data.of_class:
        doubts = class_suspicions(replace(seen, class_logits=network.clamp(min=1e-9).log()))
    else:
        doubts = suspicions(replace(seen, probabilities=network))
    return {
        "loss of the linear probe": -_given(data, network).clamp(min=1e-9).log(),
        "self-confidence": -_given(data, kinds[PENALTY].mean(0)),
        "self-confidence, penalty chosen": -_chosen(data, list(kinds.values())),
        "class alone": -_of_class(data),
        "audit": doubts.ranking.float(),
    }, doubts.flagged


def _chosen(data: Labels, runs: list[Tensor]) -> Tensor:
    """Probability of the labels by the heads that foretell those of their question best, out of fold."""
    given = torch.stack([_given(data, one.mean(0)) for one in runs])
    known = torch.ones_like(given[0]) if data.of_class else data.weights
    best = (known * given.clamp(min=1e-9).log()).sum(1).argmax(0)
    return given.gather(0, best[None, None].expand(1, *given.shape[1:]))[0]


def _of_class(data: Labels) -> Tensor:
    """Share of the class's other photos that have the label; of no use where the class is the label."""
    if data.of_class:
        return torch.zeros(len(data.labels), 1)
    own, sure = torch.nn.functional.one_hot(data.labels).float(), data.weights
    there, all_of_them = ((own.T @ table)[data.labels] - table for table in (sure * data.targets, sure))
    share = (there + 0.5) / (all_of_them + 1)
    return torch.where(data.targets > 0.5, share, 1 - share)


def _given(data: Labels, said: Tensor) -> Tensor:
    """Probability of the label that is there."""
    if data.of_class:
        return said.gather(1, data.labels[:, None])
    return torch.where(data.targets > 0.5, said, 1 - said)


def precisions(score: Tensor, wrong: Tensor, counts: Tensor) -> Tensor:
    """Average precision of a ranking where every photo counts as often as it was drawn, one figure per draw.

    Args:
        score: of every label of every photo, [n, q].
        wrong: which are wrong, [n, q].
        counts: how often each photo was drawn, [d, n].
    """
    order = score.flatten().argsort(descending=True, stable=True)
    bad, times = wrong.flatten()[order].double(), counts[:, order // score.shape[1]].double()
    precision = (times * bad).cumsum(1) / times.cumsum(1).clamp(min=1e-9)
    return (times * bad * precision).sum(1) / (times * bad).sum(1).clamp(min=1e-9)


def row(data: Labels, rate: float, seeds: int) -> dict[str, str]:
    """A row of the table: means over plantings, intervals over photos."""
    count = len(data.labels)
    picks = torch.randint(count, (DRAWS, count), generator=torch.Generator().manual_seed(0))
    drawn = torch.zeros(DRAWS, count).scatter_add_(1, picks, torch.ones(picks.shape))
    counts = torch.cat([torch.ones(1, count), drawn])
    areas: dict[str, list[Tensor]] = {name: [] for name in RANKINGS}
    tops: dict[str, list[float]] = {name: [] for name in RANKINGS}
    reported, right, bad, labels = 0, 0, 0, 0
    for seed in range(seeds):
        noisy, wrong = planted(data, rate, seed)
        known = torch.ones_like(wrong) if data.of_class else data.weights > 0
        ranks, flagged = scores(noisy)
        for name, score in ranks.items():
            hidden = score.masked_fill(~known, -torch.inf)
            areas[name].append(precisions(hidden, wrong, counts))
            first = hidden.flatten().topk(int(wrong.sum())).indices
            tops[name].append(float(wrong.flatten()[first].float().mean()))
        reported, right = reported + int(flagged.sum()), right + int((flagged & wrong).sum())
        bad, labels = bad + int(wrong.sum()), labels + int(known.sum())
    means = {name: torch.stack(values).mean(0) for name, values in areas.items()}
    return {
        "labels": data.name,
        "planted": f"{rate:.0%}",
        "wrong of": f"{bad // seeds} of {labels // seeds}",
        "random order": f"{bad / labels:.3f}",
        **{
            f"average precision, {name}": "-" if data.of_class and name == "class alone" else _with_ends(means[name])
            for name in RANKINGS
        },
        "audit less self-confidence": _with_ends(means["audit"] - means["self-confidence"], "+"),
        "audit less self-confidence, penalty chosen": _with_ends(
            means["audit"] - means["self-confidence, penalty chosen"], "+"
        ),
        **{f"precision of the first, {name}": f"{np.mean(tops[name]):.3f}" for name in ("self-confidence", "audit")},
        "reported": f"{reported / seeds:.1f}",
        "of these wrong": f"{right / reported:.3f}" if reported else "-",
    }


def _with_ends(values: Tensor, sign: str = "") -> str:
    low, high = values[1:].quantile(torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()
    return f"{float(values[0]):{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def classes(name: str, features: Tensor, labels: Tensor, train: Tensor) -> Labels:
    """Class labels as one question."""
    count = int(labels.max()) + 1
    words = Vocabulary(tuple(Attribute(f"class::{y}", "class", str(y)) for y in range(count)), ("class",))
    hot = torch.nn.functional.one_hot(labels, count).float()
    return Labels(name, features, labels, hot, torch.ones_like(hot), words, train)


def attributes(name: str, features: Tensor, labels: Tensor, tables: tuple[Tensor, Tensor], train: Tensor) -> Labels:
    """Attributes that 5 to 95 % of the photos have, one question each."""
    targets, weights = (tables[0] >= 0.5).float(), (tables[1] > 0).float()
    share = (targets * weights).sum(0) / weights.sum(0).clamp(min=1)
    at = torch.nonzero((share > 0.05) & (share < 0.95))[:, 0]
    words = Vocabulary(tuple(Attribute(f"a{k}::yes", f"a{k}", "yes") for k in at.tolist()))
    return Labels(name, features, labels, targets[:, at], weights[:, at], words, train)


def photos(work: Path) -> list[Callable[[], Labels]]:
    """Both sets of the test pack, each with its kinds of labels."""
    root = _pack() / "cub_200_2011_subset" / "CUB_200_2011"
    data = {kind: read_attributes(root, incomplete=True, validation=0.0, **more)
            for kind, more in (("class", {}), ("sentences", {"mined": BIRDS}))}  # fmt: skip
    labels = torch.from_numpy(np.unique(data["class"].labels, return_inverse=True)[1])
    train = torch.from_numpy(data["class"].split == 0)
    bird = lambda: lite0_features(data["class"], work, crop=False)  # noqa: E731
    tables = {kind: (torch.from_numpy(one.targets), torch.from_numpy(one.weights)) for kind, one in data.items()}
    return [
        lambda: classes("CUB, classes", bird(), labels, train),
        lambda: cifar(work),
        lambda: attributes("CUB, attributes of the class", bird(), labels, tables["class"], train),
        lambda: attributes("CUB, attributes of sentences", bird(), labels, tables["sentences"], train),
    ]


@torch.inference_mode()
def cifar(work: Path) -> Labels:
    """CIFAR test photos with features of the pack's ResNet-20."""
    root = _pack() / "cifar10_test_subset"
    lines = [line.split(",") for line in (root / "labels.csv").read_text().splitlines()[1:]]
    names = sorted({line[1] for line in lines})
    labels = torch.tensor([names.index(line[1]) for line in lines])
    path = work / "cifar.npy"
    if not path.is_file():
        net = cifar_net("cifar-resnet20", len(names), pad=True).eval()
        weights = load_file(_pack() / "models" / "cifar10_resnet20.safetensors")
        net.load_state_dict(weights, strict=False)  # counts of batches are not in the file
        net.linear = torch.nn.Identity()  # what is left gives the pooled features
        mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (IMAGENET_MEAN, IMAGENET_STD))
        photos = [np.asarray(read_photo(root / line[0]).image.convert("RGB")) for line in lines]
        x = (torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2) / 255 - mean) / std
        work.mkdir(parents=True, exist_ok=True)
        np.save(path, torch.cat([net(part) for part in x.split(64)]).numpy())
    features = torch.from_numpy(np.load(path))
    return classes("CIFAR-10, classes", features, labels, torch.arange(len(labels)) % 5 > 0)


def toy() -> list[Callable[[], Labels]]:
    """Clouds of features."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    targets = (torch.rand(120, 2, generator=draw) < 0.5).float()
    x = 3 * torch.cat([torch.nn.functional.one_hot(labels, 3), targets], 1) + torch.randn(120, 5, generator=draw)
    train = torch.arange(120) < 80
    return [
        lambda: classes("CUB, classes", x, labels, train),
        lambda: attributes("CUB, attributes of the class", x, labels, (targets, torch.ones_like(targets)), train),
    ]


def main() -> None:
    """Plant, rank, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("eat_noise.work"), help="folder of features and rows")
    parser.add_argument("--json", type=Path, help="a file for the table")
    parser.add_argument("--write", action="store_true", help="put the table into docs/studies/audit.md")
    parser.add_argument("--toy", action="store_true", help="features drawn at random, in seconds")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    table: Rows = []
    for number, make in enumerate(toy() if asked.toy else photos(asked.work)):
        for rate in RATES:
            path = asked.work / f"row{number}-{rate:g}.json"
            if asked.toy:
                table.append(row(make(), rate, 1))
                continue
            if not path.is_file():
                write_text(path, json.dumps(row(make(), rate, SEEDS)))
            table.append(json.loads(path.read_text()))
    print(conditions("cpu"))
    publish({"photos": table}, "eat_noise", json_to=asked.json, write=asked.write)


if __name__ == "__main__":
    main()
