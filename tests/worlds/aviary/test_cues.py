import numpy as np
import pytest
import torch

from sightline.errors import DataError
from sightline.worlds.aviary import FAMILIES, GROUPS, World, WorldConfig, cues, render
from sightline.worlds.aviary.attributes import group_index
from sightline.worlds.aviary.batch import batch_of, render_batch
from sightline.worlds.aviary.certificate import certify, rate, scene_pairs
from sightline.worlds.aviary.cues import bayes_cues, required_cue


def worth(world: World, name: str, scenes: int = 600):
    return next(cue for cue in bayes_cues(world, scenes) if cue.name == name)


@pytest.mark.parametrize("cue", ["foreground", "background", "part:wing", "part:crown", "part:leg"])
def test_a_preset_requires_its_cue_and_no_other(cue) -> None:
    world = World(WorldConfig(cue=cue))
    assert required_cue(world, 200) == cue
    for row in bayes_cues(world, 200):
        if row.sufficient and row.name != cue:
            assert row.name == "foreground"
            assert cue.startswith("part:")


def test_a_background_alone_is_worth_its_closed_form() -> None:
    world = World(WorldConfig(cue="part:leg", species=2, background_correlation=0.6))
    homes = len(FAMILIES)
    by_hand = sum(max(0.6 * (f == c) + 0.4 / homes for c in (0, 1)) / 2 for f in range(homes))
    assert worth(world, "background", 1500).alone == pytest.approx(by_hand, abs=0.03)


def test_a_part_alone_is_worth_its_closed_form() -> None:
    world = World(WorldConfig(cue="part:leg", species=3, variation=0.3))
    assert worth(world, "part:leg").alone == pytest.approx(0.7 + 0.3 / 3, abs=1e-6)


def test_label_noise_lowers_every_worth_as_it_must() -> None:
    config = {"cue": "part:leg", "species": 3, "variation": 0.3}
    clean, noisy = World(WorldConfig(**config)), World(WorldConfig(**config, label_noise=0.2))
    share = worth(clean, "part:leg").alone
    assert 0.7 < share < 0.9
    assert worth(noisy, "part:leg").alone == pytest.approx(share * 0.8 + (1 - share) * 0.2 / 2, abs=1e-9)


def test_a_missing_part_is_worth_chance() -> None:
    world = World(WorldConfig(cue="part:wing", drop_out=1.0))
    assert worth(world, "part:wing").alone == pytest.approx(1 / world.config.count)
    assert required_cue(world, 50) == "mixed"


def test_a_copied_colour_tells_of_a_hidden_breast() -> None:
    config = {"cue": "part:breast", "species": 7}
    plain, copied = World(WorldConfig(**config)), World(WorldConfig(**config, entanglement=0.8))
    assert worth(plain, "part:breast").without == pytest.approx(1 / 7, abs=0.01)
    assert worth(copied, "part:breast").without > 0.25


def test_entangled_worth_equals_brute_force_over_the_breast() -> None:
    world = World(WorldConfig(cue="part:breast", species=5, entanglement=0.5, variation=0.1, seed=2))
    belly, breast = group_index("belly_color"), group_index("breast_color")
    table = np.zeros((5, 7))
    for c, kind in enumerate(world.species):
        for colour in range(7):
            own = 0.9 * (kind.code[breast] == colour) + 0.1 / 7
            for value in range(7):
                table[c, value] += own * (0.5 * (value == colour) + 0.5 / 7)
    drawn = [world.scene(index).values[belly] for index in range(300)]
    by_hand = np.mean([table[:, value].max() / table[:, value].sum() for value in drawn])
    assert worth(world, "part:belly", 300).alone == pytest.approx(by_hand, abs=1e-9)


def wing_reader(world: World):
    """A model that knows the wing's true values of the very images it is shown, and nothing else."""
    groups = [g for g, group in enumerate(GROUPS) if group.part == "wing"]
    book: dict[bytes, int] = {}

    def remember(scene) -> None:
        codes = [[kind.code[g] for g in groups] for kind in world.species]
        values = [scene.values[g] for g in groups]
        best = int(np.argmin([sum(a != b for a, b in zip(code, values, strict=True)) for code in codes]))
        book[render(scene, 48).image.tobytes()] = best

    def model(images: torch.Tensor) -> torch.Tensor:
        keys = [image.permute(1, 2, 0).contiguous().numpy().tobytes() for image in images]
        return torch.nn.functional.one_hot(torch.tensor([book[key] for key in keys]), len(world.species)).float()

    return model, remember


@pytest.mark.parametrize(("cue", "certified"), [("part:wing", True), ("background", False), ("part:tail", False)])
def test_a_model_that_reads_the_wing_is_certified_for_the_wing_only(cue, certified) -> None:
    from sightline.worlds.aviary.counterfactual import with_cue, without_cue

    world = World(WorldConfig(cue="part:wing", variation=0.0))
    model, remember = wing_reader(world)
    for one, other in scene_pairs(world, 14, 100):
        for scene in (one, other, with_cue(one, other, cue), without_cue(one, other, cue)):
            remember(scene)
    found = certify(model, world, cue, pairs=14, size=48, first=100)
    assert found.pairs == 14
    assert found.certified is certified
    assert (found.follows.share, found.stays.share) == ((1.0, 1.0) if certified else (0.0, 0.0))


def test_a_model_that_knows_nothing_cannot_be_certified() -> None:
    def constant(images: torch.Tensor) -> torch.Tensor:
        return torch.eye(8)[:1].expand(len(images), 8)

    with pytest.raises(DataError, match="classifies none"):
        certify(constant, World(WorldConfig(cue="background")), "background", pairs=3, size=16)


def test_all_of_few_is_no_certainty() -> None:
    assert rate(np.ones(5, bool)).interval[0] < 0.8
    assert 0.9 < rate(np.ones(60, bool)).interval[0] < 1


def test_a_bootstrap_interval_covers_the_binomials() -> None:
    hits = np.arange(100) < 70
    low, high = rate(hits).interval
    assert low == pytest.approx(0.7 - 1.96 * np.sqrt(0.21 / 100), abs=0.02)
    assert high == pytest.approx(0.7 + 1.96 * np.sqrt(0.21 / 100), abs=0.02)


def test_a_batch_holds_what_single_renderings_hold(world) -> None:
    batch = render_batch(world, range(4), 32)
    for row in range(4):
        drawn = render(world.scene(row), 32)
        np.testing.assert_array_equal(batch.images[row].permute(1, 2, 0).numpy(), drawn.image)
        np.testing.assert_array_equal(batch.parts[row].numpy(), drawn.parts)
        np.testing.assert_array_equal(batch.foreground[row].numpy(), drawn.foreground)
        assert batch.labels[row] == world.scene(row).label
    assert batch.attributes.sum(1).tolist() == [len(GROUPS)] * 4
    assert batch.normalised((0.5,) * 3, (0.25,) * 3).abs().max() <= 2


def test_binary_attributes_name_the_values(world) -> None:
    scene = world.scene(0)
    hot = batch_of([scene], 16).attributes[0]
    said = {world.attributes[i] for i in hot.nonzero().flatten().tolist()}
    assert said == {f"{g.name}::{g.values[v]}" for g, v in zip(GROUPS, scene.values, strict=True)}


def test_the_cues_of_a_world_are_computed_once_and_those_of_another_anew(monkeypatch):
    drawn = []
    evidence = cues._Evidence.of
    monkeypatch.setattr(cues._Evidence, "of", lambda *about: drawn.append(about) or evidence(*about))
    for _ in range(2):
        assert bayes_cues(World(WorldConfig(seed=77)), 20) == bayes_cues(World(WorldConfig(seed=77)), 20)
        required_cue(World(WorldConfig(seed=77)), 20)
        bayes_cues(World(WorldConfig(seed=77)), 21)
        bayes_cues(World(WorldConfig(seed=78)), 20)
    assert len(drawn) == 3
