"""Attribute networks: joins, pools, losses, and what must not depend on what."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from sightline.errors import ModelError
from sightline.models.load import load_model
from sightline.models.trunk import Trunk, grid_of, hold_stride
from sightline.tasks.attributes.data import Attribute, Vocabulary
from sightline.tasks.attributes.data.kept_reading import KeptReading, SplitConfig
from sightline.tasks.attributes.network.activations import activations
from sightline.tasks.attributes.network.heads import JOINS, POOLS, AttributeHead, ClassHead
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec, attribute_net
from sightline.tasks.attributes.network.skill import SEEN, TYPICAL, UNREAD, Skill
from sightline.tasks.attributes.network.store import load_attribute_net, save_attribute_net
from sightline.tasks.attributes.train.guidance import class_maps, outside_energy, part_alignment
from sightline.tasks.attributes.train.losses import attribute_loss, imbalance

WORDS = Vocabulary(
    (
        Attribute("crown::red", "crown", "red", "crown", "part"),
        Attribute("crown::blue", "crown", "blue", "crown", "part"),
        Attribute("crown::black", "crown", "black", "crown", "part"),
        Attribute("striped", "striped", "yes"),
        Attribute("aquatic", "aquatic", "yes", "", "context"),
    ),
    ("crown",),
)
SMALL = {
    "timm:resnet18": {"channels": (8, 8, 8, 8)},
    "timm:densenet121": {"growth_rate": 4, "block_config": (1, 1, 1, 1)},
    "timm:mobilenetv3_small_050": {},
    "timm:vit_tiny_patch16_224": {"img_size": 64, "embed_dim": 12, "depth": 2, "num_heads": 2},
    "torchvision:mobilenet_v2": {"width_mult": 0.25},
}


def spec(**changes: object) -> AttributeSpec:
    first = AttributeSpec("timm:resnet18", ("a", "b"), WORDS, size=64, model_args=SMALL["timm:resnet18"])
    return replace(first, **changes)


def net(**changes: object) -> AttributeNet:
    return attribute_net(spec(**changes), "random").eval()


def pictures(count: int = 2, size: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def small_vgg() -> nn.Module:
    from torchvision.models.vgg import VGG, make_layers

    return VGG(make_layers([8, "M", 8, "M", 8, "M", 8, "M", 8, "M"]), num_classes=2, init_weights=False)


@pytest.mark.parametrize("backbone", SMALL)
@pytest.mark.parametrize("join", JOINS)
def test_five_families_learn_end_to_end_with_every_join(backbone: str, join: str) -> None:
    model = attribute_net(spec(backbone=backbone, model_args=SMALL[backbone], join=join), "random")
    reading = model.read(pictures())
    loss = reading.classes.sum() + attribute_loss(reading.logits, torch.ones(2, 5), torch.ones(2, 5), WORDS)
    loss.backward()
    assert reading.maps.shape == (2, 5, 4, 4)
    assert all(p.grad is not None for p in model.trunk.parameters())


def test_a_vgg_is_a_trunk_too() -> None:
    model = AttributeNet(spec(preprocess={}), Trunk(small_vgg())).eval()
    assert model.read(pictures()).maps.shape == (2, 5, 4, 4)


def test_without_the_second_task_the_class_scores_are_those_of_the_plain_backbone_bit_for_bit() -> None:
    model = net(join="parallel", stride=0)
    plain = load_model("timm:resnet18", weights="random", model_args=SMALL["timm:resnet18"]).model
    plain.fc = model.class_head.of_features
    x = pictures()
    assert torch.equal(model(x), plain(x))


def test_parallel_without_lambda_gives_the_attribute_head_no_gradient() -> None:
    model = attribute_net(spec(join="parallel"), "random")
    fn.cross_entropy(model(pictures()), torch.tensor([0, 1])).backward()
    assert model.attribute_head.what.weight.grad is None


def test_a_head_of_another_seed_or_size_leaves_the_class_head_as_it_was() -> None:
    one, other = ClassHead(8, 5, 2, join="parallel"), ClassHead(8, 50, 2, join="parallel")
    assert torch.equal(one.of_features.weight, other.of_features.weight)


def test_unknown_attributes_have_exactly_no_gradient() -> None:
    logits = torch.randn(3, 5, requires_grad=True)
    weights = torch.ones(3, 5)
    weights[0, :3] = 0
    weights[2, 4] = 0
    attribute_loss(logits, torch.rand(3, 5).round(), weights, WORDS).backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad[0, :3], torch.zeros(3))
    assert logits.grad[2, 4] == 0
    assert bool((logits.grad[1] != 0).any())


def naive_loss(z: torch.Tensor, t: torch.Tensor, m: torch.Tensor, w: torch.Tensor) -> float:
    """One picture and one question after the other."""
    total = known = 0.0
    for i in range(len(z)):
        p = z[i, :3].softmax(0)
        mask = float(m[i, :3].mean())
        total += mask * -sum(float(w[k] * t[i, k] * p[k].log()) for k in range(3))
        known += mask
        for k in (3, 4):
            p1 = float(torch.sigmoid(z[i, k]))
            bce = -float(w[k] * t[i, k]) * torch.tensor(p1).log() - (1 - t[i, k]) * torch.tensor(1 - p1).log()
            total += float(m[i, k] * bce)
            known += float(m[i, k])
    return total / known


def test_the_attribute_loss_is_its_equation() -> None:
    draw = torch.Generator().manual_seed(0)
    z, t = torch.randn(4, 5, generator=draw), torch.rand(4, 5, generator=draw)
    m, w = torch.rand(4, 5, generator=draw), 0.5 + torch.rand(5, generator=draw)
    assert float(attribute_loss(z, t, m, WORDS, w)) == pytest.approx(naive_loss(z, t, m, w), rel=1e-5)


def test_the_loss_does_not_change_when_an_unknown_attribute_is_added_or_a_picture_is_doubled() -> None:
    more = Vocabulary((*WORDS.attributes, Attribute("new", "new", "yes")), WORDS.exclusive)
    z, t, m = torch.randn(3, 5), torch.rand(3, 5).round(), torch.ones(3, 5)
    base = attribute_loss(z, t, m, WORDS)
    added = [torch.cat([x, torch.zeros(3, 1)], dim=1) for x in (z, t, m)]
    assert torch.allclose(base, attribute_loss(*added, more))
    assert torch.allclose(base, attribute_loss(z.repeat(2, 1), t.repeat(2, 1), m.repeat(2, 1), WORDS))


def test_the_order_of_attributes_permutes_outputs_only() -> None:
    order = [3, 0, 2, 4, 1]
    turned = Vocabulary(tuple(WORDS.attributes[i] for i in order), WORDS.exclusive)
    z, t, m = torch.randn(3, 5), torch.rand(3, 5).round(), torch.rand(3, 5)
    assert torch.allclose(activations(z, WORDS)[:, order], activations(z[:, order], turned))
    assert torch.allclose(
        attribute_loss(z, t, m, WORDS), attribute_loss(z[:, order], t[:, order], m[:, order], turned)
    )


def test_rare_attributes_count_more_and_a_choice_keeps_its_scale() -> None:
    targets = torch.zeros(100, 5)
    targets[:80, 0] = targets[80:95, 1] = targets[95:, 2] = 1
    targets[:10, 3] = 1
    gain = imbalance(targets, torch.ones(100, 5), WORDS, power=0.5)
    assert gain[2] > gain[1] > gain[0]
    assert float((torch.tensor([0.8, 0.15, 0.05]) * gain[:3]).sum()) == pytest.approx(1, rel=1e-3)
    assert float(gain[3]) == pytest.approx(3.0, rel=1e-3)
    assert torch.equal(imbalance(targets, torch.ones(100, 5), WORDS, power=0)[:4], torch.ones(4))


@pytest.mark.parametrize("pool", POOLS)
def test_a_map_sums_to_its_logit(pool: str) -> None:
    head = AttributeHead(6, WORDS, pool=pool)
    if head.where is not None:
        nn.init.normal_(head.where.weight)
    read = head(torch.randn(2, 6, 3, 4))
    assert torch.allclose(read.maps.sum((2, 3)) + head.what.bias, read.logits, atol=1e-6)


def test_average_is_the_class_activation_map_and_the_gradient_is_the_same_map() -> None:
    head, features = AttributeHead(6, WORDS), torch.randn(1, 6, 3, 4, requires_grad=True)
    read = head(features)
    naive = torch.stack([sum(head.what.weight[k, c] * features[0, c] for c in range(6)) for k in range(5)])
    assert torch.allclose(read.maps[0] * 12, naive, atol=1e-6)
    for k in range(5):
        gradient = torch.autograd.grad(read.logits[0, k], features, retain_graph=True)[0]
        weights = gradient.mean((2, 3), keepdim=True)
        gradcam = (weights * features).sum(1)[0]
        assert fn.cosine_similarity(gradcam.flatten(), naive[k].flatten(), dim=0) > 1 - 1e-6


def test_the_highest_place_of_a_max_pooled_attribute_is_its_logit() -> None:
    head, features = AttributeHead(6, WORDS, pool="max"), torch.randn(2, 6, 3, 4)
    read = head(features)
    assert torch.allclose(read.evidence.flatten(2).max(2).values + head.what.bias, read.logits, atol=1e-6)
    assert torch.allclose(read.maps.flatten(2).sum(2), read.evidence.flatten(2).max(2).values, atol=1e-6)


def test_a_bottleneck_sees_features_through_attributes_only() -> None:
    head = ClassHead(6, 5, 2, join="bottleneck")
    a = torch.rand(1, 5)
    assert torch.equal(head(torch.randn(1, 6), a), head(torch.randn(1, 6), a))
    assert head.of_features is None


def test_attributes_never_reach_the_class_of_a_parallel_join() -> None:
    head, v = ClassHead(6, 5, 2, join="parallel"), torch.randn(1, 6)
    assert torch.equal(head(v, torch.rand(1, 5)), head(v, torch.rand(1, 5)))


@pytest.mark.parametrize("join", JOINS)
def test_the_gradient_of_every_join_is_that_of_finite_differences(join: str) -> None:
    head = ClassHead(3, 5, 2, join=join).double()
    words = AttributeHead(3, WORDS, pool="average").double()

    def score(features: torch.Tensor) -> torch.Tensor:
        return head(features.mean((2, 3)), activations(words(features).logits, WORDS))

    features = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(score, (features,))


@pytest.mark.parametrize("join", JOINS)
def test_a_small_set_is_learnt_by_heart(join: str) -> None:
    torch.manual_seed(0)
    model = attribute_net(spec(join=join, stride=8), "random")
    x, labels = torch.randn(32, 3, 64, 64), torch.arange(32) % 2
    crown = fn.one_hot(torch.arange(32) % 3, 3).float()
    targets = torch.cat([crown, (torch.arange(32) % 5 == 0).float()[:, None], labels.float()[:, None]], dim=1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(151):
        reading = model.read(x)
        classes = bool((reading.classes.argmax(1) == labels).all())
        crowns = bool((reading.logits[:, :3].argmax(1) == crown.argmax(1)).all())
        if classes and crowns and torch.equal(reading.logits[:, 3:] > 0, targets[:, 3:] > 0.5):
            return
        loss = fn.cross_entropy(reading.classes, labels)
        loss = loss + 3 * attribute_loss(reading.logits, targets, torch.ones_like(targets), WORDS)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    pytest.fail("after 150 steps it does not know all classes and attributes")


def test_what_is_saved_comes_back(tmp_path) -> None:
    model = net(pool="places", join="bottleneck", reading=8)
    nn.init.normal_(model.attribute_head.where.weight)
    model.calibration = replace(model.calibration, threshold=torch.rand(5), prototypes=torch.rand(2, 5))
    path = save_attribute_net(model, tmp_path / "net.safetensors")
    again = load_attribute_net(path)
    x = pictures()
    assert torch.equal(again(x), model(x))
    assert torch.equal(again.calibration.threshold, model.calibration.threshold)
    assert again.spec.to_json() == model.spec.to_json()
    assert again.kept_reading is None


def test_how_data_was_read_is_saved_and_damage_is_refused(tmp_path) -> None:
    model = net()
    model.kept_reading = KeptReading(SplitConfig(group_by="patient", seed=4), None, {"train": "abc"})
    path = save_attribute_net(model, tmp_path / "net.safetensors")
    assert load_attribute_net(path).kept_reading == model.kept_reading
    content = path.read_bytes()
    path.write_bytes(content.replace(b"validation", b"validatiun", 1))
    with pytest.raises(ModelError, match="does not say how the data of its training was read"):
        load_attribute_net(path)


def test_skill_and_prior_correction_are_saved_and_a_file_that_lost_them_is_refused(tmp_path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    model = net()
    prior, choice = torch.rand(5), torch.tensor([0.0, 0, 0, -1, -1])
    model.calibration = replace(model.calibration, prior=prior, choice=choice)
    model.skill = Skill.given(torch.tensor([SEEN, TYPICAL, UNREAD, SEEN, SEEN]), 0.7)
    path = save_attribute_net(model, tmp_path / "net.safetensors")
    again = load_attribute_net(path)
    assert torch.equal(again.calibration.prior, prior)
    assert torch.equal(again.calibration.choice, choice)
    assert again.skill.standing.tolist() == model.skill.standing.tolist()
    assert again.skill.floor.tolist() == pytest.approx([0.7] * 5)
    with safe_open(path, "pt") as archive:
        tensors, facts = {name: archive.get_tensor(name) for name in archive.keys()}, archive.metadata()  # noqa: SIM118
    for name in ("knowledge.skill.standing", "knowledge.prior"):
        save_file({k: v for k, v in tensors.items() if k != name}, tmp_path / "less.safetensors", facts)
        with pytest.raises(ModelError, match=f"lack {name}"):
            load_attribute_net(tmp_path / "less.safetensors")
    old = {k: v for k, v in tensors.items() if not re.search(r"\.(skill\..*|prior|choice|version)$", k)}
    save_file(old, tmp_path / "old.safetensors", facts)
    first = load_attribute_net(tmp_path / "old.safetensors")
    assert not first.skill.measured
    assert first.calibration.prior is None


def test_a_weights_file_alone_is_enough_to_load_the_network(tmp_path) -> None:
    path = save_attribute_net(net(), tmp_path / "net.safetensors")
    loaded = load_model(weights=path)
    assert loaded.labels == ("a", "b")
    assert loaded.preprocess.size == (64, 64)
    assert isinstance(loaded.model, AttributeNet)


def test_a_file_of_another_network_is_refused(tmp_path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="not 'attributes'"):
        load_attribute_net(tmp_path / "other.safetensors")


def test_unknown_joins_and_pools_are_refused_with_those_that_there_are() -> None:
    with pytest.raises(ModelError, match=r"'sum'.*parallel"):
        ClassHead(2, 2, 2, join="sum")
    with pytest.raises(ModelError, match="places"):
        AttributeHead(2, WORDS, pool="placess")


@pytest.mark.parametrize("backbone", ["timm:resnet18", "timm:mobilenetv3_small_050", "timm:densenet121"])
def test_features_are_held_as_fine_as_asked_and_weights_stay(backbone: str) -> None:
    trunk = Trunk(load_model(backbone, weights="random", model_args=SMALL[backbone]).model)
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    assert grid_of(trunk, (64, 64)).height == 2
    assert grid_of(hold_stride(trunk, 8, (64, 64)), (64, 64)).height == 8
    assert all(torch.equal(before[name], value) for name, value in trunk.state_dict().items())


def test_a_network_without_padding_has_the_stride_that_it_strides():
    trunk = Trunk(load_model("torchvision:squeezenet1_0", weights="random").model)
    assert grid_of(hold_stride(trunk, 16, (96, 96)), (96, 96)).height == 5


def test_a_side_that_the_stride_does_not_divide_keeps_the_finer_grid():
    trunk = Trunk(load_model("timm:resnet18", weights="random", model_args={"channels": (8, 8, 8, 8)}).model)
    assert grid_of(hold_stride(trunk, 16, (72, 72)), (72, 72)).height == 5


def test_held_features_are_those_of_the_backbone_at_every_other_place() -> None:
    """A dilated kernel sees at each cell what the strided one saw: without padding effects they are the same."""
    plain = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 1, 1))
    body = nn.Module()
    body.features = plain
    trunk = Trunk(body)
    x = torch.randn(1, 3, 16, 16)
    coarse = trunk(x)
    fine = hold_stride(trunk, 1, (16, 16))(x)
    assert torch.allclose(fine[:, :, 2:-2:2, 2:-2:2], coarse[:, :, 1:-1, 1:-1], atol=1e-6)


def test_patches_that_are_too_coarse_are_refused() -> None:
    with pytest.raises(ModelError, match="pixels per cell"):
        net(backbone="timm:vit_tiny_patch16_224", model_args=SMALL["timm:vit_tiny_patch16_224"], stride=8)


def test_the_class_map_is_the_class_activation_map_of_a_linear_head() -> None:
    features, weight = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(3)
    score = features.mean((2, 3)) @ weight
    naive = (features * weight[None, :, None, None]).sum(1).relu() / 16
    assert torch.allclose(class_maps(score, features), naive, atol=1e-6)


def test_energy_outside_is_nothing_inside_and_all_outside() -> None:
    maps, inside = torch.zeros(2, 2, 2), torch.zeros(2, 2, 2)
    inside[:, 0] = 1
    maps[0, 0, 0] = 3
    maps[1, 1, 1] = 2
    assert float(outside_energy(maps[:1], inside[:1])) == 0
    assert float(outside_energy(maps[1:], inside[1:])) == 1
    assert float(outside_energy(torch.ones(1, 2, 2), inside[:1])) == pytest.approx(0.5)


def test_part_alignment_is_least_where_the_net_looks_at_the_part_and_ignores_unknown_parts() -> None:
    shares = torch.zeros(1, 2, 2, 2)
    shares[0, 0, 0, 0] = 0.5
    known = torch.tensor([[True, True]])
    at_part = torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2).expand(1, 2, 2, 2)
    even = torch.full((1, 2, 2, 2), 0.25)
    assert float(part_alignment(at_part, shares, known)) == pytest.approx(0, abs=1e-6)
    assert float(part_alignment(even, shares, known)) == pytest.approx(1.3863, abs=1e-3)
    assert float(part_alignment(even, shares, ~known)) == 0
