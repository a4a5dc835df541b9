"""What an audit is given: recomputed by hand from the network and from the drawings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sightline.errors import DataError
from sightline.models.trunk import Trunk
from sightline.models.zoo.birdnet import BirdNet, BirdNetSpec
from sightline.tasks.attributes.audit.data import drawn_again, fitting, watched
from sightline.tasks.attributes.audit.neglect import unused
from sightline.tasks.attributes.audit.observe import observe
from sightline.tasks.attributes.audit.scenes import _donors, redraw
from sightline.tasks.attributes.data import read_attributes
from sightline.tasks.attributes.data.aviary import aviary_vocabulary
from sightline.tasks.attributes.data.examples import from_scenes
from sightline.tasks.attributes.data.places import NOWHERE
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec
from sightline.tasks.attributes.train.calibrate import normalised
from sightline.worlds.aviary import FAMILIES, GROUPS, PARTS, World, WorldConfig
from sightline.worlds.aviary.batch import batch_of
from sightline.worlds.aviary.dataset import rendered
from sightline.worlds.aviary.layout import write_world

WORLD = World(WorldConfig(species=6, seed=3))
SIZE = 48


def network(join="bottleneck", pool="places", classes=WORLD.labels, reading=0):
    spec = AttributeSpec(
        backbone="bird", classes=classes, vocabulary=aviary_vocabulary(), join=join, pool=pool, stride=8, size=SIZE,
        reading=reading, preprocess={"mean": [0.5] * 3, "std": [0.25] * 3},
    )  # fmt: skip
    small = BirdNetSpec(("a", "b"), ("x::y",), (8, 8, 12, 16), (1, 1, 1, 1), 8, SIZE)
    torch.manual_seed(0)
    return AttributeNet(spec, Trunk(BirdNet(small))).eval()


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    drawn = rendered(WORLD, 0, 24, size=SIZE, folder=tmp_path_factory.mktemp("scenes"), workers=1)
    return from_scenes(drawn, aviary_vocabulary())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_world(WORLD, tmp_path_factory.mktemp("world") / "birds", 40, size=64, image_format="png")


NAMES = tuple(f"{i}" for i in range(24))


def test_what_the_network_says_is_kept(examples):
    net = network()
    seen = observe(net, examples, NAMES, batch=7)
    with torch.no_grad():
        reading = net.read(normalised(net, examples.images))
    assert torch.allclose(seen.class_logits, reading.classes, atol=1e-5)
    assert torch.allclose(seen.probabilities, reading.probabilities, atol=1e-5)
    assert torch.allclose(seen.features[:, 16:], reading.logits, atol=1e-5)
    assert not seen.class_logits.requires_grad


def test_contributions_of_a_bottleneck_add_up_to_the_margin_over_the_mean(examples):
    net = network()
    net.calibration = replace(net.calibration, mean=torch.rand(80, generator=torch.manual_seed(0)))
    seen = observe(net, examples, NAMES)
    top = seen.class_logits.topk(2, dim=1)
    mean = net.class_head.of_attributes(net.calibration.mean[None])[0].detach()
    wanted = (top.values[:, 0] - top.values[:, 1]) - (mean[top.indices[:, 0]] - mean[top.indices[:, 1]])
    assert torch.allclose(seen.contributions.sum(1), wanted, atol=1e-4)


def test_a_join_without_a_path_has_no_head_and_associated_contributions(examples):
    seen = observe(network("parallel"), examples, NAMES)
    assert seen.head is None
    assert seen.contributions.abs().sum() > 0


def test_where_attributes_are_read_off_finer_features_and_lead_nowhere_none_is_called_unused(examples):
    seen = observe(network("parallel", reading=4), examples, tuple(f"p{i}" for i in range(len(examples))))
    assert seen.contributions is None
    assert "nothing leads from them" in unused(seen).skipped


def test_energy_is_the_share_of_the_class_map_on_the_object(examples):
    net = network("parallel", "average")
    seen = observe(net, examples, NAMES)
    features = net.read(normalised(net, examples.images)).features.detach()
    weights = net.class_head.of_features.weight[seen.decided].detach()
    maps = torch.einsum("bchw,bc->bhw", features, weights).relu()
    inside = torch.nn.functional.adaptive_avg_pool2d((examples.parts > 0)[:, None].float(), maps.shape[1:])[:, 0]
    wanted = (maps * inside).sum((1, 2)) / maps.sum((1, 2))
    known = seen.energy.isfinite()
    assert known.sum() > 10
    assert torch.allclose(seen.energy[known], wanted[known], atol=1e-4)
    assert ((seen.prior[known] >= 0) & (seen.prior[known] <= 1)).all()
    scaled = maps[known] / maps[known].sum((1, 2), keepdim=True)
    others = [(sum(m for j, m in enumerate(scaled) if j != i) / (len(scaled) - 1)) for i in range(len(scaled))]
    means = torch.stack([(one * part).sum() for one, part in zip(others, inside[known], strict=True)])
    assert torch.allclose(seen.mean_map[known], means, atol=1e-4)
    assert torch.allclose(seen.area, inside.mean((1, 2)))


def test_looks_are_the_parts_in_the_cell_of_the_peak(examples):
    net = network()
    seen = observe(net, examples, NAMES)
    with torch.no_grad():
        shares = net.read(normalised(net, examples.images)).attributes.shares
    row, group = 5, 3
    height, width = shares.shape[2:]
    y, x = divmod(int(shares[row, group].argmax()), width)
    side = examples.parts.shape[1] // height
    cell = examples.parts[row, y * side : (y + 1) * side, x * side : (x + 1) * side]
    wanted = [float((cell == p).float().mean()) for p in range(1, len(PARTS) + 1)]
    assert seen.part_attention[row, group].tolist() == pytest.approx(wanted, abs=1e-5)


def test_pictures_without_masks_have_neither_energy_nor_looks(examples):
    blind = replace(examples, parts=torch.full_like(examples.parts, NOWHERE))
    seen = observe(network(), blind, NAMES)
    assert seen.energy is None
    assert seen.part_attention is None


def test_donors_are_of_other_classes_and_have_other_backgrounds():
    for index in range(5):
        scene = WORLD.scene(index)
        for donor in _donors(WORLD, scene):
            assert donor.species != scene.species
            assert donor.backdrop.family != scene.backdrop.family


def test_decisions_of_redrawn_scenes_are_those_of_the_drawings():
    net = network("parallel", "average")
    scenes = [WORLD.scene(i) for i in range(3)]
    again = redraw(net, WORLD, scenes, torch.rand(6, 80), size=SIZE, changed=2)
    by_hand = batch_of([replace(scenes[1], backdrop=d.backdrop) for d in _donors(WORLD, scenes[1])], SIZE)
    with torch.no_grad():
        said = net(normalised(net, by_hand.images)).argmax(1)
    assert torch.equal(again.swapped[1], said)
    assert again.donors[1].tolist() == [d.species for d in _donors(WORLD, scenes[1])]
    assert again.moves[2].isnan().all()
    assert not again.moves[:2].isnan().all()


def test_movement_is_half_the_sum_of_differences_of_probabilities():
    net = network("parallel", "average")
    scene = WORLD.scene(1)
    again = redraw(net, WORLD, [scene], torch.rand(6, 80), size=SIZE, changed=1)
    moves = again.moves[0]
    seen = ~moves.isnan().all(1)
    assert seen.any()
    assert ((moves[seen] >= 0) & (moves[seen] <= 1)).all()
    assert len(GROUPS) == moves.shape[0]
    assert len(FAMILIES) > 2


def test_classes_are_counted_as_the_network_counts_them(folder, tmp_path):
    data = read_attributes(folder)
    turned = network(classes=tuple(reversed(WORLD.labels)))
    audited = fitting(turned, data)
    assert audited.data.labels.tolist() == (5 - data.labels).tolist()
    seen = watched(turned, audited, tmp_path)
    again = drawn_again(turned, audited, seen, 4)
    rows = sorted(range(len(data)), key=lambda row: (data.split[row] != 2, row))[:4]
    assert again.labels.tolist() == [int(audited.data.labels[row]) for row in rows]


def test_a_limit_keeps_the_same_pictures_whatever_their_order(folder):
    audited = fitting(network(), read_attributes(folder), limit=9)
    assert len(audited.data) == 9
    assert any("9 of 40 pictures" in note for note in audited.notes)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: replace(data, classes=("001.Amber Owl", *data.classes[1:])), "the network has no class"),
        (lambda data: data.only(range(70)), "there is no attribute"),
    ],
)
def test_data_of_another_vocabulary_is_refused(folder, change, text):
    with pytest.raises(DataError, match=text):
        fitting(network(), change(read_attributes(folder)))


def test_a_class_without_a_training_picture_may_be_strange_to_the_network(folder):
    data = read_attributes(folder)
    first = data.labels == 0
    tested = replace(data, split=np.where(first, 2, data.split), classes=("001.Amber Owl", *data.classes[1:]))
    audited = fitting(network(), tested)
    assert len(audited.data) == int((~first).sum())
    assert f"{int(first.sum())} pictures of classes without a training picture are left out" in audited.notes
    assert audited.data.labels.tolist() == data.labels[~first].tolist()


def test_splits_that_are_not_there_are_refused(folder):
    data = read_attributes(folder, validation=0.0)
    with pytest.raises(DataError, match="no picture in the split 'validation'"):
        fitting(network(), data, "validation")
    with pytest.raises(DataError, match="near names: 'train'"):
        fitting(network(), data, "trian")
