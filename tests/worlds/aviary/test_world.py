from dataclasses import replace

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.worlds.aviary import FAMILIES, GROUPS, PARTS, World, WorldConfig
from sightline.worlds.aviary.attributes import group_index

SCENES = range(800)


def scenes(count=len(SCENES), **config):
    world = World(WorldConfig(**{"species": 8, "seed": 4, **config}))
    return world, [world.scene(index) for index in range(count)]


def within(share: float, wanted: float, trials: int) -> bool:
    """Four standard errors around the wanted share."""
    return abs(share - wanted) <= 4 * np.sqrt(max(wanted * (1 - wanted), 1e-9) / trials) + 1e-9


def test_a_scene_depends_on_seed_and_index_only(world) -> None:
    again = World(WorldConfig(species=8, seed=4))
    assert again.scene(7) == world.scene(7)
    assert world.scene(7) != world.scene(8)
    assert replace(World(WorldConfig(species=8, seed=5)).scene(7)) != world.scene(7)


def test_every_aspect_of_every_scene_has_a_stream_of_its_own(world) -> None:
    aspects = (
        "species",
        "values",
        "pose",
        "light",
        "backdrop",
        "covers",
        "noise",
        "missing",
        "perch",
        "seed",
        "split",
    )
    firsts = {world.stream(index, aspect).random() for index in range(5) for aspect in aspects}
    assert len(firsts) == 5 * len(aspects)


def test_every_block_holds_every_class_once(world) -> None:
    for block in range(3):
        assert sorted(world.scene(8 * block + i).species for i in range(8)) == list(range(8))


def test_species_are_three_groups_apart_and_twins_one() -> None:
    world = World(WorldConfig())
    kinds = world.species
    assert len(kinds) == 20
    assert len({kind.name for kind in kinds}) == 20
    for i, one in enumerate(kinds):
        for j, other in enumerate(kinds):
            if one.twin == j:
                assert other.twin == i
                assert one.distance(other) == 1
            elif i != j:
                assert one.distance(other) >= 2
    plain = [kind for kind in kinds if kind.twin is None]
    assert min(a.distance(b) for a in plain for b in plain if a is not b) >= 3
    assert sum(kind.twin is not None for kind in kinds) == 6


def test_even_entangled_species_are_three_groups_apart() -> None:
    kinds = World(WorldConfig(species=60, twins=0, entanglement=0.8)).species
    assert min(a.distance(b) for a in kinds for b in kinds if a is not b) == 3


def test_without_variation_a_bird_has_its_species_code() -> None:
    world, drawn = scenes(100, variation=0.0)
    for scene in drawn:
        code = world.species[scene.species].code
        assert all(own is None or own == value for own, value in zip(code, scene.values, strict=True))


def test_variation_is_the_share_of_redrawn_values() -> None:
    world, drawn = scenes(variation=0.3)
    group = group_index("crown_color")
    departs = [scene.values[group] != world.species[scene.species].code[group] for scene in drawn]
    assert within(np.mean(departs), 0.3 * 6 / 7, len(drawn))


def test_background_correlation_is_the_excess_of_home_families() -> None:
    world, drawn = scenes(background_correlation=0.6)
    at_home = np.mean([scene.backdrop.family == world.species[scene.species].home for scene in drawn])
    assert within(at_home, 0.6 + 0.4 / len(FAMILIES), len(drawn))


def test_entanglement_is_the_excess_of_copied_colours() -> None:
    _, drawn = scenes(entanglement=0.7)
    breast, belly = group_index("breast_color"), group_index("belly_color")
    same = np.mean([scene.values[breast] == scene.values[belly] for scene in drawn])
    assert within(same, 0.7 + 0.3 / 7, len(drawn))


def test_label_noise_is_the_share_of_wrong_labels() -> None:
    _, drawn = scenes(label_noise=0.25)
    assert within(np.mean([scene.label != scene.species for scene in drawn]), 0.25, len(drawn))


def test_attribute_noise_is_the_share_of_wrong_notes_per_group() -> None:
    _, drawn = scenes(attribute_noise=0.1)
    wrong = np.array([np.not_equal(scene.noted, scene.values) for scene in drawn])
    assert within(wrong.mean(), 0.1, wrong.size)
    assert all(within(share, 0.1, len(drawn)) for share in wrong.mean(0))


def test_drop_out_is_the_share_of_missing_parts() -> None:
    _, drawn = scenes(drop_out=0.2)
    missing = np.array([[part in scene.missing for part in PARTS] for scene in drawn])
    assert within(missing.mean(), 0.2, missing.size)


def test_train_share_is_the_share_of_training_scenes() -> None:
    world = World(WorldConfig(train_share=0.7))
    assert within(np.mean([world.in_train(index) for index in SCENES]), 0.7, len(SCENES))


def test_layouts_differ_in_distance_from_the_middle() -> None:
    away = {}
    for layout in ("edges", "uniform", "centre"):
        _, drawn = scenes(300, layout=layout)
        away[layout] = np.mean([np.hypot(s.pose.x - 0.5, s.pose.y - 0.5) for s in drawn])
    assert away["edges"] > 1.3 * away["uniform"] > 1.3 * 1.3 * away["centre"]


def test_bird_size_scales_every_bird() -> None:
    (_, big), (_, small) = scenes(100, bird_size=1.0), scenes(100, bird_size=0.5)
    assert all(np.isclose(a.pose.length, 2 * b.pose.length) for a, b in zip(big, small, strict=True))


def test_knobs_that_are_off_move_nothing_else(world) -> None:
    noisy = World(WorldConfig(species=8, seed=4, label_noise=0.5, attribute_noise=0.5, drop_out=0.5))
    for index in range(30):
        plain, other = world.scene(index), noisy.scene(index)
        assert plain == replace(other, label=plain.label, noted=plain.noted, missing=())


@pytest.mark.parametrize("cue", ["part:wing", "part:bill"])
def test_a_part_world_leaves_all_other_groups_to_chance(cue) -> None:
    world = World(WorldConfig(cue=cue))
    own = {g for g, group in enumerate(GROUPS) if group.part == cue[5:]}
    for kind in world.species:
        assert {g for g, value in enumerate(kind.code) if value is not None} == own
    assert len({kind.code for kind in world.species}) == len(world.species)


def test_a_background_world_has_one_family_per_class() -> None:
    world = World(WorldConfig(cue="background"))
    assert len({kind.home for kind in world.species}) == len(world.species) == len(FAMILIES)
    assert all(world.scene(i).backdrop.family == world.species[world.scene(i).species].home for i in range(50))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"cue": "part:wings"}, "part:wing"),
        ({"cue": "foregruond"}, "foreground"),
        ({"layout": "center"}, "centre"),
        ({"label_noise": 1.2}, "between 0 and 1"),
        ({"occluders": -1.0}, "between 0 and 12"),
        ({"cue": "background", "species": 9}, "2 to 8"),
        ({"cue": "part:leg", "species": 4}, "2 to 3"),
        ({"species": 1}, "2 to 200"),
    ],
)
def test_a_senseless_knob_is_refused_before_any_work(config, says) -> None:
    with pytest.raises(DataError, match=says):
        WorldConfig(**config)


def test_too_many_species_for_an_entangled_world_are_refused() -> None:
    with pytest.raises(DataError, match="lower the entanglement"):
        _ = World(WorldConfig(species=200, entanglement=1.0)).species


def test_a_negative_scene_is_refused(world) -> None:
    with pytest.raises(DataError, match="count from 0"):
        world.scene(-1)
