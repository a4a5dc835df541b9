"""What learns, when and how fast: every option of fine-tuning changes what it says it changes, and nothing else."""

from __future__ import annotations

import copy
import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from sightline.errors import TrainingError

pytest.importorskip("lightning")

from sightline.models.depth import depths
from sightline.tasks.classification.data.pictures import Pictures
from sightline.tasks.classification.fit import fit, probe_features
from sightline.tasks.classification.heads import anatomy_of
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.tasks.classification.train import train_classify
from sightline.training.anatomy import Anatomy, frozen_names, groups, head_factor, rate_factor, warm_cosine
from sightline.training.norms import folded, norms, remark, rest
from sightline.training.recipe import TuningConfig
from sightline.training.reporter import Reporter
from sightline.training.sampling import EpochOrder
from sightline.training.tuner import Averager, Tuning

BASE = ClassifyRecipe.of(
    weights="file", size=16, augment="none", epochs=2, batch_size=8, device="cpu", precision="32", check_every=0
)


pytestmark = pytest.mark.usefixtures("one_thread")


class Small(nn.Module):
    """Two blocks of convolution and norm, and a last layer."""

    def __init__(self, norm: bool = True) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(self._block(a, 6, norm) for a in (3, 6)))
        self.fc = nn.Linear(6, 3)

    @staticmethod
    def _block(channels: int, wide: int, norm: bool) -> nn.Sequential:
        own = nn.BatchNorm2d(wide) if norm else nn.Identity()
        return nn.Sequential(nn.Conv2d(channels, wide, 3, 2, 1), own, nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc(self.blocks(x).mean((2, 3)))
        return out


def small(norm: bool = True) -> Small:
    torch.manual_seed(0)
    net = Small(norm)
    for own in norms(net).values():
        own.running_mean.uniform_(-1, 1)  # type: ignore[union-attr,operator]
        own.running_var.uniform_(0.5, 2)  # type: ignore[union-attr,operator]
    return net


def pictures(count: int = 24) -> Pictures:
    draw = torch.Generator().manual_seed(1)
    labels = torch.arange(count) % 3
    images = torch.randint(0, 80, (count, 3, 16, 16), generator=draw).byte()
    images[torch.arange(count), labels] += 100
    rows = torch.arange(count)
    return Pictures(images, labels, rows[:16], rows[16:], ("a", "b", "c"), (0.4,) * 3, (0.2,) * 3, "")


def trained(net: nn.Module, **options: object) -> dict[str, torch.Tensor]:
    fit(net, pictures(), BASE.but(**options))
    return {name: value.clone() for name, value in net.state_dict().items()}


def changed(net: nn.Module, **options: object) -> set[str]:
    before = copy.deepcopy(net.state_dict())
    after = trained(net, **options)
    return {name for name in before if not torch.equal(before[name], after[name])}


STATISTICS = {
    f"blocks.{i}.1.{name}" for i in (0, 1) for name in ("running_mean", "running_var", "num_batches_tracked")
}
WEIGHTS = {name for name, _ in Small().named_parameters()}


def test_norms_rest_where_weights_were_given_and_learn_their_statistics_where_not() -> None:
    assert changed(small()) == WEIGHTS
    assert changed(small(), norms="train") == WEIGHTS | STATISTICS
    assert changed(small(), weights="random", optimizer="adamw") == WEIGHTS | STATISTICS
    assert changed(small(), weights="random", optimizer="adamw", norms="rest") == WEIGHTS


def test_features_are_the_same_in_training_where_norms_rest() -> None:
    net, x = small(), torch.rand(4, 3, 16, 16)
    expected = net.eval()(x)
    net.train()
    assert not torch.allclose(copy.deepcopy(net)(x), expected)
    rest(net)
    assert torch.equal(net(x), expected)
    assert net.training
    assert not any(norm.training for norm in norms(net).values())


def test_norms_of_new_layers_do_not_rest() -> None:
    net = small().train()
    rest(net, new={"blocks.1.1.weight", "blocks.1.1.bias"})
    assert [norm.training for norm in norms(net).values()] == [False, True]


def test_folded_norms_are_named_and_a_new_one_is_not_folded() -> None:
    net = small()
    assert folded(net) == ()
    assert remark(net, "rest", given=True) == ""
    net.blocks[0][1].reset_running_stats()  # type: ignore[index,operator]
    assert folded(net) == ("blocks.0.1",)
    assert folded(net, new={"blocks.0.1.weight"}) == ()
    assert "1 of 2 batch norms have identity statistics" in remark(net, "rest", given=True)
    assert "use --norms rest" in remark(net, "train", given=True)
    assert remark(net, "train", given=False) == ""


def test_frozen_weights_stay_bit_for_bit() -> None:
    assert changed(small(), freeze=("blocks.0",)) == {name for name in WEIGHTS if "blocks.0" not in name}
    assert changed(small(), freeze=("*.1.weight", "fc.bias")) == {
        name for name in WEIGHTS if not name.endswith(".1.weight") and name != "fc.bias"
    }
    assert changed(small(), freeze_depth=0.5) == {name for name in WEIGHTS if "blocks.0" not in name}
    assert changed(small(), frozen=True) == {"fc.weight", "fc.bias"}
    net = small()
    trained(net, freeze=("blocks.0",))
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_a_name_that_fits_nothing_and_a_freeze_of_everything_are_refused() -> None:
    anatomy = anatomy_of(small())
    with pytest.raises(TrainingError, match="fits no weights of the network; near names"):
        frozen_names(anatomy, TuningConfig(freeze=("block.0",)))
    with pytest.raises(TrainingError, match="leaves nothing to learn"):
        frozen_names(anatomy, TuningConfig(freeze=("*",)))


def test_heads_learn_alone_first() -> None:
    assert changed(small(), epochs=1, warm_up=1) == WEIGHTS  # the last epoch is never the heads' alone
    net = small()
    seen = []

    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = net.fc
            self.blocks = net.blocks

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(self.blocks[0][0].weight.detach().clone())
            out: torch.Tensor = self.fc(self.blocks(x).mean((2, 3)))
            return out

    fit(Spy(), pictures(), BASE.but(epochs=3, warm_up=2))
    steps = 2  # 16 pictures, 8 a batch
    assert all(torch.equal(weight, seen[0]) for weight in seen[: 2 * steps + 1])
    assert not torch.equal(seen[-1], seen[0])


def test_rates_fall_by_depth_as_the_formula_says() -> None:
    net = small()
    anatomy = anatomy_of(net)
    assert anatomy.heads == {"fc.weight", "fc.bias"}
    assert {name: anatomy.depths[f"blocks.{i}.0.weight"] for i, name in enumerate("ab")} == {"a": 0, "b": 1}
    own = TuningConfig(trunk_lr_factor=0.5, layer_decay=0.7).settled(given=True)
    rates = {(one["part"], one["lr"]) for one in groups(net, anatomy, own, 0.01)}
    assert rates == {("trunk", 0.01 * 0.5 * 0.7), ("trunk", 0.01 * 0.5), ("heads", 0.01)}
    default = TuningConfig().settled(given=True)
    assert rate_factor(0, 9, default) == pytest.approx(0.1 * 0.2)
    assert rate_factor(9, 9, default) == pytest.approx(0.1)
    assert rate_factor(3, 9, TuningConfig().settled(given=False)) == 1.0


def test_a_rate_waits_rises_and_falls_to_nothing() -> None:
    factors = [warm_cosine(step, 10, 50) for step in range(50)]
    assert factors[:10] == [0.0] * 10
    assert factors[10:16] == pytest.approx([(i + 1) / 6 for i in range(6)])
    assert max(factors) == factors[15] == 1.0
    assert factors[32] == pytest.approx(0.5 * (1 + math.cos(math.pi * 17 / 35)))
    assert all(a > b for a, b in pairwise(factors[15:]))
    assert factors[-1] < 0.01


def test_a_running_mean_of_weights_is_what_a_loop_says() -> None:
    kept, mean = 0.9, torch.tensor(3.0)
    averager = Averager(kept)._kwargs["avg_fn"]
    ours = mean.clone()
    for count, weight in enumerate(torch.tensor([1.0, 5.0, 2.0, 2.0]), 1):
        share = min(kept, (1 + count) / (10 + count))
        mean = share * mean + (1 - share) * weight
        ours = averager(ours, weight, torch.tensor(count))
    assert float(ours) == pytest.approx(float(mean))
    assert torch.equal(averager(torch.tensor(0.485), torch.tensor(0.485), torch.tensor(7)), torch.tensor(0.485))


def test_a_training_with_a_mean_of_weights_ends_with_the_mean() -> None:
    weights: list[dict[str, torch.Tensor]] = []
    net = small(norm=False)

    def hook(optimiser: torch.optim.Optimizer, *rest: object) -> None:
        weights.append({name: p.detach().clone() for name, p in net.named_parameters()})

    handle = register_optimizer_step_post_hook(hook)
    try:
        after = trained(net, ema=0.5, warm_up=0)
    finally:
        handle.remove()
    mean = weights[0]  # the first step is copied
    for count, own in enumerate(weights[1:], 1):
        share = min(0.5, (1 + count) / (10 + count))
        mean = {name: share * mean[name] + (1 - share) * own[name] for name in own}
    assert all(torch.allclose(after[name], mean[name], atol=1e-7) for name in mean)
    assert not torch.allclose(after["fc.weight"], weights[-1]["fc.weight"], atol=1e-6)


def test_a_batch_in_parts_is_the_batch_at_once() -> None:
    whole = trained(small())
    parts = trained(small(), accumulate=4)
    assert all(torch.allclose(whole[name], parts[name], atol=1e-6) for name in WEIGHTS)
    with pytest.raises(TrainingError, match="cannot be computed in 3 equal parts"):
        trained(small(), accumulate=3)


def test_every_class_is_shown_equally_often_where_asked_for() -> None:
    labels = torch.tensor([0] * 30 + [1] * 6 + [2] * 4)
    order = EpochOrder(40, 10, seed=3, labels=labels)
    rows = [row for batch in order for row in batch]
    assert len(rows) == 40
    counts = torch.bincount(labels[torch.tensor(rows)], minlength=3)
    assert int(counts.max() - counts.min()) <= 3
    assert len({row for row in rows if labels[row] == 2}) == 4
    assert rows == [row for batch in order for row in batch]
    order.set_epoch(1)
    assert rows != [row for batch in order for row in batch]


def test_parts_and_passes_keep_the_order_of_pictures() -> None:
    plain = [row for batch in EpochOrder(20, 6, seed=1) for row in batch]
    in_parts = list(EpochOrder(20, 6, seed=1, parts=3))
    assert [len(part) for part in in_parts] == [2] * 9
    assert [row for part in in_parts for row in part] == plain
    twice = EpochOrder(20, 6, seed=1, passes=2)
    assert (twice.steps, len(list(twice))) == (6, 6)


def test_of_equal_epochs_the_one_of_the_lower_loss_is_kept(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from sightline.training.callbacks import Keeper

    def trainer(accuracy: float, loss: float) -> object:
        figures = {"val/accuracy": torch.tensor(accuracy), "val/loss": torch.tensor(loss)}
        whole = SimpleNamespace(reduce_boolean_decision=bool)
        return SimpleNamespace(callback_metrics=figures, strategy=whole)

    keeper = Keeper(tmp_path, "best", "accuracy")
    decisions = []
    for accuracy, loss in ((0.8, 0.5), (0.9, 0.4), (0.9, 0.45), (0.9, 0.3), (0.85, 0.1)):
        better = keeper.check_monitor_top_k(trainer(accuracy, loss), torch.tensor(accuracy))  # type: ignore[arg-type]
        decisions.append(better)
        if better:
            keeper.best_k_models = {"a": torch.tensor(accuracy)}
            keeper.kth_best_model_path = "a"
            keeper.best_model_score = torch.tensor(accuracy)
    assert decisions == [True, True, False, True, False]
    assert keeper.state_dict()["loss"] == pytest.approx(0.3)


def test_mixed_pictures_are_learnt_by_their_shares() -> None:
    from sightline.training.photos import mixed

    images = torch.rand(6, 3, 4, 4)
    x, other, share = mixed(images, 0.4, torch.Generator().manual_seed(2))
    assert 0 < share < 1
    assert torch.allclose(x, share * images + (1 - share) * images[other])
    assert torch.equal(x, mixed(images, 0.4, torch.Generator().manual_seed(2))[0])
    assert changed(small(), mixup=0.4) == WEIGHTS
    assert any(
        not torch.equal(a, b)
        for a, b in zip(trained(small()).values(), trained(small(), mixup=0.4).values(), strict=True)
    )


def test_depths_follow_the_blocks_of_networks_from_elsewhere() -> None:
    timm = pytest.importorskip("timm")
    net = timm.create_model("resnet18")
    own = depths(net)
    assert own["conv1.weight"] == own["bn1.weight"] == 0
    assert own["layer1.0.conv1.weight"] == own["layer1.0.bn2.bias"] == 1
    assert (own["layer4.1.conv2.weight"], own["fc.weight"]) == (8, 9)
    assert max(depths(net, without=frozenset({"fc.weight", "fc.bias"})).values()) == 8


def test_gates_are_heads_and_their_norms_learn() -> None:
    from sightline.gates.store import GatedSpec, gated_net

    net = gated_net(GatedSpec("cifar-resnet8", ("a", "b"), {"widths": [8, 8, 8]}, gate="se"))
    own = anatomy_of(net)
    assert own.new
    assert own.new < own.heads
    assert set(own.heads - own.new) == {"linear.weight", "linear.bias"}
    assert set(own.depths) | own.heads == {name for name, _ in net.named_parameters()}
    assert isinstance(own, Anatomy)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    from sightline.models.zoo.cifar_names import cifar_net

    torch.manual_seed(1)
    file = tmp_path / "weights.safetensors"
    save_file(
        {k: v.contiguous() for k, v in cifar_net("cifar-resnet8", 20, widths=(8, 8, 8)).state_dict().items()}, file
    )
    return file


OPTIONS = {
    "mean of weights in parts": {"ema": 0.9, "accumulate": 2, "warm_up": 1, "mixup": 0.2, "balanced": True},
    "photos": {"augment": "photo", "freeze_depth": 0.3},
    "frozen": {"frozen": True},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_tuned_training_that_was_stopped_ends_as_if_it_had_not_been(
    name: str, weights: Path, tmp_path: Path
) -> None:
    recipe = (
        ClassifyRecipe()
        .toy()
        .but(scenes=40, epochs=3, weights=str(weights), model_args={"widths": (8, 8, 8)}, **OPTIONS[name])
    )
    unbroken = train_classify("aviary", tmp_path / "a.safetensors", recipe)
    assert unbroken is not None

    def stop(number: int, row: dict[str, float]) -> None:
        if number == 2:
            raise KeyboardInterrupt

    out = tmp_path / "b.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train_classify("aviary", out, recipe, reporter=Reporter(epoch=stop))
    again = train_classify("aviary", out, recipe)
    once_more = load_file(out)
    one = load_file(tmp_path / "a.safetensors")
    assert all(torch.equal(one[key], once_more[key]) for key in one)
    assert again is not None
    assert (again.hits, again.control.accuracy) == (unbroken.hits, unbroken.control.accuracy)
    train_classify("aviary", out, recipe)
    third = load_file(out)
    assert all(torch.equal(one[key], third[key]) for key in one)


STILL = {"lr": 1e-12, "weight_decay": 0.0, "epochs": 1}


def test_the_last_layer_starts_from_the_probe_where_weights_were_given(weights: Path, tmp_path: Path) -> None:
    recipe = ClassifyRecipe().toy().but(scenes=40, weights=str(weights), model_args={"widths": (8, 8, 8)}, **STILL)
    rights = {}
    for start in ("auto", "built"):
        out = tmp_path / f"{start}.safetensors"
        own = train_classify("aviary", out, recipe.but(head_start=start))
        assert own is not None
        probe = json.loads((tmp_path / f"{start}.work" / "probe.json").read_text())["right"]
        rights[start] = (
            list(own.right) == probe,
            "the class head starts from it" in out.with_suffix(".md").read_text(),
        )
    assert rights == {"auto": (True, True), "built": (False, False)}
    again = train_classify("aviary", tmp_path / "auto.safetensors", recipe)
    assert again is not None
    assert "the class head starts from it" in again.control.fact


def test_a_start_from_the_probe_needs_the_probe() -> None:
    with pytest.raises(TrainingError, match="needs the linear probe that --no-probe leaves out"):
        TuningConfig(head_start="probe", probe=False)
    assert TuningConfig(probe=False).settled(given=True).head_start == "built"
    assert TuningConfig().settled(given=True).head_start == "probe"
    assert TuningConfig(frozen=True).settled(given=True).head_start == "built"
    assert TuningConfig().settled(given=False).head_start == "built"


def test_features_of_the_probe_are_those_of_the_network_in_eval_mode() -> None:
    net, own = small().train(), pictures()
    features = probe_features(net, own)
    assert net.training
    x = (own.images[own.test].float() / 255 - 0.4) / 0.2
    assert torch.allclose(features.test, net.eval().blocks(x).mean((2, 3)), atol=1e-6)


def test_a_tuning_without_options_is_plain() -> None:
    anatomy = anatomy_of(small())
    assert Tuning(TuningConfig().settled(given=False), anatomy, 2, 2).plain
    assert not Tuning(TuningConfig().settled(given=True), anatomy, 2, 2).plain
    assert not Tuning(TuningConfig(freeze=("fc",)).settled(given=False), anatomy, 2, 2).plain


def test_a_step_of_the_heads_moves_a_score_by_a_tenth_at_most() -> None:
    features = torch.rand(6, 40, generator=torch.Generator().manual_seed(0))
    for size in (1.0, 300.0):
        rate = 0.002 * head_factor(size * features, 0.002)
        moved = rate * (size * features).sum(1).mean()  # AdamW: each weight by its rate, all in one direction
        assert float(moved) == pytest.approx(min(0.1, 0.002 * size * float(features.sum(1).mean())))
    assert head_factor(torch.zeros(3, 4), 0.1) == 1.0


def test_the_factor_on_the_heads_rate_is_left_open_only_where_the_head_starts_from_the_probe() -> None:
    assert TuningConfig().settled(given=True).head_lr_factor is None
    assert TuningConfig(head_lr_factor=0.5).settled(given=True).head_lr_factor == 0.5
    for config in (TuningConfig(head_start="built"), TuningConfig(frozen=True), TuningConfig(probe=False)):
        assert config.settled(given=True).head_lr_factor == 1.0
    assert TuningConfig().settled(given=False).head_lr_factor == 1.0
    taught = ClassifyRecipe().but(weights="published")
    assert taught.settled().tuning.head_lr_factor is None
    assert taught.but(optimizer="sgd").settled().tuning.head_lr_factor == 1.0
    assert taught.but(gate="se").settled().tuning.head_lr_factor == 1.0
    net = small()
    rates = {
        part["part"]: part["lr"] for part in groups(net, anatomy_of(net), TuningConfig(head_lr_factor=0.25), 0.8)
    }
    assert rates["heads"] == pytest.approx(0.2)
