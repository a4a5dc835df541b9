import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.errors import ModelError, TrainingError
from sightline.models.zoo.birdnet import BirdNet, BirdNetSpec, load_birdnet, save_birdnet
from sightline.worlds.aviary import GROUPS, World, WorldConfig, render
from sightline.worlds.aviary.attributes import offsets, part_id

pytest.importorskip("lightning")

from sightline.tasks.bird.metrics import Reading, measure
from sightline.tasks.bird.module import attribute_loss, group_masks, place_loss
from sightline.tasks.bird.recipe import BirdRecipe
from sightline.tasks.bird.train import train_birdnet
from sightline.training.augmentation import augmented
from sightline.training.sampling import EpochOrder
from sightline.worlds.aviary import dataset as bird_scenes
from sightline.worlds.aviary.dataset import Scenes, rendered

TINY = BirdRecipe().toy().but(scenes=20, random_scenes=20, held_out=20, size=32)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("birdnet") / "net.safetensors"
    train_birdnet(out, recipe=TINY.but(epochs=2))
    return out


def test_the_command_writes_weights_a_card_and_nothing_half_done(trained) -> None:
    assert sorted(path.name for path in trained.parent.iterdir()) == [
        "net.html",
        "net.md",
        "net.safetensors",
        "net.work",
    ]
    page = trained.with_suffix(".html").read_text()
    assert "held-out scenes" in page
    assert "<h3>Loss</h3>" in page
    net, card = load_birdnet(trained), trained.with_suffix(".md").read_text()
    assert net.labels == World().labels
    assert "20 held-out scenes" in card
    assert all(group.name in card for group in GROUPS)


def test_a_run_repeats_bit_for_bit(trained, tmp_path) -> None:
    train_birdnet(tmp_path / "net.safetensors", recipe=TINY.but(epochs=2), work=trained.with_suffix(".again"))
    assert (tmp_path / "net.safetensors").read_bytes() == trained.read_bytes()


def test_a_work_folder_of_another_recipe_is_refused(trained) -> None:
    with pytest.raises(TrainingError, match=r"--lr was 0\.003, is now 0\.01"):
        train_birdnet(trained, recipe=TINY.but(epochs=2, lr=0.01))


def test_kept_scenes_are_the_rendered_ones_and_are_not_drawn_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(bird_scenes, "CHUNK", 4)
    world = World(WorldConfig(species=4))
    first = rendered(world, 3, 6, size=32, folder=tmp_path, workers=2)
    monkeypatch.setattr(bird_scenes, "render_batch", None)
    again = rendered(world, 3, 6, size=32, folder=tmp_path, workers=1)
    for row in range(6):
        scene = world.scene(3 + row)
        np.testing.assert_array_equal(again.images[row].permute(1, 2, 0).numpy(), render(scene, 32).image)
        assert again.labels[row] == scene.species
        assert tuple(again.values[row].tolist()) == scene.values
    assert torch.equal(first.images, again.images)
    assert again.cpu > 0


def test_another_world_is_drawn_anew(tmp_path) -> None:
    for seed in (0, 1):
        rendered(World(WorldConfig(seed=seed)), 0, 2, size=16, folder=tmp_path, workers=1)
    assert len(list(tmp_path.iterdir())) == 2


def test_every_epoch_shows_every_batch_once_in_another_order() -> None:
    order = EpochOrder(10, 3, seed=5)
    first = list(order)
    order.set_epoch(1)
    second = list(order)
    for batches in (first, second):
        assert [len(batch) for batch in batches] == [3, 3, 3]
        assert len({place for batch in batches for place in batch}) == 9
    assert first != second
    order.set_epoch(0)
    assert list(order) == first


def test_the_attribute_loss_is_the_mean_over_visible_groups() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, offsets()[-1], generator=generator, dtype=torch.float64)
    values = torch.stack([torch.randint(len(g.values), (3,), generator=generator) for g in GROUPS], dim=1)
    visible = torch.rand(3, len(GROUPS), generator=generator) < 0.6
    terms = []
    for row in range(3):
        for g, start in enumerate(offsets()[:-1]):
            if visible[row, g]:
                z = logits[row, start : start + len(GROUPS[g].values)].tolist()
                terms.append(math.log(sum(map(math.exp, z))) - z[values[row, g]])
    assert attribute_loss(logits, values, visible).item() == pytest.approx(sum(terms) / len(terms))


def test_a_hidden_part_gives_no_gradient() -> None:
    logits = torch.zeros(1, offsets()[-1], requires_grad=True)
    visible = torch.ones(1, len(GROUPS), dtype=torch.bool)
    visible[0, 3] = False
    loss = attribute_loss(logits, torch.zeros(1, len(GROUPS), dtype=torch.long), visible)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient[0, offsets()[3] : offsets()[4]] == 0).all()
    assert (gradient[0, : offsets()[3]] != 0).all()


def test_augmentation_keeps_shape_and_range_and_moves_the_parts_along() -> None:
    mean, std = torch.full((1, 3, 1, 1), 0.5), torch.full((1, 3, 1, 1), 0.25)
    parts = torch.zeros(6, 16, 16, dtype=torch.uint8)
    parts[:, 5:9, 3:6] = 7
    images = (parts.repeat_interleave(2, 1).repeat_interleave(2, 2) // 7 * 255)[:, None].expand(-1, 3, -1, -1)
    for seed in range(4):
        x, moved = augmented(images, parts, mean, std, torch.Generator().manual_seed(seed))
        assert x.shape == images.shape
        assert x.min() >= -2
        assert x.max() <= 2
        assert torch.equal(x[:, 0, ::2, ::2] > 0, moved == 7)
    assert not torch.equal(moved, parts)


def test_the_place_loss_is_least_on_the_part_and_known_by_hand() -> None:
    parts = torch.zeros(1, 8, 8, dtype=torch.uint8)
    parts[0, :4, :4] = part_id("eye")
    visible = torch.zeros(1, len(GROUPS), dtype=torch.bool)
    eye = [group.name for group in GROUPS].index("has_eye_color")
    visible[0, eye] = True
    even = torch.full((1, len(GROUPS), 2, 2), 0.25)
    right = even.clone()
    right[0, eye] = torch.tensor([[0.97, 0.01], [0.01, 0.01]])
    assert place_loss(even, parts, visible).item() == pytest.approx(math.log(4))
    assert place_loss(right, parts, visible).item() == pytest.approx(-math.log(0.97))
    assert place_loss(right, parts, torch.zeros_like(visible)).item() == 0
    assert group_masks(parts).sum((2, 3))[0].tolist() == [
        16.0 if group.part in ("eye", "body") else 0.0 for group in GROUPS
    ]


def test_an_attribute_logit_is_the_weighted_mean_of_what_its_places_say() -> None:
    spec = BirdNetSpec(("a", "b"), ("has_x::y", "has_x::z", "has_w::v"), (8, 8, 8, 8), (1, 1, 1, 1), size=32)
    net = BirdNet(spec).eval()
    torch.nn.init.normal_(net.attribute_head.where.weight)
    said = []
    net.attribute_head.what.register_forward_hook(lambda module, given, out: said.append(out))
    _, attributes, places = net.read(torch.randn(2, 3, 32, 48))
    assert places.shape == (2, 2, 8, 12)
    torch.testing.assert_close(places.sum((2, 3)), torch.ones(2, 2))
    for k, group in enumerate((0, 0, 1)):
        torch.testing.assert_close(attributes[:, k], (said[0][:, k] * places[:, group]).sum((1, 2)))


def test_measures_are_counted_by_hand() -> None:
    world = World(WorldConfig(species=3, twins=1))
    spec = BirdNetSpec(world.labels, world.attributes, (8, 8, 8, 8), (1, 1, 1, 1), size=32)
    net = BirdNet(spec).eval()
    with torch.no_grad():
        for head in (net.class_head, net.attribute_head.where, net.attribute_head.what):
            head.weight.zero_()
            head.bias.zero_()
        net.class_head.bias[1] = 1.0
    scenes = Scenes(
        torch.zeros(4, 3, 32, 32, dtype=torch.uint8),
        torch.tensor([1, 1, 0, 2]),
        torch.tensor([[0] * len(GROUPS)] * 3 + [[1] * len(GROUPS)]),
        torch.tensor([[True] * len(GROUPS)] * 2 + [[False] * len(GROUPS)] + [[True] * len(GROUPS)]),
        torch.full((4, 16, 16), part_id("bill"), dtype=torch.uint8),
    )
    scenes.parts[:, 2:] = 0
    found = measure(net, world, scenes, scenes)
    assert (found.hits, found.scenes) == (2, 4)
    assert found.groups[0] == Reading("has_bill_shape", 2, 3, 2, aim=0.125, area=0.125)
    assert found.attribute_accuracy == pytest.approx(2 / 3)


def test_saved_weights_are_the_net_in_half_precision(tmp_path) -> None:
    spec = BirdNetSpec(("a", "b"), ("has_x::y", "has_x::z"), (8, 8, 8, 8), (1, 1, 1, 1), size=32)
    net = BirdNet(spec).eval()
    save_birdnet(net, tmp_path / "net.safetensors")
    again = load_birdnet(tmp_path / "net.safetensors")
    assert again.spec == spec
    for name, value in net.state_dict().items():
        if "num_batches" not in name:
            assert torch.equal(again.state_dict()[name], value.half().float())
    assert not again.training


def test_a_net_reads_both_heads_from_one_pass() -> None:
    net = BirdNet(BirdNetSpec(("a", "b"), ("has_x::y",), (8, 8, 8, 8), (1, 1, 1, 1), size=32)).eval()
    x = torch.randn(2, 3, 64, 48)
    classes, attributes = net.both(x)
    assert torch.equal(classes, net(x))
    assert torch.equal(attributes, net.attribute_logits(x))
    assert net.forward_features(x).shape == (2, 8, 4, 3)


@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_a_file_that_is_no_birdnet_is_refused(tmp_path, content) -> None:
    path = tmp_path / "net.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"sightline train birdnet|no weights file|not a weights file"):
        load_birdnet(path)


def test_weights_of_another_architecture_are_refused(tmp_path) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(1)}, tmp_path / "net.safetensors", metadata={"architecture": "resnet50"})
    with pytest.raises(ModelError, match="'resnet50', not 'birdnet'"):
        load_birdnet(tmp_path / "net.safetensors")
