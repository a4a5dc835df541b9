"""Heads of an attribute network on frozen features, many trainings at once. It knows tensors, no networks or files.

With class scores s = U v + c + V a and attributes a = act(W v + b) (the join `fusion` of the product, its attributes
in units of their spread) every training minimises

    CE(s, y) + lambda * mean attribute loss + ridge / 2 (|U|^2 + |V|^2 + |W|^2) + lambda * own ridge / (2 q) |W|^2

over all its pictures at once; q is the number of questions. Without the way V it is the linear probe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as fn

from sightline.tasks.attributes.data import Vocabulary

STEPS = 120
OWN_RIDGES = (0.1, 1.0, 10.0, 100.0)
"""Among which a held-out fifth of the training pictures chooses the attributes' penalty."""


@dataclass(frozen=True, eq=False)
class Questions:
    """A vocabulary as tensors: which attributes stand alone, and which form a choice."""

    alone: Tensor
    choice: Tensor

    @classmethod
    def of(cls, words: Vocabulary) -> Questions:
        """Of a vocabulary."""
        choices = [group for group in words.groups if group.exclusive]
        choice = torch.zeros(len(words), len(choices))
        for at, group in enumerate(choices):
            choice[list(group.members), at] = 1.0
        return cls(choice.sum(1) == 0, choice)

    @property
    def count(self) -> int:
        """Number of questions."""
        return int(self.alone.sum()) + self.choice.shape[1]

    def log_probabilities(self, z: Tensor) -> Tensor:
        """Log softmax inside a choice, log sigmoid of what stands alone; attributes last."""
        if not self.choice.shape[1]:
            return fn.logsigmoid(z)
        top = z.detach().amax(-1, keepdim=True)
        total = ((z - top).exp() @ self.choice).clamp(min=1e-30).log() + top
        return torch.where(self.alone, fn.logsigmoid(z), z - total @ self.choice.T)

    def loss(self, z: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Mean loss over what is answered, as `attribute_loss` has it, over pictures and attributes last."""
        logs = self.log_probabilities(z)
        single = -targets * logs - (1 - targets) * fn.logsigmoid(-z)
        total = (single * weights)[..., self.alone].sum((-1, -2))
        mask = weights[..., self.alone].sum((-1, -2))
        if self.choice.shape[1]:
            sure = weights @ self.choice / self.choice.sum(0)
            total = total + (-(targets * logs) @ self.choice * sure).sum((-1, -2))
            mask = mask + sure.sum((-1, -2))
        return total / mask.clamp(min=1e-6)


@dataclass(frozen=True, eq=False)
class Lessons:
    """Training sets of one size, one per member: features `[m, n, d]`, classes, attributes, how sure, lambda.

    `way` is how strongly attributes enter the class score beside features: 1 as one feature each, 0 not at all.
    """

    x: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor
    strength: Tensor
    way: Tensor

    def __len__(self) -> int:
        """Number of trainings."""
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Heads:
    """Trained heads, member first; `scale` and `shift` bring attributes to units of their spread."""

    u: Tensor
    c: Tensor
    v: Tensor
    w: Tensor
    b: Tensor
    shift: Tensor
    scale: Tensor

    def member(self, at: int) -> Heads:
        """One of them, as a batch of one."""
        return Heads(*(getattr(self, one.name)[at : at + 1] for one in fields(Heads)))

    def attributes(self, x: Tensor) -> Tensor:
        """Logits z, `[m, n, k]`."""
        return x @ self.w + self.b[:, None]

    def classes(self, x: Tensor, asked: Questions, z: Tensor | None = None) -> Tensor:
        """Class scores, `[m, n, y]`."""
        a = asked.log_probabilities(self.attributes(x) if z is None else z).exp()
        return x @ self.u + self.c[:, None] + ((a - self.shift[:, None]) / self.scale[:, None]) @ self.v

    def slopes(self, x: Tensor, asked: Questions) -> Tensor:
        """Gradient of the highest class score with respect to the features, `[m, n, d]`."""
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            scores = self.classes(x, asked)
            top: Tensor = torch.autograd.grad(scores.amax(-1).sum(), x)[0]
        return top


def train(lessons: Lessons, asked: Questions, classes: int, *, ridge: float, own_ridge: float | Tensor) -> Heads:
    """All members at once; each ends where it would alone, as nothing is shared.

    Args:
        lessons: training sets.
        asked: the attributes.
        classes: number of classes.
        ridge: penalty of what decides the class.
        own_ridge: penalty of what reads the attributes.
    """
    m, _, d = lessons.x.shape
    k = lessons.targets.shape[2]
    known = lessons.weights.sum(1).clamp(min=1e-6)
    base = ((lessons.targets * lessons.weights).sum(1) / known).clamp(0.01, 0.99)
    scale = (base * (1 - base)).sqrt() / lessons.way[:, None].clamp(min=1e-6)
    start = torch.where(asked.alone, (base / (1 - base)).log(), base.log())
    zeros = lessons.x.new_zeros
    parts = [zeros(m, d, classes), zeros(m, classes), zeros(m, k, classes), zeros(m, d, k), start]
    u, c, v, w, b = parts = [one.clone().requires_grad_() for one in parts]
    heads = Heads(u, c, v, w, b, base, scale)
    factor = lessons.strength * torch.as_tensor(own_ridge)

    def loss() -> Tensor:
        z = heads.attributes(lessons.x)
        own = asked.loss(z, lessons.targets, lessons.weights)
        size = u.square().sum((1, 2)) + v.square().sum((1, 2))
        size = size + w.square().sum((1, 2))
        penalty = ridge / 2 * size + factor / (2 * asked.count) * w.square().sum((1, 2))
        return (
            cross_entropy(heads.classes(lessons.x, asked, z), lessons.labels) + lessons.strength * own + penalty
        ).sum()

    descend(parts, loss)
    return Heads(*(getattr(heads, one.name).detach() for one in fields(Heads)))


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean over pictures, per member."""
    return -scores.log_softmax(-1).gather(2, labels[..., None])[..., 0].mean(1)


def descend(parts: list[Tensor], loss: Callable[[], Tensor], steps: int = STEPS) -> None:
    """L-BFGS on all members' losses together.

    Adam will not do: it takes steps of one size along every direction, also where features hardly vary, and with 5
    photos a class it ended up to .2 of accuracy below the optimum.
    """
    search = torch.optim.LBFGS(
        parts, max_iter=steps, tolerance_grad=1e-6, history_size=10, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        search.zero_grad()
        value = loss()
        value.backward()
        return value.detach()

    with torch.enable_grad():
        search.step(closure)


def chosen_own_ridge(lessons: Lessons, asked: Questions, classes: int, ridge: float) -> float:
    """The attributes' penalty of the lowest loss on a held-out fifth of one training set."""
    count = lessons.x.shape[1]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    held, rest = order[: max(1, count // 5)], order[max(1, count // 5) :]
    own = (lessons.x[:1], lessons.labels[:1], lessons.targets[:1], lessons.weights[:1])
    tried = len(OWN_RIDGES)
    fit, look = (
        Lessons(
            *(part[:, rows].expand(tried, *(-1,) * (part.ndim - 1)) for part in own),
            torch.ones(tried),
            torch.ones(tried),
        )
        for rows in (rest, held)
    )
    heads = train(fit, asked, classes, ridge=ridge, own_ridge=torch.tensor(OWN_RIDGES))
    losses = asked.loss(heads.attributes(look.x), look.targets, look.weights)
    return OWN_RIDGES[int(losses.argmin())]


@dataclass(frozen=True, eq=False)
class Guide:
    """What a guided training is shown besides: features place by place, and where object and parts are.

    Args:
        grid: `[n, p, d]`, not centred.
        inside: the object's share of each place, `[n, p]`.
        parts: each group's part's share, `[n, g, p]`.
        answered: whether a group's answer is known, `[n, g]`.
        group: group of each attribute.
        outside_weight: weight of the class map's energy outside the object.
        part_weight: weight of reading attributes at their parts.
    """

    grid: Tensor
    inside: Tensor
    parts: Tensor
    answered: Tensor
    group: Tensor
    outside_weight: float = 0.0
    part_weight: float = 0.0


def train_boxes(lessons: Lessons, guide: Guide, classes: int, *, ridge: float) -> Heads:
    """The probe with its class map kept on the object (`outside_energy`); the first member only, no attributes.

    It starts from the probe: the share outside does not change with the size of the weights, so its slope has no end
    where they are zero, and a fit that starts there stays there.
    """
    from sightline.tasks.attributes.train.guidance import outside_energy

    x, labels = lessons.x[0], lessons.labels[0]
    parts = [x.new_zeros(x.shape[1], classes).requires_grad_(), x.new_zeros(classes).requires_grad_()]

    def probe() -> Tensor:
        return fn.cross_entropy(x @ parts[0] + parts[1], labels) + ridge / 2 * parts[0].square().sum()

    def loss() -> Tensor:
        maps = (guide.grid * parts[0].T[labels][:, None]).sum(2).relu()
        return probe() + guide.outside_weight * outside_energy(maps[:, None], guide.inside[:, None])

    descend(parts, probe)
    descend(parts, loss)
    u, c = (one.detach()[None] for one in parts)
    k = lessons.targets.shape[2]
    none, ones = u.new_zeros(1, k), u.new_ones(1, k)
    return Heads(u, c, u.new_zeros(1, k, classes), u.new_zeros(1, x.shape[1], k), none, none, ones)


def train_places(
    lessons: Lessons, guide: Guide, asked: Questions, classes: int, *, ridge: float, own_ridge: float
) -> tuple[Heads, Tensor]:
    """Attributes read where their group looks (pool `places`); the first member only.

    Returns:
        Heads, and what each group looks for, `[d, g]`.
    """
    from sightline.tasks.attributes.train.guidance import part_alignment

    x, labels, targets, weights = (one[:1] for one in (lessons.x, lessons.labels, lessons.targets, lessons.weights))
    known = weights.sum(1).clamp(min=1e-6)
    base = ((targets * weights).sum(1) / known).clamp(0.01, 0.99)
    scale = (base * (1 - base)).sqrt()
    d, k, groups = x.shape[2], targets.shape[2], guide.parts.shape[1]
    start = torch.where(asked.alone, (base / (1 - base)).log(), base.log())
    sizes = [(1, d, classes), (1, classes), (1, k, classes), (1, d, k)]
    u, c, v, w = values = [x.new_zeros(*size).requires_grad_() for size in sizes]
    b, look = start.clone().requires_grad_(), x.new_zeros(d, groups).requires_grad_()
    heads = Heads(u, c, v, w, b, base, scale)
    side = int(guide.grid.shape[1] ** 0.5)
    strength = float(lessons.strength[0])

    def loss() -> Tensor:
        attention = (guide.grid @ look).softmax(1)
        z = read_places(guide.grid, attention, w[0], b[0], guide.group)[None]
        own = asked.loss(z, targets, weights)[0]
        size = ridge / 2 * (u.square().sum() + v.square().sum())
        size = size + strength * own_ridge / (2 * asked.count) * w.square().sum() + LOOK / 2 * look.square().sum()
        grids = (attention.mT.unflatten(2, (side, side)), guide.parts.unflatten(2, (side, side)))
        shown = guide.part_weight * part_alignment(*grids, guide.answered) if guide.part_weight else 0.0
        return cross_entropy(heads.classes(x, asked, z), labels)[0] + strength * own + size + shown

    descend([*values, b, look], loss)
    return Heads(*(getattr(heads, one.name).detach() for one in fields(Heads))), look.detach()


LOOK = 1e-3
"""Penalty of the weights by which groups look for their places."""


def read_places(grid: Tensor, attention: Tensor, w: Tensor, b: Tensor, group: Tensor) -> Tensor:
    """z_k = b_k + sum_p s_g(p) w_k . F(p), `[n, k]`: each group's mean feature, then its attributes' weights."""
    means = torch.einsum("npd,npg->ngd", grid, attention)
    return (means[:, group] * w.T).sum(2) + b
