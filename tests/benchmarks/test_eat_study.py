"""The study of EAT with real weights: heads are the product's, intervals are right, finished cells stay."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from _eat_arms import World, lessons, second_task
from _eat_claims import Cells, crossed
from _eat_features import Frozen, toy
from _eat_heads import Guide, Lessons, Questions, read_places, train, train_boxes
from _eat_tuned import _start
from eat_study import rows_of, run
from sightline.tasks.attributes.data import Attribute, Vocabulary
from sightline.tasks.attributes.network.activations import activations
from sightline.tasks.attributes.network.heads import AttributeHead, ClassHead
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec
from sightline.tasks.attributes.train.guidance import class_maps, outside_energy
from sightline.tasks.attributes.train.losses import attribute_loss
from sightline.training.probe import Features, fitted, linear_probe

WORDS = Vocabulary(
    (
        Attribute("size::small", "size", "small"),
        Attribute("bill::red", "bill", "red", "bill"),
        Attribute("size::large", "size", "large"),
        Attribute("wing::red", "wing", "red", "wing"),
    ),
    ("size",),
)


@pytest.fixture(scope="module")
def noise() -> World:
    own, words, class_words = toy()
    return World("toy", "toy", own, words, class_words)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_attribute_loss_is_the_products():
    z, targets = drawn(2, 7, 4), torch.rand(2, 7, 4, generator=torch.Generator().manual_seed(1))
    weights = (drawn(2, 7, 4, seed=2) > 0).float()
    ours = Questions.of(WORDS).loss(z, targets, weights)
    theirs = torch.stack([attribute_loss(*one, WORDS) for one in zip(z, targets, weights, strict=True)])
    torch.testing.assert_close(ours, theirs)


def test_the_scores_are_those_of_the_products_heads():
    head, classes = AttributeHead(5, WORDS), ClassHead(5, 4, 3, join="fusion")
    asked, x = Questions.of(WORDS), drawn(1, 6, 5)
    batch = Lessons(x, torch.arange(6)[None] % 3, torch.rand(1, 6, 4), torch.ones(1, 6, 4), *torch.ones(2, 1))
    ours = train(batch, asked, 3, ridge=0.1, own_ridge=1.0)
    with torch.no_grad():
        head.what.weight.copy_(ours.w[0].T)
        head.what.bias.copy_(ours.b[0])
        classes.of_attributes.weight.copy_((ours.v[0] / ours.scale[0][:, None]).T)
        classes.of_features.weight.copy_(ours.u[0].T)
        classes.of_features.bias.copy_(ours.c[0] - (ours.shift[0] / ours.scale[0]) @ ours.v[0])
        a = activations(head(x[0][..., None, None]).logits, WORDS)
        torch.testing.assert_close(classes(x[0], a), ours.classes(x, asked)[0], rtol=1e-4, atol=1e-4)


def test_a_training_among_others_ends_where_it_would_alone(noise):
    asked, whole = Questions.of(noise.words), lessons(noise, "eat", 5, range(3))
    alone = Lessons(*(getattr(whole, name)[1:2] for name in vars(whole)))
    both = (
        train(whole, asked, 3, ridge=0.1, own_ridge=1.0).member(1),
        train(alone, asked, 3, ridge=0.1, own_ridge=1.0),
    )
    torch.testing.assert_close(both[0].u, both[1].u, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(both[0].w, both[1].w, rtol=1e-3, atol=1e-3)


def test_without_a_way_to_the_class_it_is_the_linear_probe(noise):
    batch = lessons(noise, "probe", 10, range(1))
    heads = train(batch, Questions.of(noise.words), 3, ridge=0.1, own_ridge=1.0)
    weight, bias = fitted(batch.x[0].double(), batch.labels[0], 3, 0.1)
    ours = heads.classes(batch.x, Questions.of(noise.words))[0].softmax(1)
    theirs = (batch.x[0].double() @ weight.T + bias).softmax(1).float()
    torch.testing.assert_close(ours, theirs, atol=0.01, rtol=0)


def test_shuffled_attributes_stay_in_the_class_and_permuted_ones_leave_it(noise):
    own = noise.own
    marked = Frozen(**{**vars(own), "targets": own.labels[:, None].float().expand(-1, 4).contiguous()})
    world = World("toy", "toy", marked, noise.words, noise.class_words)
    rows = torch.arange(30)
    shuffled, _ = second_task(world, "shuffled", rows, 0)
    permuted, _ = second_task(world, "permuted", rows, 0)
    assert torch.equal(shuffled[:, 0], own.labels[rows].float())
    assert (permuted[:, 0] != own.labels[rows]).all()


def test_boxes_lower_the_energy_outside_that_the_guide_of_the_product_measures(noise):
    own, batch = noise.own, lessons(noise, "eat", 10, range(1))
    rows = torch.arange(60)
    grid = own.grid[rows].float()
    whole = Lessons(own.x[rows][None], own.labels[rows][None], batch.targets, batch.weights, *torch.ones(2, 1))
    outside = []
    for weight in (0.0, 0.5):
        guide = Guide(grid, own.inside[rows], own.parts[rows], own.parts[rows][..., 0] >= 0, torch.zeros(4), weight)
        heads = train_boxes(whole, guide, 3, ridge=0.01)
        features = grid.mT.unflatten(2, (4, 4)).requires_grad_()
        scores = features.mean((2, 3)) @ heads.u[0] + heads.c[0]
        maps = class_maps(scores.gather(1, own.labels[rows][:, None])[:, 0], features)
        outside.append(float(outside_energy(maps, own.inside[rows].unflatten(1, (4, 4))).detach()))
    assert outside[1] < outside[0] - 0.05


def test_places_read_as_the_products_head_does():
    head = AttributeHead(5, WORDS, pool="places")
    torch.nn.init.normal_(head.where.weight)
    grid = drawn(3, 9, 5)
    attention = (grid @ head.where.weight[:, :, 0, 0].T).softmax(1)
    ours = read_places(grid, attention, head.what.weight.T, head.what.bias, torch.tensor(WORDS.group_of))
    torch.testing.assert_close(ours, head(grid.mT.unflatten(2, (3, 3))).logits)


def test_a_head_that_starts_from_the_probe_decides_as_the_probe_does():
    spec = AttributeSpec(
        "timm:resnet18", ("a", "b", "c"), WORDS, stride=0, size=32, model_args={"channels": (8,) * 4}
    )
    net = AttributeNet(spec).eval()
    labels = torch.arange(30) % 3
    x = torch.nn.functional.pad(torch.nn.functional.one_hot(labels).float(), (0, 5)) + 0.8 * drawn(30, 8)
    features = Features(x[:20], labels[:20], x[20:], labels[20:])
    _start(net, features, "zero")
    right = net.read_features(x[20:, :, None, None]).classes.argmax(1) == labels[20:]
    assert tuple(right.tolist()) == linear_probe(features).right


def test_an_interval_holds_the_luck_of_seeds_and_of_pictures():
    draw = np.random.default_rng(0)
    seeds, pictures = draw.normal(0, 0.1, (10, 1)), draw.normal(0, 0.2, (1, 50))
    mean, low, high = crossed([0.3 + seeds + pictures])
    spread = np.sqrt(0.1**2 / 10 + 0.2**2 / 50)
    assert mean == pytest.approx(0.3, abs=0.1)
    assert (high - low) / (2 * 1.96 * spread) == pytest.approx(1, abs=0.25)


def test_of_two_rows_of_one_cell_the_later_counts_and_unknown_pictures_do_not():
    one = {"data": "d", "base": "b", "arm": "eat", "each": 5, "seed": 0}
    rows = [one | {"named": [0.0, 0.0]}, one | {"named": [1.0, -1], "other": [0.5, 0.5]}]
    cells = Cells(rows)
    key = ("d", "b", "eat", 5)
    assert crossed([cells.difference(key, key, "named", against="other")])[0] == pytest.approx(0.5)


def test_finished_cells_are_not_trained_again(noise, tmp_path):
    path, lines = tmp_path / "rows.jsonl", []
    for _ in range(2):
        run(noise, ("own",), 1, path, sizes=(5,), say=lines.append)
        with path.open("a") as file:
            file.write('{"cut short')  # as an interruption leaves it
            file.write("\n")
    assert len(lines) == 1
    assert len(rows_of(path)) == 6
