"""The frozen features of the study `eat_study.py`: five networks with real weights on three data sets, computed once.

Features are pooled, brought to unit spread and turned onto the directions that the training pictures span, so heads
on them are small and quick; nothing of the labels is used. It knows pictures and networks, no heads.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from _eat_cells import _pack
from sightline.models.load import load_model
from sightline.tasks.attributes.data import BIRDS, Attribute, Vocabulary, read_attributes
from sightline.tasks.attributes.data.aviary import aviary_vocabulary
from sightline.tasks.attributes.data.cub_words import POINTS
from sightline.tasks.attributes.data.examples import Examples, from_files, from_scenes, group_shares, object_shares
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec, attribute_net
from sightline.tasks.attributes.train.calibrate import normalised
from sightline.worlds.aviary.config import WorldConfig
from sightline.worlds.aviary.dataset import HELD_OUT, rendered
from sightline.worlds.aviary.world import World

WORLDS = {"aviary": WorldConfig(), "background": WorldConfig(background_correlation=0.9)}
SETS = ("cub", *WORLDS)
DIRECTIONS = 256
"""Most directions of features that heads see; the CUB subset's 210 training photos span 210."""
POOL, TESTS, WORLD_SIDE = 800, 300, 128
"""Scenes of a world to draw training pictures from, and to test on; their side. Photos have the network's own."""
STRIDE = 16


@dataclass(frozen=True)
class Base:
    """A network with real weights.

    Args:
        name: its name in the tables.
        model: its name in the catalogue.
        weights: file of the test pack; None takes the package's.
        model_args: arguments of its builder.
    """

    name: str
    model: str
    weights: str | None = None
    model_args: tuple[tuple[str, object], ...] = ()


BASES = (
    Base("lite0", "imagenet"),
    Base("lite1", "imagenet-lite1"),
    Base("lite2", "imagenet-lite2"),
    Base("mobilenet_v2", "torchvision:mobilenet_v2", "mobilenet_v2_imagenet.safetensors"),
    Base("squeezenet1_0", "torchvision:squeezenet1_0", "squeezenet1_0_imagenet.safetensors"),
)
BIRDS_BASE = Base(
    "inat birds",
    "timm:mobilenetv2_100",
    "mobilenetv2_100_inat_birds_timm_fp16.safetensors",
    (("pad_type", "same"), ("num_classes", 965)),
)
"""Knows birds already, so it is reported apart."""


@dataclass(frozen=True, eq=False)
class Frozen:
    """Features of a data set, and what is known of its pictures; rows of the pool come first, then the test's.

    Args:
        pool: pictures to draw training sets from.
        x: pooled features on `DIRECTIONS` directions, centred, `[n, d]`.
        grid: features place by place on the same directions, not centred, `[n, p, d]` in float16.
        middle: what was taken from the pooled features, `[d]`.
        labels: classes from 0.
        targets: attributes of the picture itself.
        weights: how sure they are.
        by_class: attributes of its class, and how sure.
        by_class_weights: how sure those are.
        inside: the object's share of each place, `[n, p]`.
        parts: each group's part's share of each place, `[n, g, p]`.
        points: middle of each group's part in shares of the side, x before y; NaN where it cannot be seen.
        boxes: left, top, width and height of the object, in shares of the side.
        elsewhere: features of the test scenes drawn with backgrounds by chance, `[m, d]`; empty without.
        energy: share of the features' variance on the directions.
    """

    pool: Tensor
    x: Tensor
    grid: Tensor
    middle: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor
    by_class: Tensor
    by_class_weights: Tensor
    inside: Tensor
    parts: Tensor
    points: Tensor
    boxes: Tensor
    elsewhere: Tensor
    energy: Tensor

    @property
    def test(self) -> slice:
        """Rows of the test pictures."""
        return slice(int(self.pool), len(self.x))


@dataclass(frozen=True, eq=False)
class Pictures:
    """A data set at one size: pool, test, and the test scenes before other backgrounds, with both vocabularies."""

    pool: Examples
    test: Examples
    elsewhere: Examples | None
    words: Vocabulary
    class_words: Vocabulary
    by_class: tuple[Tensor, Tensor, Tensor, Tensor]
    points: Tensor
    boxes: Tensor


def vocabularies(data: str) -> tuple[Vocabulary, Vocabulary]:
    """Attributes of pictures themselves, and of classes."""
    if data in WORLDS:
        return aviary_vocabulary(), aviary_vocabulary()
    return _cub()[0].vocabulary, _cub()[1].vocabulary


@cache
def _cub():
    root = _pack() / "cub_200_2011_subset" / "CUB_200_2011"
    own = read_attributes(root, incomplete=True, mined=BIRDS, validation=0.0)
    return own, read_attributes(root, incomplete=True, targets="class", validation=0.0)


def pictures(data: str, size: int, work: Path, *, pool: int = POOL, tests: int = TESTS) -> Pictures:
    """The pictures of a data set at the network's own size."""
    if data == "cub":
        return _photos(size, work)
    draw = lambda config, first, count: _scenes(config, first, count, size, work)  # noqa: E731
    config = WORLDS[data]
    train, test = draw(config, 0, pool), draw(config, HELD_OUT, tests)
    chance = replace(config, background_correlation=0.0)
    elsewhere = draw(chance, HELD_OUT, tests) if config.background_correlation else None
    words = aviary_vocabulary()
    means = _class_means(train)
    sure = [torch.ones_like(one.targets) for one in (train, test)]
    points, boxes = zip(*(_marked(one, words) for one in (train, test)), strict=True)
    by_class = (means[train.labels], sure[0], means[test.labels], sure[1])
    return Pictures(train, test, elsewhere, words, words, by_class, torch.cat(points), torch.cat(boxes))


def _scenes(config: WorldConfig, first: int, count: int, size: int, work: Path) -> Examples:
    drawn = rendered(World(config), first, count, size=size, folder=work / "scenes", workers=1)
    return from_scenes(drawn, aviary_vocabulary())


def _class_means(examples: Examples) -> Tensor:
    hot = torch.nn.functional.one_hot(examples.labels).float().T
    return (hot @ (examples.targets * examples.weights)) / (hot @ examples.weights).clamp(min=1)


def _photos(size: int, work: Path) -> Pictures:
    own, table = _cub()
    rows = [np.flatnonzero(own.split == split) for split in (0, 2)]
    kept = sorted(set(own.labels.tolist()))
    train, test = (from_files(own, one, size, work / "photos") for one in rows)
    train, test = (
        replace(one, labels=torch.tensor([kept.index(int(label)) for label in one.labels])) for one in (train, test)
    )
    by_class = tuple(torch.from_numpy(part[one]) for one in rows for part in (table.targets, table.weights))
    marks = [_points_of_photo(own, int(row)) for row in np.concatenate(rows)]
    points, boxes = (torch.from_numpy(np.stack(part)).float() for part in zip(*marks, strict=True))
    return Pictures(train, test, None, own.vocabulary, table.vocabulary, by_class, points, boxes)  # type: ignore[arg-type]


def _points_of_photo(data, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Middle of each group's visible key points, and the box, in shares of the photo's middle square."""
    from PIL import Image

    with Image.open(data.files[row]) as image:
        width, height = image.size
    side = min(width, height)
    shift = np.array([(width - side) / 2, (height - side) / 2])
    known = {name: data.points[row, at] for at, name in enumerate(data.parts)}
    out = []
    for group in data.vocabulary.groups:
        seen = [known[name] for name in POINTS.get(group.part, (group.part,)) if name in known]
        seen = [one[:2] for one in seen if one[2] > 0]
        out.append((np.mean(seen, 0) - shift) / side if seen else np.full(2, np.nan))
    x, y, wide, high = data.boxes[row]
    return np.stack(out), np.array([*((np.array([x, y]) - shift) / side), wide / side, high / side])


def _marked(examples: Examples, words: Vocabulary) -> tuple[Tensor, Tensor]:
    """The same of scenes: middles of visible pixels of parts, boxes around the bird."""
    parts = examples.parts
    side = parts.shape[1]
    at = (torch.arange(side) + 0.5) / side
    ids = {name: number for number, name in enumerate(examples.part_names, 1)}
    points = torch.full((len(parts), len(words.groups), 2), float("nan"))
    for g, group in enumerate(words.groups):
        if group.part in ids:
            mask = (parts == ids[group.part]).float()
            count = mask.sum((1, 2))
            middle = torch.stack([(mask.sum(1) * at).sum(1), (mask.sum(2) * at).sum(1)], 1) / count[:, None]
            points[:, g] = torch.where(count[:, None] > 0, middle, torch.nan)
    boxes = []
    for mask in parts > 0:
        rows, columns = torch.nonzero(mask.any(1))[:, 0], torch.nonzero(mask.any(0))[:, 0]
        boxes.append(
            torch.tensor([columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]) / side
            if len(rows)
            else torch.tensor([0.0, 0.0, 1.0, 1.0])
        )
    return points, torch.stack(boxes).float()


def network(base: Base, words: Vocabulary, classes: int, size: int | None = None) -> AttributeNet:
    """A network with its real weights, in eval mode."""
    file = base.weights if base.weights in (None, "random") else str(_pack() / "models" / base.weights)
    arguments = dict(base.model_args)
    side = size or load_model(base.model, weights=file, model_args=arguments).preprocess.size[0]
    names = tuple(str(at) for at in range(classes))
    spec = AttributeSpec(base.model, names, words, stride=STRIDE, size=side, model_args=arguments)
    return attribute_net(spec, file).eval()


def frozen(base: Base, data: str, work: Path) -> Frozen:
    """The features of a network on a data set, from the work folder or anew."""
    path = work / "features" / f"{data}-{base.name.replace(' ', '_')}.npz"
    if path.is_file():
        with np.load(path) as file:
            return Frozen(**{one.name: torch.from_numpy(file[one.name]) for one in fields(Frozen)})
    words, _ = vocabularies(data)
    net = network(base, words, 2, WORLD_SIDE if data in WORLDS else None)
    own = turned(net, pictures(data, net.spec.size, work))
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".tmp.npz")
    np.savez(half, **{one.name: getattr(own, one.name).numpy() for one in fields(Frozen)})
    half.replace(path)
    return own


@torch.no_grad()
def turned(net: AttributeNet, own: Pictures) -> Frozen:
    """Features on the directions that the pool spans."""
    grids = torch.cat([_grids(net, own.pool), _grids(net, own.test)])
    count, side = len(own.pool), grids.shape[-1]
    pooled = torch.stack([one.float().mean((1, 2)) for one in grids])
    mean, spread = pooled[:count].mean(0), pooled[:count].std(0).clamp(min=1e-3)
    scaled = (pooled - mean) / spread
    _, values, directions = torch.linalg.svd(scaled[:count], full_matrices=False)
    basis = directions[:DIRECTIONS].T.contiguous()
    energy = values[:DIRECTIONS].square().sum() / values.square().sum()
    places = torch.stack([((one.float().flatten(1).T / spread) @ basis).half() for one in grids])
    elsewhere = torch.zeros(0, basis.shape[1])
    if own.elsewhere is not None:
        other = torch.stack([one.float().mean((1, 2)) for one in _grids(net, own.elsewhere)])
        elsewhere = ((other - mean) / spread) @ basis
    both = lambda name: torch.cat([getattr(own.pool, name), getattr(own.test, name)])  # noqa: E731
    marks = both("parts")
    shape = (side, side)
    return Frozen(
        torch.tensor(count),
        scaled @ basis,
        places,
        (mean / spread) @ basis,
        both("labels"),
        both("targets"),
        both("weights"),
        torch.cat([own.by_class[0], own.by_class[2]]),
        torch.cat([own.by_class[1], own.by_class[3]]),
        object_shares(marks, shape).flatten(1),
        group_shares(marks, own.words, own.pool.part_names, shape).flatten(2),
        own.points,
        own.boxes,
        elsewhere,
        energy,
    )


def _grids(net: AttributeNet, examples: Examples, batch: int = 25) -> Tensor:
    rows = torch.split(torch.arange(len(examples)), batch)
    return torch.cat([net.trunk(normalised(net, examples.images[one])).half() for one in rows])


def toy(seed: int = 0) -> tuple[Frozen, Vocabulary, Vocabulary]:
    """Random features in which the class and two of four attributes can be read, in four by four places."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(96) % 3
    targets = (torch.rand(96, 4, generator=draw) < 0.5).float()
    signs = torch.cat([torch.nn.functional.one_hot(labels), targets[:, :2]], 1).float()
    inside = torch.zeros(96, 16)
    inside[:, 5:7] = 1.0
    grid = torch.randn(96, 16, 8, generator=draw)
    grid[:, 5, :5] += 6 * signs
    x = grid.mean(1)
    middle = x[:60].mean(0)
    words = Vocabulary(
        tuple(
            Attribute(f"has_{part}_color::{value}", f"has_{part}_color", value, part)
            for part in ("bill", "wing")
            for value in ("red", "blue")
        )
    )
    parts = torch.zeros(96, 2, 16)
    parts[:, 0, 5], parts[:, 1, 6] = 1.0, 1.0
    means = torch.stack([targets[labels == y].mean(0) for y in range(3)])
    points = torch.tensor([[0.375, 0.375], [0.625, 0.375]]).expand(96, 2, 2).contiguous()
    boxes = torch.tensor([0.25, 0.25, 0.5, 0.25]).expand(96, 4).contiguous()
    ones = torch.ones_like(targets)
    own = (targets, ones, means[labels], ones, inside, parts, points, boxes)
    return (
        Frozen(torch.tensor(60), x - middle, grid.half(), middle, labels, *own, x[60:] - middle, torch.tensor(1.0)),
        words,
        words,
    )
