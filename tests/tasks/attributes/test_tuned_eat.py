"""`train eat` on weights that have learnt already: norms rest, frozen features, the probe beside the figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from sightline.errors import ModelError, TrainingError

pytest.importorskip("lightning")

from sightline.models.trunk import Trunk
from sightline.tasks.attributes.data import Attribute, Vocabulary, aviary_vocabulary
from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.data.pictures import gather
from sightline.tasks.attributes.metrics.evaluate import judge
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec, attribute_net
from sightline.tasks.attributes.network.store import load_attribute_net
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train.anatomy import anatomy_of, trunk_features
from sightline.tasks.attributes.train.calibrate import answers_of, fit_calibration, predict
from sightline.tasks.attributes.train.experiment import BOTTLENECK, EatExperiment, train_eat
from sightline.tasks.attributes.train.labels import LabelEatExperiment
from sightline.tasks.attributes.train.losses import attribute_loss
from sightline.tasks.attributes.train.start import Taught, attribute_probe, start_attribute_head, start_class_head
from sightline.training.norms import folded, norms, remark, rest
from sightline.training.probe import Features, linear_probe
from sightline.training.reporter import Reporter

NARROW = {"channels": (8, 8, 8, 8)}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    net = timm.create_model("resnet18", **NARROW)
    for norm in norms(net).values():
        norm.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr,operator]
    file = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, file)
    return file


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all trainings of this file keep their scenes: they are the same, and drawing them takes a third."""
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture
def out(scenes: Path, tmp_path: Path) -> Path:
    """Where to write the weights."""
    return place(tmp_path / "net.safetensors", scenes)


def place(out: Path, scenes: Path) -> Path:
    """A place for weights, beside a folder of the work with these scenes."""
    out.with_suffix(".work").mkdir()
    (out.with_suffix(".work") / "scenes").symlink_to(scenes)
    return out


def recipe(weights: Path, **options: object) -> EatRecipe:
    return (
        EatRecipe().toy().but(scenes=40, epochs=3, weights=str(weights), model_args=NARROW, device="cpu", **options)
    )


def trunk_of(path: Path) -> dict[str, torch.Tensor]:
    return {name: value for name, value in load_file(path).items() if name.startswith("trunk.")}


def test_a_frozen_training_leaves_the_trunk_bit_for_bit_and_says_what_the_whole_network_says(
    weights: Path, out: Path
) -> None:
    outcome = train_eat(None, out, recipe(weights, frozen=True))
    assert outcome is not None
    before = timm.create_model("resnet18", **NARROW)
    before.load_state_dict(load_file(weights))
    own = trunk_of(out)
    assert own
    for name, value in before.state_dict().items():
        if f"trunk.body.{name}" in own:
            assert torch.equal(own[f"trunk.body.{name}"], value), name
    pictures = gather(None, recipe(weights).settled(drawn=True), out.with_suffix(".work"))
    net = load_attribute_net(out)
    rows = torch.arange(len(pictures.validation))
    kept = replace(pictures.validation, features=_Table(trunk_features(net, pictures.validation, rows, pooled=True)))
    whole, short = predict(net, pictures.validation), predict(net, kept)
    assert torch.allclose(whole.classes, short.classes, atol=1e-5)
    assert torch.allclose(whole.logits, short.logits, atol=1e-5)
    card = out.with_suffix(".md").read_text()
    assert "| linear probe |" in card
    assert "heads only, on features computed once" in card
    assert outcome.control.accuracy is not None


def test_a_bottleneck_below_its_probe_is_said_to_see_attributes_only(weights: Path, out: Path) -> None:
    short = recipe(weights, join="bottleneck", frozen=True)
    outcome = train_eat(None, out, short)
    assert outcome is not None
    assert outcome.control.alarm.startswith("Below the linear probe")
    assert BOTTLENECK in outcome.notes
    assert BOTTLENECK in out.with_suffix(".md").read_text()


def test_a_bottleneck_keeps_the_epoch_of_the_lowest_class_loss(weights: Path, out: Path) -> None:
    rows: list[dict[str, float]] = []
    own = recipe(weights, join="bottleneck", frozen=True, attribute_weight=50.0, lr=0.05)
    outcome = train_eat(None, out, own, reporter=Reporter(epoch=lambda number, row: rows.append(row)))
    assert outcome is not None
    by_class, by_sum = (min(range(3), key=lambda at: rows[at][name]) + 1 for name in ("val/class", "val/loss"))
    assert outcome.best == by_class != by_sum
    assert "by validation class loss" in out.with_suffix(".md").read_text()


@pytest.mark.parametrize("kind", [EatExperiment, LabelEatExperiment])
@pytest.mark.parametrize(("join", "below"), [("bottleneck", True), ("bottleneck", False), ("fusion", True)])
def test_only_a_bottleneck_below_its_probe_gets_the_note(
    kind: type[EatExperiment], join: str, below: bool, weights: Path
) -> None:
    own = kind.__new__(kind)
    own.recipe, own.remarks = recipe(weights, join=join), ("folded",)
    wanted = ("data", "folded", BOTTLENECK) if (join, below) == ("bottleneck", True) else ("data", "folded")
    assert own.noticed(SimpleNamespace(notes=("data",)), below=below) == wanted


class _Table:
    def __init__(self, features: torch.Tensor) -> None:
        self.features = features

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        return self.features[rows]


@pytest.mark.parametrize(
    "options",
    [
        {"frozen": True},
        {"frozen": True, "part_weight": 0.3, "outside_weight": 0.3},
        {"ema": 0.9, "warm_up": 1, "outside_weight": 0.3},
    ],
    ids=["frozen", "frozen with guides", "heads first with a guide"],
)
def test_a_training_on_given_weights_goes_on_to_the_same_weights(
    options: dict[str, object], weights: Path, scenes: Path, tmp_path: Path
) -> None:
    own = recipe(weights, **options)
    one, other = (place(tmp_path / f"{name}.safetensors", scenes) for name in "ab")
    train_eat(None, one, own)

    def stop(number: int, row: dict[str, float]) -> None:
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_eat(None, other, own, reporter=Reporter(epoch=stop))
    train_eat(None, other, own)
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("join", ["fusion", "parallel", "bottleneck"])
def test_the_class_head_starts_from_the_probe_where_it_reads_features(join: str, weights: Path) -> None:
    spec = AttributeSpec(
        "timm:resnet18",
        ("a", "b", "c"),
        aviary_vocabulary(),
        join=join,
        size=32,
        model_args=NARROW,  # type: ignore[arg-type]
    )
    net = attribute_net(spec, str(weights)).eval()
    draw = torch.Generator().manual_seed(0)
    x, labels = torch.randn(30, 8, generator=draw), torch.arange(30) % 3
    head = linear_probe(Features(x, labels, x, labels)).head
    assert head is not None
    before = net.class_head(x, torch.rand(30, len(spec.vocabulary), generator=draw))
    assert start_class_head(net, head) == (join != "bottleneck")
    after = net.class_head(x, torch.rand(30, len(spec.vocabulary), generator=draw))
    probe = x @ head.weight.T + head.bias
    assert torch.allclose(after, probe, atol=1e-5) == (join != "bottleneck")
    assert not torch.allclose(before, probe, atol=1e-2)


def test_given_weights_are_tuned_and_random_ones_are_trained_as_before(weights: Path) -> None:
    given = recipe(weights).settled(drawn=True)
    assert (given.tuning.norms, given.tuning.warm_up, given.tuning.trunk_lr_factor) == ("rest", 1, 0.1)
    assert (given.augmentation.augment, given.loop.monitor) == ("photo", "loss")
    assert recipe(weights, join="bottleneck").settled(drawn=False).loop.monitor == "class-loss"
    random = EatRecipe().settled(drawn=True)
    assert (random.tuning.norms, random.tuning.warm_up, random.tuning.trunk_lr_factor) == ("train", 0, 1.0)
    assert (random.augmentation.augment, random.network.side, random.loop.monitor) == ("scene", 224, "accuracy")
    photos = EatRecipe().settled(drawn=False, size=240)
    assert (photos.network.side, photos.tuning.norms) == (240, "rest")
    assert EatRecipe().but(size=96, norms="train").settled(drawn=False, size=240).tuning.norms == "train"


def test_heads_that_learn_alone_stand_on_weights_that_have_learnt_in_drawn_scenes_too(weights: Path) -> None:
    assert [EatRecipe().but(frozen=frozen).given(drawn=True) for frozen in (False, True)] == [False, True]
    assert not EatRecipe().but(frozen=True, weights="random").given(drawn=True)
    for frozen, expected in ((False, "random"), (True, None)):
        own = EatExperiment(EatRecipe().but(frozen=frozen), Path("net.safetensors"), Path("work"), Reporter())
        assert own._weights(SimpleNamespace(drawn=True)) == expected  # type: ignore[arg-type]


def test_frozen_features_are_refused_where_more_than_them_is_needed() -> None:
    with pytest.raises(TrainingError, match="--attribute-stride needs more"):
        EatRecipe().but(frozen=True, attribute_stride=4)
    with pytest.raises(TrainingError, match="--consistency-weight needs more"):
        EatRecipe().but(frozen=True, consistency_weight=0.1)


def test_the_heads_are_new_and_the_trunk_has_depths(weights: Path) -> None:
    spec = AttributeSpec("timm:resnet18", ("a", "b"), aviary_vocabulary(), reading=8, size=64, model_args=NARROW)
    net = attribute_net(spec, str(weights))
    own = anatomy_of(net)
    assert net.taught
    assert not attribute_net(spec, "random").taught
    assert {name.partition(".")[0] for name in own.heads} == {"meeting", "attribute_head", "class_head"}
    assert set(own.depths) | own.heads == {name for name, _ in net.named_parameters()}
    rest(net.train(), own.new)
    resting = {path.partition(".")[0] for path, norm in norms(net).items() if not norm.training}
    assert resting == {"trunk"}
    assert all(norm.training for path, norm in norms(net).items() if path.startswith("meeting"))


def test_folded_weights_of_a_real_network_are_named_and_their_features_kept(pack: Path) -> None:
    file = pack / "models" / "mobilenet_v2_imagenet.safetensors"
    spec = AttributeSpec("torchvision:mobilenet_v2", ("a", "b"), aviary_vocabulary(), size=64)
    net = attribute_net(spec, str(file))
    assert len(folded(net, anatomy_of(net).new)) == 52
    said = remark(net, "train", given=True, new=anatomy_of(net).new)
    assert said.startswith("52 of 52 batch norms have identity statistics")
    assert said.endswith("use --norms rest")
    x = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = net.eval().trunk(x)
        net.train()
        rest(net, anatomy_of(net).new)
        assert torch.equal(net.trunk(x), expected)
        moving = net.train().trunk(x)
    a, b = (value.mean((2, 3)) - value.mean((0, 2, 3)) for value in (expected, moving))
    assert float(torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)) < 0.3


def test_the_report_reads_each_picture_as_the_network_does() -> None:
    words = aviary_vocabulary()
    torch.manual_seed(0)
    trunk = Trunk(timm.create_model("resnet18", **NARROW).eval())
    spec = AttributeSpec("timm:resnet18", ("a", "b"), words, stride=0, size=64, model_args=NARROW)
    net = AttributeNet(replace(spec, preprocess={"mean": [0.5] * 3, "std": [0.25] * 3}), trunk).eval()
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (6, 3, 64, 64), generator=draw).byte()
    targets = torch.randint(0, 2, (6, len(words)), generator=draw).float()
    parts = torch.randint(0, 2, (6, 32, 32), generator=draw).byte()
    own = Examples(images, torch.arange(6) % 2, targets, torch.ones_like(targets), parts)
    net.calibration = fit_calibration(net, own, answers_of(net, own))
    report = judge(net, own)
    with torch.no_grad():
        hits = net((images.float() / 255 - 0.5) / 0.25).argmax(1) == own.labels
    assert report.right == tuple(hits.tolist())
    assert report.hits == int(hits.sum())
    assert report.energy is not None


def test_the_start_is_kept_where_every_epoch_is_worse_and_a_resumed_run_keeps_it_too(
    weights: Path, out: Path
) -> None:
    own = recipe(weights, lr=3.0, head_lr_factor=1.0, monitor="loss")

    def stop(number: int, row: dict[str, float]) -> None:
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_eat(None, out, own, reporter=Reporter(epoch=stop))
    outcome = train_eat(None, out, own)
    assert outcome is not None
    assert (outcome.best, outcome.epochs) == (0, 3)
    assert outcome.control.accuracy == sum(outcome.judged.right) / len(outcome.judged.right)
    assert "the start (the linear probe) kept" in out.with_suffix(".md").read_text()
    assert "The weights of the start were kept." in out.with_suffix(".html").read_text()


def test_the_rate_of_a_head_that_starts_from_the_probe_follows_the_size_of_its_features(
    weights: Path, out: Path
) -> None:
    assert train_eat(None, out, recipe(weights, lr=0.5)) is not None
    factor = json.loads((out.with_suffix(".work") / "head_rate.json").read_text())
    pictures = gather(None, recipe(weights).settled(drawn=True), out.with_suffix(".work"))
    net = attribute_net(load_attribute_net(out).spec, str(weights)).eval()
    features = trunk_features(net, pictures.train, torch.arange(len(pictures.train)), pooled=True)
    assert factor == pytest.approx(0.1 / (0.5 * float(features.abs().sum(1).mean())), rel=1e-3)
    assert f"{factor:.3g}"[:4] in out.with_suffix(".html").read_text()


def test_the_attribute_head_starts_from_a_probe_that_is_stationary(weights: Path) -> None:
    words = Vocabulary(
        (
            *(Attribute(f"has_bill_color::{v}", "has_bill_color", v, "bill") for v in ("red", "blue", "black")),
            Attribute("has_crest::yes", "has_crest", "yes", "crest"),
        ),
        ("has_bill_color",),
    )
    spec = AttributeSpec("timm:resnet18", ("a", "b"), words, size=32, model_args=NARROW)  # type: ignore[arg-type]
    net = attribute_net(spec, str(weights)).eval()
    draw = torch.Generator().manual_seed(0)
    x = 50 * torch.randn(60, 8, generator=draw) + 20
    colours = (x[:, 0] > 0).long() + (x[:, 1] > 30).long()
    targets = torch.cat([torch.nn.functional.one_hot(colours, 3), (x[:, 2] > 0)[:, None].long()], 1).float()
    known = (torch.rand(60, 4, generator=draw) < 0.8).float()
    images = torch.zeros(60, 3, 32, 32, dtype=torch.uint8)
    examples = Examples(images, torch.arange(60) % 2, targets, known, torch.zeros(60, 16, 16, dtype=torch.uint8))
    assert start_attribute_head(net, x, examples)
    logits = net.attribute_head.what(x)
    right = torch.cat([logits[:, :3].argmax(1) == colours, (logits[:, 3] > 0) == (targets[:, 3] > 0)])
    assert right.float().mean() > 0.9
    # naive oracle: gradient descent on the same loss, one question at a time, does not get lower by going on
    head, _ = attribute_probe(x, Taught(targets, known, words))
    weight, bias = head.weight.clone().requires_grad_(), head.bias.clone().requires_grad_()
    loss = attribute_loss(x @ weight.T + bias, targets, known, words)
    slope = torch.autograd.grad(loss, bias)[0]
    assert slope.abs().max() < 1e-3  # the bias has no penalty


def test_an_attribute_head_that_reads_single_places_starts_as_it_was_made(weights: Path) -> None:
    words = aviary_vocabulary()
    spec = AttributeSpec("timm:resnet18", ("a", "b"), words, pool="max", size=32, model_args=NARROW)  # type: ignore[arg-type]
    net = attribute_net(spec, str(weights)).eval()
    before = net.attribute_head.what.weight.clone()
    targets = torch.zeros(4, len(words))
    images = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    examples = Examples(images, torch.arange(4) % 2, targets, targets, torch.zeros(4, 16, 16, dtype=torch.uint8))
    assert not start_attribute_head(net, torch.randn(4, 8), examples)
    assert torch.equal(net.attribute_head.what.weight, before)


OWN = """
from torch import nn
class Coarse(nn.Module):
    def __init__(self):
        super().__init__()
        self.verdict = nn.Linear(8, 5)
        self.patches = nn.Sequential(nn.Conv2d(3, 8, 32, 32), nn.ReLU())
        self.later = nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU())
    def forward(self, x):
        return {"logits": self.verdict(self.later(self.patches(x)).mean((2, 3)))}
"""


def test_own_code_is_taught_attributes_at_the_finest_places_that_it_has(tmp_path: Path) -> None:
    code = tmp_path / "coarse.py"
    code.write_text(OWN)
    own = EatRecipe().toy().but(scenes=40, epochs=1, weights="published", size=64, model_args={}, device="cpu")
    outcome = train_eat(None, tmp_path / "net.safetensors", own.but(backbone=f"{code}:Coarse"))
    assert outcome is not None
    assert any(note.startswith("maps have 32 pixels per cell") for note in outcome.notes)
    assert any("how photos are preprocessed" in note for note in outcome.notes)
    net = load_attribute_net(tmp_path / "net.safetensors")
    x = torch.randn(1, 3, 64, 64)
    body = net.trunk.body
    assert torch.equal(net.trunk(x), body.later(body.patches(x)))  # type: ignore[operator]
    assert outcome.control.accuracy is not None
    with pytest.raises(ModelError, match="features of stride 8"):
        train_eat(None, tmp_path / "finer.safetensors", own.but(backbone=f"{code}:Coarse", stride=8))
