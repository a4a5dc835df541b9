"""Heads on frozen features are judged by what others of their kind say that have not seen the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("lightning")

from sightline.tasks.attributes.data import Attribute, Vocabulary
from sightline.tasks.attributes.data.pictures import gather
from sightline.tasks.attributes.network.activations import activations
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.network.regression import with_one
from sightline.tasks.attributes.network.skill import SEEN, TYPICAL, Answers, measure_skill
from sightline.tasks.attributes.network.store import load_attribute_net
from sightline.tasks.attributes.recipe import LEAST_FITTED, MOST_FITTED, EatRecipe
from sightline.tasks.attributes.train.anatomy import trunk_features
from sightline.tasks.attributes.train.crossfit import (
    FOLDS,
    class_control,
    folds_of,
    label_control,
    out_of_fold,
    unseen,
)
from sightline.tasks.attributes.train.experiment import train_eat
from sightline.tasks.attributes.train.labelled import LabelControl
from sightline.tasks.attributes.train.losses import attribute_loss
from sightline.tasks.attributes.train.start import Taught, _fitted, attribute_probe
from sightline.training.anatomy import at_scale
from sightline.training.labels.probe import label_probe
from sightline.training.operating import OperatingPoint
from sightline.training.probe import fitted

WORDS = Vocabulary(
    (
        Attribute("colour::red", "colour", "red"),
        Attribute("colour::blue", "colour", "blue"),
        Attribute("spotted", "spotted", "spotted"),
    ),
    exclusive=("colour",),
)
COUNT, CLASSES, STRENGTH = 60, 3, 0.1
NARROW = {"channels": (8, 8, 8, 8)}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def known() -> tuple[torch.Tensor, torch.Tensor, Taught]:
    """Features, classes, and attributes that features tell: the colour is mostly the class's, spots are not."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(COUNT, 6, generator=draw)
    labels = torch.arange(COUNT) % CLASSES
    x[:, :CLASSES] += 2 * torch.nn.functional.one_hot(labels, CLASSES)
    red = (labels == 0).float()
    spots = (x[:, 5] > 0).float()
    weights = (torch.rand(COUNT, 3, generator=draw) < 0.9).float()
    weights[:, 1] = weights[:, 0]
    return x, labels, Taught(torch.stack([red, 1 - red, spots], 1), weights, WORDS)


def answered(known: tuple[torch.Tensor, torch.Tensor, Taught], fold: torch.Tensor) -> Answers:
    x, labels, taught = known
    logits = out_of_fold(x, taught, STRENGTH, fold)
    return unseen(logits, taught, class_control(x, labels, taught, CLASSES, STRENGTH), fold)


def test_each_picture_is_answered_for_by_heads_and_a_control_that_have_not_seen_it(
    known: tuple[torch.Tensor, torch.Tensor, Taught],
) -> None:
    """Naive oracle: one picture at a time, from everything outside its fold."""
    x, labels, taught = known
    fold = folds_of(COUNT)
    said = answered(known, fold)
    assert said.implied is not None
    mean, scale = x.double().mean(0), x.double().std(0)
    for row in range(0, COUNT, 7):
        rest = [other for other in range(COUNT) if int(fold[other]) != int(fold[row])]
        at = torch.tensor(rest)
        head, _ = attribute_probe(x[at], taught.take(at), STRENGTH)
        read = activations(x[row : row + 1] @ head.weight.T + head.bias, WORDS)[0]
        assert torch.allclose(said.probabilities[row], read, atol=1e-4)
        weight, bias = fitted((x.double()[at] - mean) / scale, labels[at], CLASSES, STRENGTH)
        named = int((((x.double()[row] - mean) / scale) @ weight.T + bias).argmax())
        assert int(said.predicted[row]) == named
        kin = [other for other in rest if int(labels[other]) == named]
        for k in range(3):
            total = sum(float(taught.weights[other, k]) for other in kin)
            share = sum(float(taught.weights[other, k] * taught.targets[other, k]) for other in kin) / total
            assert float(said.implied[row, k]) == pytest.approx(share, abs=1e-5)


def test_what_is_true_of_a_picture_does_not_reach_its_own_answer(
    known: tuple[torch.Tensor, torch.Tensor, Taught],
) -> None:
    x, labels, taught = known
    fold = folds_of(COUNT)
    before = answered(known, fold)
    own = fold == fold[0]
    lies = torch.where(own[:, None], 1 - taught.targets, taught.targets)
    after = answered((x, labels, replace(taught, targets=lies)), fold)
    assert before.implied is not None
    assert after.implied is not None
    assert torch.equal(before.probabilities[own], after.probabilities[own])
    assert torch.equal(before.implied[own], after.implied[own])
    assert not torch.allclose(before.probabilities[~own], after.probabilities[~own])
    assert torch.equal(after.targets, lies)


def test_pictures_of_one_family_are_in_one_fold_and_folds_share_all_pictures() -> None:
    families = [f"patient {row % 11}" for row in range(40)]
    fold = folds_of(40, families)
    assert all(len({int(fold[row]) for row in range(40) if families[row] == one}) == 1 for one in set(families))
    assert set(fold.tolist()) == set(range(FOLDS))
    alone = folds_of(41)
    assert sorted(torch.bincount(alone).tolist()) == [8, 8, 8, 8, 9]
    assert alone.tolist() == folds_of(41).tolist()


def test_pictures_without_a_class_teach_attributes_and_no_control(
    known: tuple[torch.Tensor, torch.Tensor, Taught],
) -> None:
    x, labels, taught = known
    fold = folds_of(COUNT)
    nameless = torch.where(torch.arange(COUNT) < 20, -100, labels)
    said = answered((x, nameless, taught), fold)
    assert said.implied is not None
    row = 3
    at = torch.nonzero((fold != fold[row]) & (nameless >= 0))[:, 0]
    kin = at[nameless[at] == said.predicted[row]]
    share = (taught.weights * taught.targets)[kin].sum(0) / taught.weights[kin].sum(0)
    assert torch.allclose(said.implied[row], share, atol=1e-5)
    head, _ = attribute_probe(x[fold != fold[row]], taught.take(torch.nonzero(fold != fold[row])[:, 0]), STRENGTH)
    read = activations(x[row : row + 1] @ head.weight.T + head.bias, WORDS)[0]
    assert torch.allclose(said.probabilities[row], read, atol=1e-4)


def test_labels_imply_by_a_probe_and_a_control_that_have_not_seen_the_picture(
    known: tuple[torch.Tensor, torch.Tensor, Taught],
) -> None:
    x, classes, taught = known
    labels = torch.stack([(classes == 0).float(), (x[:, 4] > 0).float()], 1)
    points = [OperatingPoint(name, at, "", 9, 9, None, None) for name, at in (("a", 0.3), ("b", 0.6))]
    fold = folds_of(COUNT)
    logits = torch.zeros_like(taught.targets)
    said = unseen(logits, taught, label_control(x, labels, taught, points), fold)
    assert said.implied is not None
    own, rest = torch.nonzero(fold == 2)[:, 0], torch.nonzero(fold != 2)[:, 0]
    likely = label_probe(x[rest], labels[rest]).logits(x[own]).sigmoid()
    flags = torch.stack([likely[:, 0] >= 0.3, likely[:, 1] >= 0.6], 1).float()
    implied = LabelControl(labels[rest], taught.targets[rest], taught.weights[rest]).of(flags)
    assert torch.allclose(said.implied[own], implied, atol=1e-5)


def test_an_attribute_of_its_own_is_seen_where_few_pictures_validate(
    known: tuple[torch.Tensor, torch.Tensor, Taught],
) -> None:
    """Spots are told by features and not by the class; of colour features say no more than the class."""
    x, labels, taught = known
    said = answered(known, folds_of(COUNT))
    own = Answers(*(getattr(said, name)[:6] for name in ("probabilities", "predicted", "targets", "weights")))
    calibration = _plain(class_means=torch.full((CLASSES, 3), 0.5))
    assert SEEN not in measure_skill(own, calibration).standing.tolist()
    assert measure_skill(said, calibration).standing.tolist()[2] == SEEN
    shuffled = replace(
        taught, targets=taught.targets[torch.randperm(COUNT, generator=torch.Generator().manual_seed(1))]
    )
    silent = measure_skill(answered((x, labels, shuffled), folds_of(COUNT)), calibration).standing.tolist()
    assert SEEN not in silent
    assert TYPICAL not in silent


@pytest.mark.parametrize(
    ("options", "pictures", "held"),
    [
        ({"frozen": True}, MOST_FITTED, True),
        ({"frozen": True, "join": "parallel"}, 10, True),
        ({"frozen": True}, MOST_FITTED + 1, False),
        ({"frozen": True}, LEAST_FITTED - 1, False),
        ({}, 10, False),
        ({"frozen": True, "join": "bottleneck"}, 10, False),
        ({"frozen": True, "pool": "places"}, 10, False),
        ({"frozen": True, "pool": "max"}, 10, False),
        ({"frozen": True, "outside_weight": 0.1}, 10, False),
        ({"frozen": True, "part_weight": 0.1}, 10, False),
        ({"frozen": True, "ordinal": "thresholds"}, 10, False),
        ({"frozen": True, "attribute_weight": 0.0}, 10, False),
    ],
)
def test_attribute_heads_are_held_where_they_can_be_fitted_in_a_moment(
    options: dict[str, object], pictures: int, held: bool
) -> None:
    assert EatRecipe().but(**options).holds_attributes(pictures, pictures) == held


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    net = timm.create_model("resnet18", **NARROW)
    file = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, file)
    return file


def recipe(weights: Path, **options: object) -> EatRecipe:
    own = {"scenes": 40, "epochs": 2, "weights": str(weights), "model_args": NARROW, "device": "cpu", "frozen": True}
    return EatRecipe().toy().but(**own, **options)


def test_pictures_of_few_families_are_not_judged_by_one_another() -> None:
    assert not EatRecipe().but(frozen=True).holds_attributes(500, LEAST_FITTED - 1)
    assert EatRecipe().but(frozen=True).holds_attributes(500, LEAST_FITTED)


def test_a_frozen_training_ships_the_regression_and_judges_it_on_training_pictures_too(
    weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "net.safetensors"
    assert train_eat(None, out, recipe(weights)) is not None
    pictures = gather(None, recipe(weights).settled(drawn=True), out.with_suffix(".work"))
    train, validation = pictures.train, pictures.validation
    for path in (out, out.with_suffix(".last.safetensors")):
        kept = load_attribute_net(path)
        features = trunk_features(kept, train, torch.arange(len(train)), pooled=True)
        head, _ = attribute_probe(features, Taught(train.targets, train.weights, pictures.vocabulary))
        assert torch.allclose(kept.attribute_head.what.weight, head.weight, atol=1e-4)
        known = (train.weights > 0).sum(0) + (validation.weights > 0).sum(0)
        assert torch.equal(kept.skill.pictures, known.float())
        assert not kept.calibration.prior.any()  # type: ignore[union-attr]  # these heads learnt every answer alike
    text = out.with_suffix(".md").read_text()
    count = len(train) + len(validation)
    assert f"{count} training and validation pictures, each read by heads that were fitted without it" in text


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_the_class_learns_from_what_other_heads_read(
    mixup: float, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other heads are the same for all folds here, so that what they read of a mixture is known."""
    seen: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    other: list[torch.Tensor] = []
    plain = AttributeNet.read_features

    def crossed(features: torch.Tensor, taught: Taught, *rest: object) -> torch.Tensor:
        draw = torch.Generator().manual_seed(0)
        other.append(torch.randn(features.shape[1], taught.targets.shape[1], generator=draw))
        return features @ other[0]

    def watched(net: AttributeNet, features: torch.Tensor, finer: tuple[()] = (), said: torch.Tensor | None = None):  # type: ignore[no-untyped-def]
        reading = plain(net, features, finer, said)
        if said is not None:
            seen.append((features.flatten(1), said, net.class_head(features.flatten(1), reading.probabilities)))
            assert torch.equal(reading.probabilities, activations(said, net.spec.vocabulary))
            assert torch.equal(reading.classes, seen[-1][2])
        return reading

    monkeypatch.setattr("sightline.tasks.attributes.train.experiment.out_of_fold", crossed)
    monkeypatch.setattr(AttributeNet, "read_features", watched)
    assert train_eat(None, tmp_path / "net.safetensors", recipe(weights, mixup=mixup)) is not None
    assert sum(len(features) for features, *_ in seen) >= 2 * 40
    for features, said, _ in seen:
        assert torch.allclose(said, features @ other[0], atol=1e-4)


@pytest.mark.parametrize(("pool", "readers"), [("average", 1), ("places", 2)])
def test_heads_on_large_features_learn_as_on_small_ones(
    pool: str, readers: int, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features a thousand times as large: rate and first weights are divided, decay is multiplied."""
    state = load_file(weights)
    for name in ("weight", "bias"):
        for end in (f"layer4.1.bn2.{name}", f"layer4.0.bn2.{name}", f"layer4.0.downsample.1.{name}"):
            state[end] = 1000 * state[end]
    large = tmp_path / "large.safetensors"
    save_file(state, large)
    given: list[tuple[int, EatRecipe]] = []

    def watched(own: EatRecipe, heads: list[torch.nn.Linear], features: torch.Tensor) -> EatRecipe:
        before = [head.weight.clone() for head in heads]
        given.append((len(heads), at_scale(own, heads, features)))
        factor = given[0][1].tuning.head_lr_factor
        assert features.ndim == 2
        assert all(torch.allclose(head.weight, factor * was) for head, was in zip(heads, before, strict=True))
        return given[0][1]

    monkeypatch.setattr("sightline.tasks.attributes.train.fit.at_scale", watched)
    assert train_eat(None, tmp_path / "net.safetensors", recipe(large, pool=pool)) is not None
    ((count, own),) = given
    factor = own.tuning.head_lr_factor
    assert count == readers
    assert factor is not None
    assert factor < 0.5
    assert own.optim.weight_decay == pytest.approx(recipe(large).optim.weight_decay / factor)


def test_weights_of_attributes_are_found_whatever_the_scale_of_a_feature() -> None:
    """Naive oracle: at the minimum of attribute loss and penalty no weight has a slope."""
    draw = torch.Generator().manual_seed(2)
    x = torch.randn(80, 5, generator=draw, dtype=torch.float64) * torch.tensor([100.0, 10.0, 1.0, 0.1, 0.01])
    first = (x[:, 0] + 20 * torch.randn(80, generator=draw) > 0).float()
    spots = (x[:, 4] + 0.005 * torch.randn(80, generator=draw) > 0).float()
    weights = (torch.rand(80, 3, generator=draw) < 0.9).float()
    taught = Taught(torch.stack([first, 1 - first, spots], 1), weights, WORDS)
    for strength in (1.0, 1e-4):
        fit = _fitted(x, taught, strength).requires_grad_()
        loss = attribute_loss(with_one(x) @ fit, taught.targets, taught.weights, WORDS)
        (loss + strength / 2 * fit[:-1].square().sum() / 3).backward()
        assert fit.grad is not None
        size = torch.cat([x.square().mean(0).sqrt(), torch.ones(1)])
        assert (fit.grad.abs().amax(1) < 1e-4 * size).all()


def _plain(class_means: torch.Tensor):  # type: ignore[no-untyped-def]
    from sightline.tasks.attributes.network.calibration import Calibration

    return replace(Calibration.nothing(CLASSES, 3), prototypes=class_means)
