"""The linear probe equals a library's logistic regression, and a training below it is called that everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("lightning")

from sightline.reports.run_page import Run, run_page
from sightline.training.photos import NOWHERE, photo_views
from sightline.training.probe import (
    STRENGTHS,
    Features,
    LinearHead,
    Probe,
    chosen_strength,
    fitted,
    head_without_bias,
    knows_classes,
    linear_probe,
    scores_of,
    some,
)
from sightline.training.recipe import AugmentConfig
from sightline.training.standing import Standing, control, probed


def clouds(count: int, seed: int = 0, spread: float = 1.5) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    centres = torch.randn(3, 12, generator=torch.Generator().manual_seed(9))
    return centres[labels] + spread * torch.randn(count, 12, generator=draw), labels


@pytest.mark.parametrize("strength", [1.0, 0.01])
def test_a_fit_equals_logistic_regression_of_scikit_learn(strength: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, labels = clouds(60)
    weight, bias = fitted(x.double(), labels, 3, strength)
    theirs = linear_model.LogisticRegression(C=1 / (strength * 60), tol=1e-10, max_iter=10_000).fit(
        x.double().numpy(), labels
    )
    assert np.allclose(weight.numpy(), theirs.coef_, atol=1e-3)
    ours = x.double() @ weight.T + bias
    assert np.allclose(ours.softmax(1).numpy(), theirs.predict_proba(x.numpy()), atol=1e-3)


def test_the_strength_is_the_best_on_folds_that_were_left_out() -> None:
    x, labels = clouds(60, spread=3)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    losses = {}
    for strength in STRENGTHS:
        total = 0.0
        for part in order.tensor_split(5):
            kept = torch.tensor([row for row in range(60) if row not in part.tolist()])
            weight, bias = fitted(x[kept].double(), labels[kept], 3, strength)
            logits = x[part].double() @ weight.T + bias
            total -= float(logits.log_softmax(1)[torch.arange(len(part)), labels[part]].sum())
        losses[strength] = total
    assert chosen_strength(x.double(), labels, 3) == min(losses, key=losses.__getitem__)


def test_a_probe_tells_classes_that_features_tell() -> None:
    train, test = clouds(60), clouds(40, seed=1, spread=0.5)
    probe = linear_probe(Features(*train, *test))
    assert (len(probe.right), probe.pictures) == (40, 60)
    assert sum(probe.right) > 36
    shuffled = linear_probe(Features(train[0], train[1].roll(1), *test))
    assert sum(shuffled.right) < 20
    assert probe.right == linear_probe(Features(train[0] * 7 + 3, train[1], test[0] * 7 + 3, test[1])).right


def test_a_head_has_the_scores_of_the_fit_to_standardised_features() -> None:
    x, labels = clouds(60)
    x = (x * 7 + 3).double()
    mean, scale = x.mean(0), x.std(0)
    weight, bias = fitted((x - mean) / scale, labels, 3, 0.1)
    layer = torch.nn.Linear(12, 3)
    assert LinearHead.of(weight, bias, mean, scale).fill(layer)
    assert torch.allclose(layer(x.float()).double(), ((x - mean) / scale) @ weight.T + bias, atol=1e-3)
    with torch.no_grad():
        assert float(layer(x.float()).std()) > 0.5


@pytest.mark.parametrize(
    "layer",
    [
        None,
        torch.nn.Conv2d(12, 3, 3),
        torch.nn.Linear(12, 4),
        torch.nn.Linear(11, 3),
        torch.nn.Linear(12, 3, bias=False),
    ],
    ids=["none", "convolution of several places", "other classes", "other features", "no bias"],
)
def test_a_layer_that_cannot_be_the_probe_stays_as_it_is(layer: torch.nn.Module | None) -> None:
    head = linear_probe(Features(*clouds(30), *clouds(9, seed=2))).head
    assert head is not None
    before = {} if layer is None else {name: value.clone() for name, value in layer.state_dict().items()}
    assert not head.fill(layer)
    assert layer is None or all(torch.equal(before[name], value) for name, value in layer.state_dict().items())


def test_a_layer_without_a_bias_can_be_a_probe_without_one() -> None:
    x, labels = clouds(90)
    own = Features(x * 3, labels, *clouds(30, seed=2))
    head, layer = head_without_bias(own), torch.nn.Linear(12, 3, bias=False)
    assert head.fill(layer)
    assert not bool(head.bias.any())
    scale = own.train.square().mean(0).sqrt()
    strength = chosen_strength((own.train / scale).double(), labels, 3, offset=False)
    weight = layer.weight.detach().double().requires_grad_()
    loss = torch.nn.functional.cross_entropy(own.train.double() @ weight.T, labels)
    loss = loss + strength / 2 * (weight * scale).square().sum()
    assert float(torch.autograd.grad(loss, weight)[0].abs().max()) < 1e-4  # it is the minimum
    assert float((layer(own.train).argmax(1) == labels).float().mean()) > 0.8
    assert not head.fill(torch.nn.Conv2d(12, 3, 1, bias=False))


def test_a_convolution_of_one_place_can_be_the_probe() -> None:
    own, layer = Features(*clouds(30), *clouds(9, seed=2)), torch.nn.Conv2d(12, 3, 1)
    head = linear_probe(own).head
    assert head is not None
    assert head.fill(layer)
    assert torch.allclose(scores_of(layer, own.test), own.test @ head.weight.T + head.bias, atol=1e-5)


def test_a_head_knows_the_classes_that_it_has_learnt_and_no_others() -> None:
    own = Features(*clouds(60), *clouds(9, seed=2))
    learnt, new = torch.nn.Linear(12, 3), torch.nn.Linear(12, 3)
    head = linear_probe(own).head
    assert head is not None
    head.fill(learnt)
    assert knows_classes(learnt, own)
    assert not knows_classes(new, own)
    assert not knows_classes(learnt, Features(own.train, own.train_labels.roll(1), own.test, own.test_labels))
    assert not knows_classes(torch.nn.Linear(12, 2), own)


def test_a_probe_learns_from_so_many_pictures_and_no_more() -> None:
    rows = some(torch.arange(10, 9010))
    assert len(rows) == len(rows.unique()) == 4000
    assert torch.equal(rows, rows.sort().values)
    assert torch.equal(some(rows[:7]), rows[:7])


def test_a_probe_is_made_once(tmp_path: Path) -> None:
    calls = []

    def features() -> Features:
        calls.append(1)
        return Features(*clouds(30), *clouds(9, seed=2))

    first = probed(tmp_path / "probe.json", features)
    assert first == probed(tmp_path / "probe.json", features)
    assert len(calls) == 1
    assert probed(tmp_path / "none.json", lambda: None) is None


def probe(hits: int, total: int = 100) -> Probe:
    return Probe(tuple(at < hits for at in range(total)), 0.1, 50, 0.5)


def test_a_training_below_its_probe_is_called_that_with_the_interval() -> None:
    worse = Standing(probe(60).right, probe(90))
    assert worse.below
    assert worse.difference.high < 0
    assert worse.alarm.startswith("Below the linear probe: 0.6000 against 0.9000 (difference -0.3000 [")
    assert "chance" not in worse.alarm
    close = Standing(probe(89).right, probe(90))
    assert "which may be chance" in close.alarm
    better = Standing(probe(91).right, probe(90))
    assert better.alarm == ""
    assert "0.9000 (95 % interval 0.8256 to 0.9448)" in better.fact
    assert control(None, [True]) == ("", "", None)
    assert control(probe(90), probe(60).right).figures[0][:2] == ("linear probe", "90.0%")


def test_the_run_page_says_it_in_red() -> None:
    page = run_page([], Run(title="t", verdict="v", facts={}, recipe={}, best=1, alarm="Below <the> probe"))
    assert '<p class="alarm" role="alert">Below &lt;the&gt; probe</p>' in page
    assert 'role="alert"' not in run_page([], Run(title="t", verdict="v", facts={}, recipe={}, best=1))


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """A white square at the left on black, and its part."""
    images = torch.zeros(6, 3, 32, 32, dtype=torch.uint8)
    images[:, :, 8:16, 4:12] = 255
    parts = torch.zeros(6, 16, 16, dtype=torch.uint8)
    parts[:, 4:8, 2:6] = 7
    return images, parts


def test_marks_move_with_the_picture() -> None:
    images, parts = scene()
    config = AugmentConfig(crop_scale=0.4, colour=0.0)
    views, moved = photo_views(images, config, torch.Generator().manual_seed(3), parts)
    assert views.shape == images.shape
    assert moved is not None
    assert moved.shape == parts.shape
    bright = torch.nn.functional.avg_pool2d(views[:, :1].float() / 255, 2)[:, 0]
    inside, outside = bright[moved == 7], bright[moved == 0]
    assert inside.mean() > 0.85
    assert outside.mean() < 0.1
    again, _ = photo_views(images, config, torch.Generator().manual_seed(3), parts)
    assert torch.equal(views, again)
    assert len({view.numpy().tobytes() for view in views}) > 3


def test_a_crop_of_the_box_shows_the_object_larger() -> None:
    images, parts = scene()
    whole = AugmentConfig(crop_scale=1.0, colour=0.0)
    boxed = AugmentConfig(crop_scale=1.0, colour=0.0, box_crops=1.0, box_margin=0.5)
    shares = [
        (photo_views(images, config, torch.Generator().manual_seed(1), parts)[0] > 127).float().mean()
        for config in (whole, boxed)
    ]
    assert shares[0] == pytest.approx(1 / 16, abs=0.02)
    assert shares[1] == pytest.approx(1 / 4, abs=0.06)
    nowhere = torch.full_like(parts, NOWHERE)
    same = photo_views(images, boxed, torch.Generator().manual_seed(1), nowhere)[0]
    assert (same > 127).float().mean() == pytest.approx(1 / 16, abs=0.02)


def test_colour_varies_brightness_and_nothing_draws_from_the_global_state() -> None:
    images = torch.full((4, 3, 8, 8), 100, dtype=torch.uint8)
    before = torch.random.get_rng_state()
    views, _ = photo_views(images, AugmentConfig(colour=0.3), torch.Generator().manual_seed(1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert len({int(view.float().mean()) for view in views}) > 1
    plain, _ = photo_views(images, AugmentConfig(colour=0.0), torch.Generator().manual_seed(1))
    assert bool((plain == 100).all())
