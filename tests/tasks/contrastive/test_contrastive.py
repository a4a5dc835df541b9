"""The contrastive encoder: its loss, its pairs, its files, and that an interrupted run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from sightline.errors import ModelError, TrainingError

pytest.importorskip("lightning")

from sightline.models.load import load_model
from sightline.models.zoo.encoder import BirdEncoder, EncoderSpec, load_encoder, save_encoder
from sightline.tasks.contrastive.data import PairOrder
from sightline.tasks.contrastive.metrics import retrieval
from sightline.tasks.contrastive.module import info_nce
from sightline.tasks.contrastive.recipe import ContrastiveRecipe
from sightline.tasks.contrastive.train import train_contrastive
from sightline.worlds.aviary.dataset import Scenes

TOY = ContrastiveRecipe().toy().but(scenes=40, held_out=40, epochs=2)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("encoder") / "net.safetensors"
    train_contrastive(out, recipe=TOY)
    return out


def test_the_loss_is_the_mean_log_share_of_the_partner() -> None:
    e = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u = F.normalize(e, dim=1)
    losses = []
    for i in range(6):
        partner = i + 1 if i % 2 == 0 else i - 1
        others = sum(torch.exp(u[i] @ u[j] / 0.2) for j in range(6) if j != i)
        losses.append(-torch.log(torch.exp(u[i] @ u[partner] / 0.2) / others))
    assert float(info_nce(e, 0.2)) == pytest.approx(float(sum(losses) / 6), abs=1e-12)


def test_the_loss_is_minus_the_target_that_explains_it() -> None:
    from sightline.targets import InfoNCE

    e = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).repeat_interleave(2, 0)
    e[1] += 0.3
    rest = [1, 2, 3]
    score = InfoNCE(e[rest], torch.tensor([0]), temperature=0.2).read(e[:1], None).scores
    one = F.normalize(e, dim=1)
    share = F.cross_entropy(one[:1] @ one[rest].T / 0.2, torch.tensor([0]))
    assert float(score) == pytest.approx(-float(share), abs=1e-12)


def test_a_batch_holds_two_scenes_of_each_species_side_by_side() -> None:
    labels = torch.arange(5).repeat(7)
    order = PairOrder(labels, seed=3)
    batches = list(order)
    assert len(batches) == len(order) == 3
    for batch in batches:
        assert labels[batch].tolist() == [k for k in range(5) for _ in range(2)]
    seen = [i for batch in batches for i in batch]
    assert len(set(seen)) == len(seen)
    order.set_epoch(1)
    assert list(order) != batches


def test_the_command_writes_weights_and_a_card(trained: Path) -> None:
    assert sorted(path.name for path in trained.parent.iterdir()) == [
        "net.html",
        "net.md",
        "net.safetensors",
        "net.work",
    ]
    page = trained.with_suffix(".html").read_text()
    assert "held-out scenes" in page
    assert "<h3>Loss</h3>" in page
    assert "20 queries, 20 pictures in the gallery" in trained.with_suffix(".md").read_text()
    loaded = load_model(weights=trained)
    assert loaded.name == "bird-encoder"
    assert loaded.preprocess.size == (32, 32)
    assert loaded.model(torch.zeros(1, 3, 32, 32)).shape == (1, 8)


def test_a_work_folder_of_another_recipe_is_refused(trained: Path) -> None:
    with pytest.raises(TrainingError, match=r"--temperature was .*, is now 0\.7"):
        train_contrastive(trained, recipe=TOY.but(temperature=0.7))


def test_retrieval_counts_queries_whose_nearest_picture_is_of_their_species() -> None:
    net = BirdEncoder(EncoderSpec((4, 4, 4, 4), (1, 1, 1, 1), 4, 16)).eval()
    images = torch.randint(0, 255, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2])
    none = torch.zeros(6, 0)
    same = Scenes(images.repeat(2, 1, 1, 1), labels.repeat(2), none.long(), none.bool(), none.byte())
    found = retrieval(net, same)
    assert (found.hits, found.queries, found.gallery) == (3, 3, 3)
    assert found.chance == pytest.approx(1 / 3)
    turned = Scenes(same.images, torch.tensor([0, 1, 2, 1, 2, 0]), none.long(), none.bool(), none.byte())
    assert retrieval(net, turned).hits == 0


def test_files_that_are_no_encoder_s_are_refused(trained: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    other = tmp_path / "other.safetensors"
    save_file({"a": torch.ones(1)}, other)
    with pytest.raises(ModelError, match="'no architecture', not 'bird-encoder'"):
        load_encoder(other)
    save_encoder(BirdEncoder(EncoderSpec((4, 4, 4, 4), (1, 1, 1, 1), 4, 16)), tmp_path / "own.safetensors")
    assert load_encoder(tmp_path / "own.safetensors").spec.dimensions == 4
    with pytest.raises(ModelError, match="comes without weights"):
        load_model("bird-encoder")


def test_conv4_reads_the_usual_few_shot_files(pack: Path) -> None:
    loaded = load_model("conv4", weights=pack / "models" / "miniimagenet_protonet_conv4_best.safetensors")
    assert loaded.preprocess.size == (84, 84)
    assert loaded.model(torch.zeros(1, 3, 84, 84)).shape == (1, 1600)
    assert loaded.labels is None
