"""What a trained cell of the EAT study does on pictures that it has not seen. One file of arrays per cell, no tables.

Peaks and key points are in shares of the picture's side, x before y; a part's key point is the middle of its visible
pixels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as fn

from _eat_cells import TEST, VALIDATION, WORLDS, Cell, classes_of, network, scenes, second_task
from _eat_cells import training_pictures as training
from sightline.models.weights import read_weights
from sightline.tasks.attributes.data import Vocabulary
from sightline.tasks.attributes.data.aviary import aviary_vocabulary
from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.data.places import NOWHERE
from sightline.tasks.attributes.explain.contributions import linear_contributions, sensitivity_contributions
from sightline.tasks.attributes.explain.evidence import Evidence
from sightline.tasks.attributes.explain.selection import why
from sightline.tasks.attributes.metrics.texts import mention_table
from sightline.tasks.attributes.network.activations import activations
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.train.calibrate import answers_of, fit_calibration, normalised, predict
from sightline.worlds.aviary.attributes import GROUPS, offsets
from sightline.worlds.aviary.batch import batch_of
from sightline.worlds.aviary.counterfactual import with_values
from sightline.worlds.aviary.world import World

TESTS, MENTIONS, REDRAWN = 600, 3, 60
SPEAKING = ("eat", "free", "narrow", "parts", "bottleneck", "outside")
Arrays = dict[str, NDArray[np.float64]]


def load(cell: Cell, work: Path) -> AttributeNet:
    """The network of a finished cell."""
    given = read_weights(work / "nets" / f"{cell.name}.safetensors")
    spec_words = _words(given.metadata["spec"])
    net = network(cell, spec_words, classes_of(cell))
    net.load_state_dict({k: v for k, v in given.tensors.items() if not k.startswith("knowledge.")})
    return net.eval()


def _words(spec: str) -> Vocabulary:
    import json

    return Vocabulary.from_json(json.loads(spec)["vocabulary"])


def measure(cell: Cell, work: Path, tests: int = TESTS) -> Arrays:
    """All arrays of one cell, from its file of measures or anew."""
    path = work / "measures" / f"{cell.name}.npz"
    if path.is_file():
        return dict(np.load(path))
    net = load(cell, work)
    examples = _held_out(cell, TEST, tests, work)
    found = attention(net, examples)
    if cell.world == "background":
        plain = replace(WORLDS["background"], background_correlation=0.0)
        shuffled = _scenes_of(World(plain), TEST, tests, cell.size, work)
        found["right_shuffled"] = _right(predict(net, shuffled).classes, shuffled)
    if cell.world in WORLDS and len(net.spec.vocabulary) == len(aviary_vocabulary()) and cell.arm not in ("zero",):
        found |= places(net, examples)
        found["read"] = _read_right(net, examples)
        if cell.world == "aviary" and cell.arm in SPEAKING:
            found |= words(net, cell, examples, work)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".tmp.npz")
    np.savez_compressed(half, **found)
    half.replace(path)
    return found


def _held_out(cell: Cell, first: int, count: int, work: Path) -> Examples:
    return scenes(cell.world, first, count, cell.size, work)


def _scenes_of(world: World, first: int, count: int, size: int, work: Path) -> Examples:
    from sightline.tasks.attributes.data.examples import from_scenes
    from sightline.worlds.aviary.dataset import rendered

    drawn = rendered(world, first, count, size=size, folder=work / "scenes", workers=1)
    return from_scenes(drawn, aviary_vocabulary())


def _right(scores: Tensor, examples: Examples) -> NDArray[np.float64]:
    return (scores.argmax(1) == examples.labels).double().numpy()


def attention(net: AttributeNet, examples: Examples) -> Arrays:
    """Whether the class is right, where the class map's energy lies, and where that of controls lies.

    The map is relu(sum_c F_c ds/dF_c) at the trunk's last features, for the class that the network decides for: the
    class activation map where the head is linear. `swapped` is the energy in this picture's object of the map of
    another picture: a control as sharp and as centred as the maps themselves. `gaussian` is a centred Gaussian of a
    quarter of the side, `area` a uniform map.
    """
    inside = ((examples.parts > 0) & (examples.parts != NOWHERE)).float()
    maps, right, peaks = [], [], []
    for at in range(0, len(examples), 50):
        part = examples.take(slice(at, at + 50))
        map_, scores = (one.cpu() for one in _class_maps(net, normalised(net, part.images)))
        maps.append(fn.interpolate(map_[:, None], size=inside.shape[1:], mode="bilinear")[:, 0].clamp(min=0))
        right.append(_right(scores, part))
        peaks.append(_peaks(map_[:, None])[:, 0])
    drawn = torch.cat(maps)
    share = lambda m: ((m * inside).sum((1, 2)) / m.sum((1, 2)).clamp(min=1e-9)).double().numpy()  # noqa: E731
    centred = _gaussian(inside.shape[1]).expand_as(inside)
    return {
        "right": np.concatenate(right),
        "energy": share(drawn),
        "swapped": share(drawn.roll(len(drawn) // 2 + 1, 0)),
        "gaussian": share(centred),
        "area": inside.mean((1, 2)).double().numpy(),
        "class_peak": torch.cat(peaks).double().numpy(),
    }


def _class_maps(net: AttributeNet, x: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        last, finer = net.trunk.levels(x, net.levels)
    features = last.detach().requires_grad_()
    read = net.attribute_head(features if net.meeting is None else net.meeting([*finer, features]))
    scores = net.class_head(features.mean((2, 3)), activations(read.logits, net.spec.vocabulary))
    gradient = torch.autograd.grad(scores.max(1).values.sum(), features)[0]
    return (features * gradient).sum(1).relu().detach(), scores.detach()


def _gaussian(side: int) -> Tensor:
    at = (torch.arange(side) + 0.5) / side - 0.5
    one = (-(at**2) / (2 * 0.25**2)).exp()
    return one[:, None] * one[None]


def _peaks(maps: Tensor, side: int = 48) -> Tensor:
    """Where each map is highest after bicubic enlargement, [b, g, 2] as x, y."""
    big = fn.interpolate(maps, size=(side, side), mode="bicubic", align_corners=False).flatten(2)
    top = big.argmax(2)
    return torch.stack([(top % side + 0.5) / side, (top // side + 0.5) / side], dim=2)


def points(examples: Examples) -> tuple[Tensor, Tensor]:
    """Middle of every part that can be seen, [b, p, 2], NaN elsewhere, and the bird's box, [b, 4] as x, y, w, h."""
    side = examples.parts.shape[1]
    at = (torch.arange(side) + 0.5) / side
    found = torch.full((len(examples), len(examples.part_names), 2), torch.nan)
    for p in range(len(examples.part_names)):
        mask = (examples.parts == p + 1).float()
        total = mask.sum((1, 2))
        middle = torch.stack([(mask * at).sum((1, 2)), (mask * at[:, None]).sum((1, 2))], 1) / total[:, None]
        found[:, p] = torch.where(total[:, None] > 0, middle, torch.nan)
    bird = examples.parts > 0
    rows, columns = bird.any(2).float(), bird.any(1).float()
    low_x, low_y = columns.argmax(1) / side, rows.argmax(1) / side
    wide, high = columns.sum(1) / side, rows.sum(1) / side
    return found, torch.stack([low_x, low_y, wide, high], 1)


def places(net: AttributeNet, examples: Examples) -> Arrays:
    """Where every group of attributes is read: the peak of the map of the value that the network reads."""
    vocabulary = net.spec.vocabulary
    peaks, energies = [], []
    shares = None
    from sightline.tasks.attributes.data.examples import group_shares

    for at in range(0, len(examples), 50):
        part = examples.take(slice(at, at + 50))
        with torch.inference_mode():
            read = net.read(normalised(net, part.images))
        chosen = torch.stack(
            [torch.tensor(g.members)[read.logits[:, list(g.members)].argmax(1)] for g in vocabulary.groups], 1
        )
        index = chosen[..., None, None].expand(-1, -1, *read.maps.shape[2:])
        own = read.maps.gather(1, index)
        peaks.append(_peaks(own))
        shares = group_shares(part.parts, vocabulary, part.part_names, (own.shape[2], own.shape[3]))
        positive = own.relu()
        touched = (shares > 0).float()
        energies.append((positive * touched).sum((2, 3)) / positive.sum((2, 3)).clamp(min=1e-9))
    return {
        "peaks": torch.cat(peaks).double().numpy(),
        "part_energy": torch.cat(energies).double().numpy(),
    }


def _read_right(net: AttributeNet, examples: Examples) -> NDArray[np.float64]:
    """Whether each group is read right where its part is seen, NaN elsewhere."""
    said = predict(net, examples).logits
    rows = []
    for group in net.spec.vocabulary.groups:
        at = list(group.members)
        right = (said[:, at].argmax(1) == examples.targets[:, at].argmax(1)).double()
        rows.append(torch.where(examples.weights[:, at[0]] > 0, right, torch.nan))
    return torch.stack(rows, 1).numpy()


def words(net: AttributeNet, cell: Cell, examples: Examples, work: Path) -> Arrays:
    """What the text names, picture by picture, with the two controls; and what redrawing says of it."""
    vocabulary = net.spec.vocabulary
    _, train = second_task(cell, training(cell, work))
    validation = _held_out(cell, VALIDATION, 300, work)
    net.calibration = fit_calibration(net, train, answers_of(net, validation), beta=0.5)
    known, said = net.calibration, predict(net, examples)
    target = said.classes.argmax(1)
    g = contributions(net, said, target, examples)
    present = known.calibrated(said.probabilities)
    evidence = [
        Evidence(vocabulary, present[i], known.threshold, g[i], known.prototypes, int(target[i]))
        for i in range(len(target))
    ]
    mentions = mention_table([_first(one) for one in evidence], len(vocabulary))
    found = {
        "mentions": mentions.numpy(),
        "contributions": g.double().numpy(),
        "target": target.numpy(),
        "prototypes": known.prototypes.double().numpy(),
        "frequency": ((train.targets * train.weights).sum(0) / train.weights.sum(0).clamp(min=1e-6)).numpy(),
        "threshold": known.threshold.numpy(),
    }
    if cell.study == "guided" and cell.world == "aviary":
        found |= redrawn(net, cell, mentions, g, target)
    return found


def _first(evidence: Evidence) -> list[int]:
    """The attributes that the first three reasons name."""
    return [at for statement in why(evidence, most=MENTIONS) for at in statement.members]


def contributions(net: AttributeNet, said, target: Tensor, examples: Examples) -> Tensor:
    """g_k(A): exact through the attribute path; along the head's direction where there is none."""
    if net.class_head.of_attributes is not None:
        weights = net.class_head.of_attributes.weight.detach()
        return linear_contributions(weights, said.probabilities, net.calibration.mean, target=target)
    gradient = net.class_head.of_features.weight.detach()[target]
    what = net.attribute_head.what.weight.detach()
    return sensitivity_contributions(gradient, what, said.logits, net.calibration.mean_logit)


def redrawn(net: AttributeNet, cell: Cell, mentions: Tensor, g: Tensor, target: Tensor) -> Arrays:
    """For the strongest reason of each picture: does the class score fall when that attribute is drawn otherwise?

    The attribute's group takes each other value in turn; the fall of s_A is averaged. Beside it the same for a
    random group of a visible part that the text does not name.
    """
    world = World(WORLDS[cell.world])
    draw = np.random.default_rng([cell.seed, 5])
    falls, others = [], []
    for i in range(min(REDRAWN, len(mentions))):
        named = [k for k in torch.nonzero(mentions[i])[:, 0].tolist() if net.spec.vocabulary.groups[_g(k)].part]
        if not named:
            continue
        scene = world.scene(TEST + i)
        lead = max(named, key=lambda k: float(g[i, k]))
        rest = [x for x in range(len(GROUPS)) if x not in {_g(k) for k in named} and GROUPS[x].part != "body"]
        falls.append(_fall(net, scene, _g(lead), int(target[i]), cell.size))
        others.append(_fall(net, scene, int(draw.choice(rest)), int(target[i]), cell.size))
    return {"fall": np.array(falls), "fall_other": np.array(others)}


def _g(attribute: int) -> int:
    return int(np.searchsorted(offsets(), attribute, side="right")) - 1


@torch.inference_mode()
def _fall(net: AttributeNet, scene, group: int, target: int, size: int) -> float:
    others = [v for v in range(len(GROUPS[group].values)) if v != scene.values[group]]
    drawn = batch_of([scene, *(with_values(scene, {group: v}) for v in others)], size)
    scores = net(normalised(net, drawn.images))[:, target]
    return float(scores[0] - scores[1:].mean())
