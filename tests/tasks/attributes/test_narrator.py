"""What a network says of its own decision: through `explain`, with every join, and for the bundled network."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from sightline import explain
from sightline.models.trunk import Trunk
from sightline.models.zoo.birdnet import BirdNet, BirdNetSpec, load_birdnet
from sightline.results import Decision, Explanation, Explanations
from sightline.targets import Prototypes
from sightline.tasks.attributes.data import Attribute, Vocabulary
from sightline.tasks.attributes.explain.association import field_contributions, patterns_of
from sightline.tasks.attributes.explain.bundled import bird_words, fingerprint, nothing, vocabulary_of
from sightline.tasks.attributes.explain.contributions import sensitivity_contributions
from sightline.tasks.attributes.explain.grounding import centring
from sightline.tasks.attributes.explain.narrator import ASSOCIATED, IN_PART, NO_NUMBERS, narration
from sightline.tasks.attributes.explain.parsing import parse
from sightline.tasks.attributes.explain.speaking import PictureOutput, speaking_model
from sightline.tasks.attributes.explain.strategies import Integrated, Linear
from sightline.tasks.attributes.network.calibration import Calibration
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec
from sightline.tasks.attributes.network.skill import SEEN, Skill

LABELS = ("Finch", "Wren", "Owl")
GROUPS = {
    "has_crown_color": ("red", "blue", "green"),
    "has_bill_shape": ("cone", "hooked"),
    "has_size": ("small", "large"),
}
PARTS = {"has_crown_color": "crown", "has_bill_shape": "bill", "has_size": ""}
WORDS = Vocabulary(
    tuple(
        Attribute(f"{group}::{value}", group, value, PARTS[group], "part" if PARTS[group] else "object")
        for group, values in GROUPS.items()
        for value in values
    ),
    tuple(GROUPS),
)
TABLE = torch.tensor([[1, 0, 0, 1, 0, 1, 0], [0, 1, 0, 1, 0, 1, 0], [0, 0, 1, 0, 1, 0, 1]]).float()
"""Finch and Wren are twins: only the crown tells them apart."""


class Body(nn.Module):
    """Three channels of the picture as they are, four times smaller, and one that is always there."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.Conv2d(3, 4, 4, 4)
        with torch.no_grad():
            self.pool.weight.zero_()
            for channel in range(3):
                self.pool.weight[channel, channel] = 1 / 16
            self.pool.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 1.0]))

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(x).relu()


def net(join: str = "bottleneck", pool: str = "average", **changes: object) -> AttributeNet:
    """Channel c of the picture is crown c; the bill is hooked and the bird large where it is green."""
    spec = AttributeSpec("any", LABELS, WORDS, join=join, pool=pool, stride=0, size=32, **changes)
    model = AttributeNet(spec, Trunk(Body())).eval()
    with torch.no_grad():
        model.attribute_head.what.weight.zero_()
        model.attribute_head.what.bias.zero_()
        model.attribute_head.what.weight[:3, :3] = 40 * torch.eye(3)
        for cone, hooked in ((3, 4), (5, 6)):
            model.attribute_head.what.weight[cone, 3], model.attribute_head.what.weight[hooked, 2] = 4.0, 60.0
        for layer, weights in ((model.class_head.of_attributes, 3 * TABLE), (model.class_head.of_features, None)):
            if layer is not None:
                layer.weight.copy_(20 * torch.eye(3, 4) if weights is None else weights)
            if layer is not None and layer.bias is not None:
                layer.bias.zero_()
    mean = TABLE.mean(0)
    model.skill = Skill.given(torch.full((7,), SEEN))
    model.calibration = replace(
        model.calibration, mean=mean, mean_logit=torch.tensor([4.0, 4, 4, 4, 8, 4, 8]), prototypes=TABLE
    )
    return model


def picture(channel: int = 0) -> torch.Tensor:
    x = torch.zeros(1, 3, 32, 32)
    x[:, channel, 8:16, 16:24] = 4.0
    return x


def told(model: nn.Module, x: torch.Tensor | None = None, **asked: object) -> Explanation:
    x = picture() if x is None else x
    return explain(model, x, method="gradcam", layers="last", labels=LABELS, **asked).one()


def test_the_front_door_returns_words_that_are_grounded_in_the_picture() -> None:
    found = told(net())
    assert found.decision.label == "Finch"
    assert found.sentences[0] == "This is a Finch because it has a red crown, a cone-shaped bill and a small size."
    crown = next(phrase for phrase in found.phrases if phrase.role == "why")
    assert (crown.text, crown.box) == ("red crown", pytest.approx((0.5, 0.25, 0.25, 0.25)))
    assert crown.probability > 0.9
    assert crown.energy is None
    assert float(crown.map.values.argmax()) in (2 * 8 + 4, 2 * 8 + 5)


def test_beside_the_energy_of_a_phrase_stands_what_an_even_map_has_on_the_object() -> None:
    mask = torch.zeros(1, 32, 32, dtype=torch.bool)
    mask[0, 6:17, 14:25] = True
    bare, grounded = told(net()).phrases, told(net(), foreground=mask).phrases
    even = sum(1.0 for row in mask[0] for cell in row if cell) / (32 * 32)
    assert {phrase.object_area for phrase in bare} == {None}
    measured = [phrase for phrase in grounded if phrase.energy is not None]
    assert [phrase.object_area for phrase in measured] == pytest.approx([even] * len(measured))
    assert measured[0].energy > 3 * even
    assert {phrase.object_area for phrase in grounded if phrase.energy is None} <= {None}


def test_twins_are_told_apart_by_the_one_thing_that_they_differ_in() -> None:
    found = told(net())
    assert "It is a Finch rather than a Wren, which would have a blue instead of a red crown." in found.sentences
    assert "It would be a Wren if it had a blue instead of a red crown." in found.sentences
    change = next(phrase for phrase in found.phrases if phrase.role == "change")
    assert (change.text, change.probability, change.contribution) == ("blue crown", None, None)
    assert "instead of a red crown" in change.note


def test_the_class_that_was_asked_for_takes_the_place_of_the_runner_up() -> None:
    found = told(net(), target="Finch", contrast="Owl")
    assert found.decision.against == 2
    assert any("rather than an Owl" in sentence for sentence in found.sentences)
    assert not any("Wren" in sentence for sentence in found.sentences)


def test_exchanging_the_two_classes_exchanges_their_roles() -> None:
    one, other = (
        told(net(), target="Finch", contrast="Wren"),
        told(net(), picture(1), target="Wren", contrast="Finch"),
    )
    swapped = {"Finch": "Wren", "Wren": "Finch", "red": "blue", "blue": "red"}
    words = one.sentences[1].split(" ")
    assert (
        " ".join(swapped.get(w.rstrip(","), w.rstrip(",")) + "," * w.endswith(",") for w in words)
        == other.sentences[1]
    )


def test_of_a_class_that_it_does_not_decide_for_the_network_never_says_that_it_is_one() -> None:
    found = told(net(), target="Owl")
    assert not any("is an Owl" in sentence or "rather than" in sentence for sentence in found.sentences)
    assert found.sentences[0].startswith("The network does not take this for an Owl")
    assert any(sentence.startswith("It would be an Owl if it had a green") for sentence in found.sentences)


def test_contributions_of_a_bottleneck_are_shares_of_what_was_weighed() -> None:
    model, x = net(), picture()
    found = told(model, x)
    with torch.no_grad():
        a = model.read(x).probabilities[0]
    g = model.class_head.of_attributes.weight[0].detach() * (a - model.calibration.mean)
    shares = {phrase.text: phrase.contribution for phrase in found.phrases if phrase.role == "why"}
    wanted = {"red crown": 0, "cone-shaped bill": 3, "small size": 5}
    assert shares == pytest.approx({text: float(g[at] / g.abs().sum()) for text, at in wanted.items()}, rel=1e-4)


def test_a_fusion_says_how_much_of_its_lead_attributes_carry() -> None:
    model = net("fusion")
    with torch.no_grad():
        model.class_head.of_features.weight.mul_(0.1)
    found = told(model)
    assert ", in part because it has a red crown" in found.sentences[0]
    assert found.sentences[-1].startswith("Attributes carry ")
    notes = [phrase.note for phrase in found.phrases if phrase.role == "why"]
    assert notes
    assert all(IN_PART in note for note in notes)
    with torch.no_grad():
        reading = model.read(picture())
    lead = float(reading.classes[0, 0] - reading.classes[0, 1])
    rows = model.class_head.of_attributes.weight.detach()
    carried = float((rows[0] - rows[1]) @ (reading.probabilities[0] - model.calibration.mean))
    assert f"Attributes carry {carried:.2g} of its lead of {lead:.2g} over a Wren" in found.sentences[-1]


@pytest.mark.parametrize("pool", ["average", "places"])
def test_parallel_never_says_because(pool: str) -> None:
    found = told(net("parallel", pool))
    assert "associated with this decision (not shown to cause it): a red crown" in found.sentences[0]
    assert not any("because" in sentence or "It would be" in sentence for sentence in found.sentences)
    assert found.phrases
    assert all(ASSOCIATED in phrase.note for phrase in found.phrases)


def test_along_the_gradient_is_along_the_weights_where_both_heads_read_the_same_features() -> None:
    draw = torch.Generator().manual_seed(3)
    features, w = torch.randn(4, 5, 6, generator=draw), torch.randn(7, 4, generator=draw)
    slope, means = torch.randn(4, generator=draw), torch.randn(7, generator=draw)
    c = centring(WORDS, exclusive=True)
    z = w @ features.mean((1, 2))
    found = field_contributions(lambda f: w @ f.mean((1, 2)), features, slope, means, c, range(7))
    wanted = sensitivity_contributions(slope[None], c @ w, (c @ z)[None], c @ means)[0]
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_along_the_gradient_is_the_shortest_move_of_the_feature_map() -> None:
    """The oracle: move the features along one attribute's gradient until it is at its mean, and see what s loses."""
    draw = torch.Generator().manual_seed(5)
    features, w, u = (torch.randn(*shape, generator=draw).double() for shape in ((3, 4, 4), (2, 3), (3,)))
    weights = torch.rand(4, 4, generator=draw).double()

    def logits(f: torch.Tensor) -> torch.Tensor:
        return torch.einsum("kc,chw,hw->k", w, f, weights)

    means = torch.tensor([0.3, -0.2]).double()
    found = field_contributions(logits, features, u, means, torch.eye(2).double(), [0, 1])
    for at in range(2):
        direction = w[at][:, None, None] * weights
        step = (logits(features)[at] - means[at]) / direction.square().sum()
        moved = features - step * direction
        assert float(logits(moved)[at]) == pytest.approx(float(means[at]))
        lost = u @ features.mean((1, 2)) - u @ moved.mean((1, 2))
        assert float(found[at]) == pytest.approx(float(lost), rel=1e-6)


def test_only_attributes_that_are_wanted_are_weighed_along_the_gradient() -> None:
    features, means = torch.rand(4, 5, 6), torch.zeros(7)
    found = field_contributions(
        lambda f: torch.rand(7, 4) @ f.mean((1, 2)), features, torch.ones(4), means, torch.eye(7), [2]
    )
    assert (found != 0).tolist() == [False, False, True, False, False, False, False]


def test_finer_features_are_held_while_the_last_ones_move() -> None:
    words = Vocabulary(WORDS.attributes[:3], ("has_crown_color",))
    model = AttributeNet(
        AttributeSpec("timm:resnet18", LABELS, words, join="parallel", reading=8, width=8, size=64,
                      model_args={"channels": (8, 8, 8, 8)}, preprocess={})
    ).eval()  # fmt: skip
    x = torch.randn(1, 3, 64, 64)
    seen = speaking_model(model).read(x)
    found = seen.strategy.contributions(torch.tensor([1.0, 0.0, 0.0]), [0, 1, 2])
    with torch.no_grad():
        last, finer = model.trunk.levels(x, model.levels)
    leaf = last.clone().requires_grad_()
    z = model.attribute_head(model.meeting([*finer, leaf])).logits[0]
    c = centring(words, exclusive=True)
    slope = model.class_head.of_features.weight[0].detach() / last[0, 0].numel()
    for at in range(3):
        (d,) = torch.autograd.grad((c @ z)[at], leaf, retain_graph=True)
        wanted = (slope[:, None, None] * d[0]).sum() / d.square().sum() * (c @ z)[at]
        assert float(found[at]) == pytest.approx(float(wanted), rel=1e-4)


class Curved(nn.Module):
    """A class head that is not linear in attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.out = nn.Linear(7, 16), nn.Linear(16, 3)

    def forward(self, v: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        return (
            self.out(self.inside(a).tanh()) + TABLE.to(a) @ a.T
            if a.ndim == 1
            else self.out(self.inside(a).tanh()) + a @ TABLE.T
        )


def test_a_class_head_that_is_not_linear_is_integrated_and_complete() -> None:
    model = net()
    torch.manual_seed(0)
    model.class_head = Curved()
    found = told(model, target=0)
    seen = speaking_model(model).read(picture())
    assert isinstance(seen.strategy, Integrated)
    assert torch.allclose(seen.strategy.decide(seen.probabilities[None])[0], seen.scores, atol=1e-5)
    assert any(phrase.contribution for phrase in found.phrases)
    assert not any("approximate" in phrase.note for phrase in found.phrases)


@pytest.mark.parametrize("join", ["parallel", "fusion", "bottleneck"])
def test_every_phrase_stands_in_its_sentence_and_names_its_attributes(join: str) -> None:
    found = told(net(join))
    assert {"why", "contrast"} <= {phrase.role for phrase in found.phrases}
    taken: set[tuple[int, int]] = set()
    for phrase in found.phrases:
        number, start, end = phrase.said
        own = {(number, at) for at in range(start, end)}
        assert not own & taken
        taken |= own
        words = found.sentences[number][start:end]
        assert phrase.text.split(" ")[0] in words
    named = {at for sentence in found.sentences for at in parse(sentence, WORDS)}
    assert named <= set(range(len(WORDS)))


def test_nothing_is_named_that_is_less_likely_than_not_however_low_its_threshold() -> None:
    model = net()
    model.calibration = replace(model.calibration, threshold=torch.full((7,), 0.01), slope=torch.full((7,), 0.01))
    found = told(model)
    likely = [phrase.probability for phrase in found.phrases if phrase.probability is not None]
    assert likely
    assert min(likely) >= 0.5


def test_where_nothing_is_sure_nothing_is_named() -> None:
    model = net()
    model.calibration = replace(model.calibration, threshold=torch.full((7,), 0.9999999))
    found = told(model)
    assert found.sentences == ("This looks like a Finch, but no attribute is sure enough to be named.",)


def test_words_are_the_same_twice_and_one_by_one() -> None:
    batch = torch.cat([picture(0), picture(1), picture(2)])
    model = net()
    together = explain(model, batch, method=["gradcam", "hirescam"], layers="last", labels=LABELS)
    assert len(together) == 6
    assert all(item.sentences for item in together)
    for at in range(3):
        alone = told(model, batch[at : at + 1])
        for item in together.items[2 * at : 2 * at + 2]:
            assert item.sentences == alone.sentences


def test_the_network_comes_back_as_it_was() -> None:
    model = net("parallel", "places").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    told(model)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_words_survive_saving(tmp_path) -> None:
    found = told(net())
    found.save(tmp_path)
    read = Explanations.load(tmp_path).one()
    assert read.sentences == found.sentences
    assert found.phrases
    for one, other in zip(found.phrases, read.phrases, strict=True):
        assert (one.text, one.role, one.note, one.said, one.box) == (
            other.text,
            other.role,
            other.note,
            other.said,
            other.box,
        )
        assert torch.equal(one.map.values, other.map.values)


def test_a_network_without_words_and_a_decision_that_is_no_class_stay_silent() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    assert told(plain).sentences == ()
    assert told(net(), target=lambda scores: scores.sum(1)).sentences == ()
    far = Prototypes(torch.eye(4)[:3])
    found = explain(net("parallel"), picture(), target=far, method="gradcam", layers="last").one()
    assert (found.sentences, found.phrases) == ((), ())


def test_of_answers_that_are_no_numbers_nothing_is_claimed() -> None:
    net = load_birdnet()
    with torch.no_grad():
        net.class_head.weight.fill_(torch.nan)
    (item,) = explain(net, torch.rand(1, 3, 64, 64), method="gradcam")
    assert item.sentences == (NO_NUMBERS,)
    assert item.phrases == ()


def test_the_words_file_belongs_to_the_bundled_network() -> None:
    """Fails where the network was trained anew and `sightline.tasks.attributes.train.bundled_words` was not run."""
    bird = load_birdnet()
    known = bird_words(bird)
    assert known.patterns is not None
    assert known.patterns.shape == (bird.class_head.in_features, len(bird.attributes))
    assert known.calibration.prototypes.shape == (len(bird.labels), len(bird.attributes))
    assert bool(known.calibration.prototypes.isfinite().all())


def test_of_other_weights_of_its_kind_nothing_is_claimed_to_be_known() -> None:
    other = load_birdnet()
    with torch.no_grad():
        other.class_head.weight[0, 0] += 1e-3
    known = bird_words(other)
    assert fingerprint(other) != fingerprint(load_birdnet())
    assert known.patterns is None
    assert bool(known.calibration.prototypes.isnan().all())
    group = known.vocabulary.groups[0]
    assert known.calibration.mean[list(group.members)].tolist() == pytest.approx(
        [1 / len(group.members)] * len(group.members)
    )
    found = explain(other, torch.zeros(1, 3, 128, 128), method="gradcam", layers="last").one()
    assert {phrase.role for phrase in found.phrases} <= {"unproven"}
    assert "never measured" in found.sentences[0]


def test_maps_of_the_bundled_network_add_up_to_its_attribute_logits() -> None:
    torch.manual_seed(0)
    bird = BirdNet(
        BirdNetSpec(("a", "b"), tuple(f"{g}::{v}" for g, vs in GROUPS.items() for v in vs), (8, 8, 8, 8))
    ).eval()
    with torch.no_grad():
        bird.attribute_head.where.weight.normal_()
    x = torch.randn(1, 3, 64, 64)
    seen = speaking_model(bird).read(x)
    with torch.no_grad():
        z = bird.attribute_logits(x)[0]
    assert torch.allclose(seen.maps.sum((1, 2)) + bird.attribute_head.what.bias.detach(), z, atol=1e-5)
    words = vocabulary_of(bird)
    assert (words.exclusive, nothing(words, 2).mean[0]) == (tuple(GROUPS), pytest.approx(1 / 3))


def test_patterns_are_the_slopes_of_features_over_logits() -> None:
    draw = torch.Generator().manual_seed(2)
    z = torch.randn(200, 7, generator=draw)
    v = z @ torch.randn(7, 3, generator=draw) + 0.1 * torch.randn(200, 3, generator=draw)
    found = patterns_of(v, z, torch.eye(7))
    for k in range(7):
        slopes = [
            float(torch.linalg.lstsq(torch.stack([z[:, k], torch.ones(200)], 1), v[:, c]).solution[0])
            for c in range(3)
        ]
        assert found[:, k].tolist() == pytest.approx(slopes, rel=1e-3, abs=1e-5)
    assert torch.equal(patterns_of(v, torch.ones(200, 7), torch.eye(7)), torch.zeros(3, 7))


class Flat:
    """A reader made by hand: attributes that speak for and against nothing."""

    vocabulary, labels, named = WORDS, LABELS, True
    calibration: Calibration = Calibration.nothing(3, 7)
    skill: Skill = Skill.given(torch.full((7,), SEEN))


def test_contributions_that_are_all_zero_make_no_shares_and_no_reasons() -> None:
    likely = torch.full((7,), 0.9)
    strategy = Linear(torch.zeros(3, 7), torch.zeros(3), likely, Flat.calibration.mean)
    seen = PictureOutput(torch.zeros(3), torch.zeros(7), likely, torch.zeros(7, 4, 4), strategy)
    words = narration(Flat(), seen, Decision("Finch", 0.0, 0))
    assert words.sentences[0].startswith("This looks like a Finch, but no attribute")
    assert words.phrases == ()
