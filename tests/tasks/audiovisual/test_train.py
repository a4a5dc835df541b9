"""Training: bit for bit after an interruption, files, figures beside controls, what a trained network points at."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sightline.errors import ModelError, TrainingError

pytest.importorskip("lightning")

from torch.utils.data import TensorDataset

from sightline.models.load import load_model
from sightline.tasks.audiovisual.metrics.maps import WAYS
from sightline.tasks.audiovisual.metrics.measure import measure
from sightline.tasks.audiovisual.metrics.pointing import beside, cells_of, chance, pointing
from sightline.tasks.audiovisual.module import EventTask, distance_from_even, matches
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec
from sightline.tasks.audiovisual.network.store import load_net, save_net
from sightline.tasks.audiovisual.recipe import EventRecipe
from sightline.tasks.audiovisual.stand_ins import learn_stand_ins
from sightline.tasks.audiovisual.train import train_events
from sightline.tasks.audiovisual.world import CLASSES, HELD_OUT, Scenes, WorldConfig, scenes
from sightline.training.reporter import Reporter
from tests.tasks.audiovisual.toy import squares, trained_toy

TOY = EventRecipe().toy()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("events") / "net.safetensors"
    train_events(out, TOY)
    return out


@pytest.fixture(scope="module")
def held() -> Scenes:
    return scenes(WorldConfig(), HELD_OUT, 40)


def test_a_training_that_was_interrupted_ends_as_if_nothing_had_happened(trained: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(number: int, row: dict[str, float]) -> None:
        if number == 2:
            raise Stop

    out = tmp_path / "net.safetensors"
    with pytest.raises(Stop):
        train_events(out, TOY, reporter=Reporter(epoch=stop))
    train_events(out, TOY)
    ours, theirs = load_net(out).state_dict(), load_net(trained).state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_work_folder_of_another_recipe_is_refused(trained: Path) -> None:
    with pytest.raises(TrainingError, match=r"--even-weight was .*, is now 0\.7"):
        train_events(trained, TOY.but(even_weight=0.7))


def test_the_weights_file_alone_says_what_it_is(trained: Path) -> None:
    loaded = load_model(weights=trained)
    assert loaded.name == "event-net"
    assert loaded.labels == (*CLASSES, "no event")
    assert loaded.model(torch.zeros(1, 6, 3, 24, 24), torch.zeros(1, 6, 20, 64)).shape == (1, 7)


def test_files_of_another_network_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="'no architecture', not 'event-net'"):
        load_net(tmp_path / "other.safetensors")


def test_a_saved_network_says_the_same(tmp_path: Path, held: Scenes) -> None:
    torch.manual_seed(3)
    net = EventNet(EventSpec(CLASSES, queries="class", width=8, reach=2)).eval()
    save_net(net, tmp_path / "a.safetensors")
    assert torch.equal(load_net(tmp_path / "a.safetensors")(*held.inputs()), net(*held.inputs()))


def test_the_card_has_every_control(trained: Path) -> None:
    card = trained.with_suffix(".md").read_text()
    for words in ("picture alone", "sound alone", "| uniform |", "| loudness |", "| swapped |", "| silent |"):
        assert words in card
    assert "no gain over one modality is shown" in card


def test_even_weights_have_no_distance_and_one_triple_has_the_most() -> None:
    one = torch.zeros(1, 1, 3, 4)
    one[0, 0, 1, 2] = 1.0
    assert float(distance_from_even(one)) == pytest.approx(2.4849, abs=1e-4)  # log 12


def test_hand_made_maps_hit_and_miss(held: Scenes) -> None:
    cells = cells_of(held.where, (6, 6))
    right = pointing(cells.float(), held.when.float(), held)
    assert float(right.where.min()) == 1.0
    assert float(right.when.min()) == 1.0
    wrong = pointing((~cells).float(), (~held.when).float(), held)
    assert float(wrong.where.max()) == 0.0
    assert float(wrong.mass.max()) == 0.0
    edge = pointing((beside(cells) & ~cells).float(), held.when.float(), held)
    assert float(edge.where.max()) == 0.0
    assert float(edge.near.min()) == 1.0


def test_random_maps_hit_as_often_as_chance_says(held: Scenes) -> None:
    many = held.rows(torch.arange(40).repeat(25))
    draw = torch.Generator().manual_seed(0)
    found = pointing(torch.rand(1000, 6, 6, 6, generator=draw), torch.rand(1000, 6, generator=draw), many)
    base = chance(many, (6, 6))
    for name in ("where", "near", "when"):
        mean, expected = getattr(found, name).mean(), getattr(base, name).mean()
        assert abs(float(mean - expected)) < 3 * float((expected * (1 - expected) / 1000) ** 0.5)


def test_every_way_to_make_maps_gives_them_for_every_scene(held: Scenes) -> None:
    torch.manual_seed(0)
    net = EventNet(EventSpec(CLASSES, queries="class", width=8)).eval()
    for name, way in WAYS.items():
        where, when = way(net, held.inputs(), held.labels)
        assert where.shape == (40, 6, 6, 6), name
        assert when.shape == (40, 6), name
        assert float(where.min()) >= 0, name


def test_gradcam_is_the_one_of_the_registry(held: Scenes) -> None:
    import sightline

    torch.manual_seed(0)
    net = EventNet(EventSpec(CLASSES, queries="class", width=8)).eval()
    inputs = tuple(part[:3] for part in held.inputs())
    ours, _ = WAYS["gradcam"](net, inputs, torch.full((3,), 2))
    theirs = sightline.explain(
        net, inputs, target=2, method="gradcam", layers="picture.layers.3", domain="space-time"
    )
    for number in range(3):
        assert torch.allclose(ours[number], theirs[number].flow[-1].values, atol=1e-7)


def test_an_untrained_network_is_not_ahead_of_its_controls(held: Scenes) -> None:
    torch.manual_seed(0)
    judged = measure(EventNet(EventSpec(CLASSES, width=8)).eval(), held)
    assert all(judged.behind.values())
    ours, theirs = (judged.rows[name]["where"].mean for name in ("attention", "loudness"))
    assert judged.leads["loudness"]["where"].mean == pytest.approx(ours - theirs)
    assert not judged.negative[0].is_there


def test_scenes_without_picture_or_sound_teach_the_stand_ins_only(held: Scenes) -> None:
    torch.manual_seed(0)
    task = EventTask(EventNet(EventSpec(CLASSES, width=8, queries="class")), TOY, steps=10)
    pair = [part[:2] for part in (held.frames, held.spectra, held.labels)]
    loss = task.missing(*pair)
    loss.backward()
    learning = {name for name, value in task.net.named_parameters() if value.grad is not None}
    assert learning == {"no_picture", "no_sound"}
    here, gone = torch.ones(1, 6, dtype=torch.bool), torch.zeros(1, 6, dtype=torch.bool)
    frames, spectra = (part[:2] for part in held.inputs())
    logits = task.net(frames, spectra, torch.cat([here, gone]), torch.cat([gone, here]))
    assert torch.allclose(loss, torch.nn.functional.cross_entropy(logits, pair[2]), atol=1e-6)


def test_with_one_modality_a_trained_network_halves_its_guesses_and_is_else_the_same() -> None:
    net = trained_toy()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    frames, spectra, labels = squares(400, seed=3)
    task = EventTask(net, TOY, steps=10)
    learn_stand_ins(task, TensorDataset(frames * 255, spectra, labels), steps=300, seed=0)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"no_picture", "no_sound"}
    frames, spectra, labels = squares(300, seed=4)
    here, gone = torch.ones(300, 2, dtype=torch.bool), torch.zeros(300, 4, dtype=torch.bool)
    for masks in ((here, gone), (~here, ~gone)):
        with torch.no_grad():
            share = float((net(frames, spectra, *masks).argmax(1) == labels).float().mean())
        assert 0.42 < share < 0.58  # two of three classes are left


def test_matches_are_the_logarithm_of_the_sum_over_all_triples() -> None:
    scores = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    slow = sum(scores[1, 2, n, s].exp() for n in range(4) for s in range(5)).log()
    assert float(matches(scores)[1, 2]) == pytest.approx(float(slow), abs=1e-5)


def test_a_class_learns_to_attend_to_what_speaks_for_it(held: Scenes) -> None:
    def gradient(**more: object) -> torch.Tensor:
        torch.manual_seed(0)
        task = EventTask(EventNet(EventSpec(CLASSES, width=8, queries="class")), TOY.but(**more), steps=10)
        task.log = lambda *_, **__: None
        task.training_step((held.frames, held.spectra, held.labels), 0).backward()
        return task.net.factors.grad

    assert not torch.allclose(gradient(match_weight=0.3), gradient(match_weight=0.0), atol=1e-5)


def test_the_lrp_flow_is_the_one_of_the_registry_scene_by_scene(held: Scenes) -> None:
    import sightline

    torch.manual_seed(0)
    net = EventNet(EventSpec(CLASSES, queries="class", width=8)).eval()
    inputs, outputs = tuple(part[:3] for part in held.inputs()), torch.tensor([2, 0, 2])
    ours, when = WAYS["LRP flow"](net, inputs, outputs)
    assert torch.equal(when, torch.ones(3, 6))
    for number in (0, 1):
        own = tuple(part[number : number + 1] for part in inputs)
        (item,) = sightline.explain(
            net,
            own,
            target=int(outputs[number]),
            method="lrp",
            layers="picture.layers.3",
            domain="space-time",
        )
        assert torch.allclose(ours[number], item.flow[-1].values.clamp(min=0), atol=1e-6)
