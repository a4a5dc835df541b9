"""Scenes: boxes, what they show, how the two coloured ones lie to each other, and every true sentence about them.

Numbers and words only; `picture` draws them. Relations depend on ratios of lengths alone, so that a scene that is
moved or scaled as a whole has the same sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as fn

COLOURS = ("red", "blue", "green", "yellow", "grey")
"""The last is that of shapes that no sentence is about."""
SHAPES = ("circle", "square", "triangle", "star")
KINDS = ("side", "height", "distance", "size")
RELATIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "side": (("left", "of"), ("right", "of")),
    "height": (("above",), ("below",)),
    "distance": (("near",), ("far", "from")),
    "size": (("bigger", "than"), ("smaller", "than")),
}
"""Words for each kind of relation: what the first is to the second, and the opposite."""
MARGIN = 1.1
"""Least ratio by which a relation holds; closer cases are not drawn, so that each sentence is true or false."""
NEAR = 1.8
"""Distance of centres, in units of the mean side, below which shapes are near."""
NOISE = 0.1
"""Standard deviation of the noise in features."""
FEATURES = len(COLOURS) + len(SHAPES)
HELD_OUT = 1_000_003
"""Added to the seed of scenes that are not learnt from."""
SHARE = 8
"""Candidates that are drawn for each scene wanted."""


@dataclass(frozen=True, eq=False)
class Scenes:
    """A set of scenes.

    Args:
        boxes: left, top, right, bottom as shares of the picture.
        colours: number of each shape's colour.
        shapes: number of each shape's kind.
        pairs: which two shapes are coloured; sentences are about them.
        firsts: for each of `KINDS`, whether its first word is true of the first shape and the second.
        features: what a network sees of each shape: its colour and kind with noise, and nothing of its place.
    """

    boxes: Float[Tensor, "m n 4"]
    colours: Int[Tensor, "m n"]
    shapes: Int[Tensor, "m n"]
    pairs: Int[Tensor, "m 2"]
    firsts: Bool[Tensor, "m 4"]
    features: Float[Tensor, "m n d"]

    def __len__(self) -> int:
        return len(self.boxes)

    def sentence(self, scene: int, kind: str, *, turned: bool = False) -> tuple[str, ...]:
        """What is true of one shape and the other.

        Args:
            scene: its number.
            kind: one of `KINDS`.
            turned: whether it begins with the second shape.
        """
        a, b = self.pairs[scene].tolist()[:: -1 if turned else 1]
        first = bool(self.firsts[scene, KINDS.index(kind)])
        # Nearness is the same from both sides; all other relations turn round.
        word = RELATIONS[kind][int(not (first if kind == "distance" else first != turned))]
        return ("the", *self._name(scene, a), "is", *word, "the", *self._name(scene, b))

    def sentences(self, scene: int, kinds: Sequence[str] = KINDS) -> Iterator[tuple[str, ...]]:
        """All true sentences of some kinds of relation."""
        for kind in kinds:
            for turned in (False, True):
                yield self.sentence(scene, kind, turned=turned)

    def regions(self, scene: int, sentence: tuple[str, ...]) -> tuple[frozenset[int], ...]:
        """For each word of a sentence which regions it is about; none for words such as "the" and "is"."""
        named = {word: {i} for i in self.pairs[scene].tolist() for word in self._name(scene, i)}
        relations = {word for pair in RELATIONS.values() for words in pair for word in words[:1]}
        both = set(self.pairs[scene].tolist())
        return tuple(frozenset(named.get(word, both if word in relations else set())) for word in sentence)

    def moved(self, scale: float, offset: float) -> Scenes:
        """The same scenes, scaled and moved; the sentences stay true."""
        return replace(self, boxes=self.boxes * scale + offset)

    def __getitem__(self, part: slice | Tensor) -> Scenes:
        names = ("boxes", "colours", "shapes", "pairs", "firsts", "features")
        return Scenes(*(getattr(self, name)[part] for name in names))

    def _name(self, scene: int, shape: int) -> tuple[str, str]:
        return COLOURS[int(self.colours[scene, shape])], SHAPES[int(self.shapes[scene, shape])]


def words() -> tuple[str, ...]:
    """Every word of every sentence.

    Example:
        >>> len(words())
        21
    """
    relations = (word for pair in RELATIONS.values() for own in pair for word in own)
    return tuple(dict.fromkeys(("the", "is", *COLOURS[:-1], *SHAPES, *relations)))


def draw_scenes(count: int, *, seed: int = 0, grey: int = 3) -> Scenes:
    """Draw scenes of two coloured shapes and some grey ones.

    Each relation is true and false equally often, as far as chance allows. Features say nothing of places.

    Args:
        count: how many.
        seed: equal seeds give equal scenes.
        grey: shapes that no sentence is about.

    Example:
        >>> " ".join(draw_scenes(1).sentence(0, "side"))
        'the yellow circle is right of the red star'
    """
    chance = torch.Generator().manual_seed(seed)
    boxes, firsts = _places(count, grey + 2, chance)
    colours = torch.full((count, grey + 2), len(COLOURS) - 1)
    colours[:, :2] = _two(count, len(COLOURS) - 1, chance)
    shapes = torch.randint(len(SHAPES), (count, grey + 2), generator=chance)
    shapes[:, :2] = _two(count, len(SHAPES), chance)
    order = torch.rand(count, grey + 2, generator=chance).argsort(1)
    pairs = order.argsort(1)[:, :2]
    boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    colours, shapes = colours.gather(1, order), shapes.gather(1, order)
    exact = torch.cat([fn.one_hot(colours, len(COLOURS)), fn.one_hot(shapes, len(SHAPES))], -1).float()
    features = exact + NOISE * torch.randn(exact.shape, generator=chance)
    return Scenes(boxes, colours, shapes, pairs, firsts, features)


def relations_of(boxes: Float[Tensor, "m 2 4"]) -> tuple[Bool[Tensor, "m 4"], Bool[Tensor, "m"]]:
    """Which relations hold between the first and the second box, and whether each does so by the margin."""
    centres, sides = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    offset = centres[:, 1] - centres[:, 0]
    areas = sides.prod(-1)
    distance = offset.norm(dim=-1) / areas.sqrt().mean(1)
    ratio = areas[:, 0] / areas[:, 1]
    firsts = torch.stack([offset[:, 0] > 0, offset[:, 1] > 0, distance < NEAR, ratio > 1], 1)
    apart = (offset.abs() > (MARGIN - 1) * sides.mean(1)).all(1)
    clear = [(value.log().abs() > torch.tensor(MARGIN).log()) for value in (distance / NEAR, ratio)]
    return firsts, apart & clear[0] & clear[1]


def _places(count: int, n: int, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Boxes within the picture, the first two in relations that hold by the margin, near as often as far."""
    boxes, firsts = torch.empty(0, n, 4), torch.empty(0, len(KINDS), dtype=torch.bool)
    while min(int(firsts[:, 2].sum()), int((~firsts[:, 2]).sum())) < (count + 1) // 2:
        more = _boxes(SHARE * count + 64, n, chance)
        own, clear = relations_of(more[:, :2])
        clear &= _uncovered(more[:, :2])
        boxes, firsts = torch.cat([boxes, more[clear]]), torch.cat([firsts, own[clear]])
    near, far = (firsts[:, 2] == side for side in (True, False))
    chosen = torch.cat([near.nonzero()[: count // 2, 0], far.nonzero()[: count - count // 2, 0]])
    chosen = chosen[torch.randperm(count, generator=chance)]
    return boxes[chosen], firsts[chosen]


def _boxes(count: int, n: int, chance: torch.Generator) -> Float[Tensor, "m n 4"]:
    """Boxes within the unit square, of sides from 0.08 to 0.3, even in their logarithm, a fifth off the square."""
    low, high = 0.08, 0.3
    side = low * (high / low) ** torch.rand(count, n, 1, generator=chance)
    stretch = 1.2 ** (torch.rand(count, n, 1, generator=chance) - 0.5)
    sides = torch.cat([side * stretch, side / stretch], -1)
    corner = torch.rand(count, n, 2, generator=chance) * (1 - sides)
    return torch.cat([corner, corner + sides], -1)


def _uncovered(boxes: Float[Tensor, "m 2 4"]) -> Bool[Tensor, "m"]:
    """Whether two boxes do not overlap."""
    meet = torch.minimum(boxes[:, 0, 2:], boxes[:, 1, 2:]) - torch.maximum(boxes[:, 0, :2], boxes[:, 1, :2])
    return (meet <= 0).any(1)


def _two(count: int, n: int, chance: torch.Generator) -> Int[Tensor, "m 2"]:
    """Two different numbers below n."""
    return torch.rand(count, n, generator=chance).argsort(1)[:, :2]
