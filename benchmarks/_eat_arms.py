"""The frozen cells of `eat_study.py`: what the second task is, which pictures are learnt from, what is measured.

A cell is a data set, a network, an arm, a number of pictures a class and a seed; cells of one family are trained
together. Its row holds means and, for paired intervals, hits and energies picture by picture.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from _eat_features import Frozen
from _eat_heads import (
    Guide,
    Heads,
    Lessons,
    Questions,
    chosen_own_ridge,
    read_places,
    train,
    train_boxes,
    train_places,
)
from sightline.tasks.attributes.data import Attribute, Vocabulary
from sightline.tasks.attributes.metrics.scores import within_classes
from sightline.training.probe import chosen_strength

SIZES = (5, 10, 20, 30)
FAMILIES = {
    "own": ("probe", "zero", "eat", "shuffled", "permuted", "random"),
    "of classes": ("class attributes",),
    "class": ("class",),
    "boxes": ("boxes",),
    "places": ("places", "parts"),
}
"""Arms that are trained together: their second tasks have as many attributes, or they are guided."""
OUTSIDE, PART = 0.1, 1.0
"""Weights of the guides. With ten times as much for what is outside of the object the fit is no longer general: on
test photos the energy in boxes falls to what it was without."""
LEAST = 0.01
"""Least penalty: below it accuracy changes no more, and a fit takes longer."""
NAMED = 3
"""Attributes that a text names."""
Row = dict[str, object]


@dataclass(frozen=True, eq=False)
class World:
    """A network's features on a data set, with both vocabularies.

    Args:
        data: name of the data set.
        base: name of the network.
        own: the features.
        words: attributes of pictures.
        class_words: attributes of classes.
    """

    data: str
    base: str
    own: Frozen
    words: Vocabulary
    class_words: Vocabulary

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.own.labels.max()) + 1

    def vocabulary(self, arm: str) -> Vocabulary:
        """What is asked beside the class."""
        if arm == "class attributes":
            return self.class_words
        if arm == "class":
            names = (f"has_class::{at}" for at in range(self.classes))
            return Vocabulary(tuple(Attribute(one, "has_class", one[11:]) for one in names), ("has_class",))
        return self.words


def drawn(world: World, each: int, seed: int) -> Tensor:
    """Training pictures of a seed: so many of each class; all arms of a seed share them."""
    draw = np.random.default_rng([seed, each])
    labels = world.own.labels[: int(world.own.pool)].numpy()
    return torch.tensor(
        np.concatenate([draw.permutation(np.flatnonzero(labels == y))[:each] for y in range(world.classes)])
    )


def second_task(world: World, arm: str, rows: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """What is taught beside the class, and how sure it is.

    `shuffled`: attributes of another picture of the same class. `permuted`: of some picture of another class.
    `random`: a code per class that some picture's attributes give. `class`: the class again.
    """
    own, labels = world.own, world.own.labels[rows].numpy()
    if arm == "class attributes":
        return own.by_class[rows], own.by_class_weights[rows]
    if arm == "class":
        hot = torch.nn.functional.one_hot(own.labels[rows], world.classes).float()
        return hot, torch.ones_like(hot)
    draw = np.random.default_rng([seed, 77])
    order = np.arange(len(rows))
    if arm == "shuffled":
        for y in range(world.classes):
            order[labels == y] = draw.permutation(order[labels == y])
    elif arm == "permuted":
        donor = (labels + 1 + int(draw.integers(world.classes - 1))) % world.classes
        order = np.array([draw.choice(np.flatnonzero(labels == y)) for y in donor])
    elif arm == "random":
        order = draw.permutation(len(rows))[: world.classes][labels]
    taken = rows[torch.from_numpy(order)]
    return own.targets[taken], own.weights[taken]


def lessons(world: World, arm: str, each: int, seeds: range) -> Lessons:
    """Training sets of an arm, one per seed; features and attributes have an equal say in the class."""
    rows = [drawn(world, each, seed) for seed in seeds]
    taught = [second_task(world, arm, one, seed) for one, seed in zip(rows, seeds, strict=True)]
    targets, weights = (torch.stack(part) for part in zip(*taught, strict=True))
    x = torch.stack([world.own.x[one] for one in rows])
    way = 0.0 if arm == "probe" else (x.shape[2] / targets.shape[2]) ** 0.5
    strength = 0.0 if arm in ("probe", "zero") else 1.0
    many = torch.ones(len(rows))
    return Lessons(
        x, torch.stack([world.own.labels[one] for one in rows]), targets, weights, strength * many, way * many
    )


def ridge_of(world: World, each: int) -> float:
    """Penalty of the class: what cross-validation chooses for the first seed's probe, `LEAST` or more."""
    rows = drawn(world, each, 0)
    return max(LEAST, chosen_strength(world.own.x[rows].double(), world.own.labels[rows], world.classes))


def cells(world: World, family: str, each: int, seeds: int, ridge: float) -> Iterator[Row]:
    """All rows of a family at one number of pictures."""
    begun = time.process_time()
    if family in ("boxes", "places"):
        rows = list(_guided(world, family, each, seeds, ridge))
    else:
        rows = list(_plain(world, family, each, seeds, ridge))
    for row in rows:
        yield row | {"seconds": (time.process_time() - begun) / len(rows)}


def _plain(world: World, family: str, each: int, seeds: int, ridge: float) -> Iterator[Row]:
    arms = FAMILIES[family]
    words = world.vocabulary(arms[0])
    asked = Questions.of(words)
    parts = [lessons(world, arm, each, range(seeds)) for arm in arms]
    whole = joined(parts)
    example = parts[arms.index("eat")] if "eat" in arms else parts[0]
    own_ridge = chosen_own_ridge(example, asked, world.classes, ridge)
    heads = train(whole, asked, world.classes, ridge=ridge, own_ridge=own_ridge)
    for at, (arm, seed) in enumerate((arm, seed) for arm in arms for seed in range(seeds)):
        one = heads.member(at)
        z = one.attributes(world.own.x[world.own.test][None])[0]
        table = class_table(example, seed, world.classes) if family == "own" else None
        scores = one.classes(world.own.x[world.own.test][None], asked)[0]
        slopes = one.slopes(world.own.x[world.own.test][None], asked)[0]
        row = _row(world, (arm, each, seed), scores, slopes)
        if len(world.own.elsewhere):
            row["elsewhere"] = accuracy(world, one.classes(world.own.elsewhere[None], asked)[0])
        yield row | attributes_read(world, arm, z, asked, table if table is None else table[scores.argmax(1)])


def joined(parts: list[Lessons]) -> Lessons:
    """Training sets of several arms as one batch."""
    names = ("x", "labels", "targets", "weights", "strength", "way")
    return Lessons(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def class_table(example: Lessons, seed: int, classes: int) -> Tensor:
    """How often each class's training pictures have each attribute, `[y, k]`."""
    hot = torch.nn.functional.one_hot(example.labels[seed], classes).float().T
    known = hot @ example.weights[seed]
    return (hot @ (example.targets[seed] * example.weights[seed])) / known.clamp(min=1e-6)


def _guided(world: World, family: str, each: int, seeds: int, ridge: float) -> Iterator[Row]:
    asked = Questions.of(world.words)
    example = lessons(world, "eat", each, range(seeds))
    own_ridge = chosen_own_ridge(example, asked, world.classes, ridge)
    x = world.own.x[world.own.test][None]
    for arm in FAMILIES[family]:
        for seed in range(seeds):
            one = lessons(world, "eat", each, range(seed, seed + 1))
            guide = guide_of(world, arm, drawn(world, each, seed))
            if arm == "boxes":
                heads = train_boxes(one, guide, world.classes, ridge=ridge)
                yield _row(world, (arm, each, seed), (x @ heads.u + heads.c)[0], None, heads)
                continue
            heads, look = train_places(one, guide, asked, world.classes, ridge=ridge, own_ridge=own_ridge)
            grid = world.own.grid[world.own.test].float() - world.own.middle
            attention = (grid @ look).softmax(1)
            z = read_places(grid, attention, heads.w[0], heads.b[0], guide.group)
            scores = heads.classes(x, asked, z[None])[0]
            row = _row(world, (arm, each, seed), scores, None, heads)
            table = class_table(example, seed, world.classes)[scores.argmax(1)]
            yield row | attributes_read(world, arm, z, asked, table) | part_pointing(world, attention)


def guide_of(world: World, arm: str, rows: Tensor) -> Guide:
    """What a guided arm is shown of some pictures; a centred grid changes no attention, but would a class map."""
    own, words = world.own, world.words
    firsts = [group.members[0] for group in words.groups]
    answered = own.weights[rows][:, firsts] > 0
    boxes = arm == "boxes"
    grid = own.grid[rows].float() - (0 if boxes else own.middle)
    shown = (OUTSIDE if boxes else 0.0, PART if arm == "parts" else 0.0)
    return Guide(grid, own.inside[rows], own.parts[rows], answered, torch.tensor(words.group_of), *shown)


def _row(
    world: World, cell: tuple[str, int, int], scores: Tensor, slopes: Tensor | None, heads: Heads | None = None
) -> Row:
    """Class and attention on the test pictures; of guided arms the map of what features say of the class directly."""
    own = world.own
    chosen = scores.argmax(1)
    right = (chosen == own.labels[own.test]).int()
    if slopes is None and heads is not None:
        slopes = heads.u[0].T[chosen]
    energies, figures = attention(world, slopes)
    row: Row = dict(zip(("data", "base", "arm", "each", "seed"), (world.data, world.base, *cell), strict=True))
    row |= {"accuracy": accuracy(world, scores), "hits": "".join(map(str, right.tolist())), **figures}
    return row | {"energies": [round(1000 * one) for one in energies.tolist()]}


def accuracy(world: World, scores: Tensor) -> float:
    """Share of the test pictures whose class has the highest score."""
    return float((scores.argmax(1) == world.own.labels[world.own.test]).float().mean())


def attention(world: World, slopes: Tensor) -> tuple[Tensor, Row]:
    """Energy of each picture's class map on the object, with controls, and whether its peak lies there."""
    own = world.own
    maps = torch.einsum("npd,nd->np", own.grid[own.test].float(), slopes).relu()
    inside = own.inside[own.test]
    other = maps.roll(len(maps) // 2 + 1, 0)
    share = lambda one: (one * inside).sum(1) / one.sum(1).clamp(min=1e-9)  # noqa: E731
    hit = lambda one: (inside.gather(1, one.argmax(1, keepdim=True)) >= 0.5).float().mean()  # noqa: E731
    side = int(maps.shape[1] ** 0.5)
    at = (torch.arange(side) + 0.5) / side - 0.5
    centred = (-(at[:, None] ** 2 + at[None] ** 2) / (2 * 0.25**2)).exp().flatten().expand_as(maps)
    energies = share(maps)
    figures = {
        "energy": energies.mean(),
        "another map": share(other).mean(),
        "area": inside.mean(),
        "centred": share(centred).mean(),
        "pointing": hit(maps),
        "another pointing": hit(other),
    }
    return energies, {name: float(value) for name, value in figures.items()}


def attributes_read(world: World, arm: str, z: Tensor, asked: Questions, implied: Tensor | None) -> Row:
    """`answers_of` the test pictures, for arms that learn attributes of pictures."""
    if arm in ("probe", "zero") or implied is None:
        return {}
    own = world.own
    known = (getattr(own, name)[own.test] for name in ("targets", "weights", "labels"))
    return answers_of(asked.log_probabilities(z).exp(), *known, implied)


def answers_of(p: Tensor, targets: Tensor, weights: Tensor, labels: Tensor, implied: Tensor) -> Row:
    """How well attributes of pictures are read, and how true three named ones are, beside their controls.

    Args:
        p: probabilities, `[n, k]`.
        targets: what is true.
        weights: how sure that is; 0 is left out.
        labels: classes.
        implied: how often training pictures of the class that was decided for have each attribute.
    """
    right, pairs = within_classes(p, targets, weights, labels)
    known = weights > 0
    blind = implied.mean(0).expand_as(p)
    row: Row = {"within": float(right.sum() / pairs.sum().clamp(min=1))}
    for name, guess in (("", p), (" class", implied), (" blind", blind)):
        row["read" + name] = float(((guess.round() == targets.round()) & known).sum() / known.sum())
        row["true" + name], row["named" + name] = named_true(guess, targets, known)
    return row


def named_true(guess: Tensor, targets: Tensor, known: Tensor) -> tuple[float, list[float]]:
    """Of the `NAMED` likeliest attributes of each picture that somebody knows, the share that is there.

    Returns:
        The mean over pictures, and each picture's; -1 where nobody knows any of them.
    """
    top = guess.topk(min(NAMED, guess.shape[1]), dim=1).indices
    sure = known.gather(1, top)
    right = (targets.gather(1, top).round() * sure).sum(1)
    count = sure.sum(1)
    shares = torch.where(count > 0, right / count.clamp(min=1), -1.0)
    return float(shares[count > 0].mean()) if bool((count > 0).any()) else float("nan"), [
        round(one, 3) for one in shares.tolist()
    ]


def part_pointing(world: World, attention: Tensor) -> Row:
    """Share of groups whose peak lies within a tenth of the box's diagonal of its part, and of its mean place."""
    own = world.own
    side = int(attention.shape[1] ** 0.5)
    peak = attention.argmax(1)
    spots = torch.stack([(peak % side + 0.5) / side, (peak // side + 0.5) / side], -1)
    boxes, points = own.boxes[own.test], own.points[own.test]
    reach = 0.1 * boxes[:, 2:].square().sum(1).sqrt()
    count = int(own.pool)
    usual = torch.nanmean((own.points[:count] - own.boxes[:count, None, :2]) / own.boxes[:count, None, 2:], 0)
    place = boxes[:, None, :2] + usual * boxes[:, None, 2:]
    visible = ~points.isnan().any(2)
    near = lambda at: ((at - points).square().sum(2).sqrt() <= reach[:, None])[visible].float().mean()  # noqa: E731
    return {"part": float(near(spots)), "mean place": float(near(place))}
