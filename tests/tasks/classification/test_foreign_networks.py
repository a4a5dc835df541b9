"""`train classify` on networks from elsewhere: heads of other kinds and names, outputs that are wrapped."""

import json
from pathlib import Path

import pytest
import torch

from sightline.errors import TrainingError
from sightline.gates.store import load_gated
from sightline.tasks.classification.heads import features, head_of, logits_of
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.tasks.classification.train import train_classify
from sightline.training.anatomy import REACH, at_scale
from sightline.training.callbacks import load_net
from sightline.training.probe import LinearHead, scores_of
from tests.tasks.classification.tints import tinted

pytestmark = pytest.mark.usefixtures("one_thread")
CODE = """
from torch import nn
class Places(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.score = nn.Conv2d(8, 5, 1)
        self.cut = nn.ReLU(inplace=True)
    def forward(self, x):
        return self.cut(self.score(self.stem(x))).mean((2, 3))
class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.verdict = nn.Linear(8, 5)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.neck = nn.Linear(8, 8)
    def forward(self, x):
        return {"logits": self.verdict(self.neck(self.body(x).mean((2, 3))).relu())}
class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU())
        self.score = nn.Linear(16, 5, bias=False)
    def forward(self, x):
        return self.score(self.body(x).mean((2, 3)))
"""
TWO = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 1}


@pytest.fixture(scope="module")
def code(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("code") / "foreign.py"
    file.write_text(CODE)
    return file


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return tinted(tmp_path_factory.mktemp("photos"), 12)


def recipe(code: Path, kind: str, **options: object) -> ClassifyRecipe:
    own = ClassifyRecipe().toy().but(model=f"{code}:{kind}", weights="published", model_args={}, size=16)
    return own.but(**options)


@pytest.mark.parametrize("kind", ["Places", "Wrapped"])
def test_a_head_of_any_kind_starts_from_the_probe(kind, code, photos, tmp_path):
    own = train_classify(photos, tmp_path / "net.safetensors", recipe(code, kind, lr=1e-9))
    probe = json.loads((tmp_path / "net.work" / "probe.json").read_text())
    assert own.kept == 0
    assert list(own.right) == probe["right"]
    assert sum(own.right) > 12
    assert any("how photos are preprocessed" in note for note in own.notes)


def test_a_head_without_a_bias_starts_from_a_probe_without_one(code, photos, tmp_path):
    own = train_classify(photos, tmp_path / "net.safetensors", recipe(code, "Bare", lr=1e-9))
    assert own.kept == 0
    assert json.loads((tmp_path / "net.work" / "head_start.json").read_text())
    net, _ = load_gated(tmp_path / "net.safetensors")
    assert head_of(net).bias is None
    assert sum(own.right) >= 0.8 * sum(json.loads((tmp_path / "net.work" / "probe.json").read_text())["right"])
    frequent = own.frequent / own.total
    assert own.accuracy > 1.5 * frequent


def test_a_network_of_two_last_layers_says_why_no_probe_stands_beside_it(photos, tmp_path):
    asked = ClassifyRecipe().toy().but(size=16, epochs=1)
    asked = asked.but(model="timm:deit_tiny_distilled_patch16_224", weights="random", model_args=TWO)
    own = train_classify(photos, tmp_path / "net.safetensors", asked)
    assert own.control.accuracy is None
    assert any("VisionTransformerDistilled has 2 last layers (head, head_dist)" in note for note in own.notes)


@pytest.mark.parametrize("kind", ["Places", "Wrapped"])
def test_a_head_learns_alone_on_kept_features_as_it_is_used_afterwards(kind, code, photos, tmp_path):
    out = tmp_path / "net.safetensors"
    own = train_classify(photos, out, recipe(code, kind, frozen=True, epochs=4, lr=0.03))
    assert own.control.accuracy is not None
    net, _ = load_gated(out)
    x = torch.randint(0, 255, (3, 3, 16, 16)).byte()
    mean, std = torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    learnt = scores_of(head_of(net), features(net, x, mean, std))
    assert torch.allclose(logits_of(net, x / 255), learnt, atol=1e-4)


def test_a_head_that_is_a_convolution_takes_the_weights_of_a_probe():
    head = LinearHead(torch.randn(3, 4), torch.randn(3))
    layer, wide = torch.nn.Conv2d(4, 3, 1), torch.nn.Conv2d(4, 3, 3)
    assert head.fill(layer)
    assert not head.fill(wide)
    x = torch.randn(2, 4)
    assert torch.allclose(scores_of(layer, x), x @ head.weight.T + head.bias, atol=1e-6)


def test_a_network_whose_layers_have_versions_takes_the_weights_of_a_checkpoint(tmp_path):
    from torchvision.models import mnasnet0_5

    net, other = mnasnet0_5(), mnasnet0_5()
    weights = {f"net.{name}": value for name, value in other.state_dict().items()}
    torch.save({"state_dict": weights}, tmp_path / "best.ckpt")
    load_net(net, tmp_path / "best.ckpt")
    assert torch.equal(net.classifier[1].weight, other.classifier[1].weight)


def test_labels_are_refused_where_no_score_can_be_below_zero(code, photos, tmp_path):
    folder = tmp_path / "listed"
    folder.mkdir()
    names = sorted(path for path in photos.rglob("*.png"))[:12]
    rows = [f"{path},{'red' if at % 2 else 'no finding'}" for at, path in enumerate(names)]
    (folder / "labels.csv").write_text("\n".join(["file,labels", *rows]))
    with pytest.raises(TrainingError, match="no label could be less likely"):
        train_classify(folder, tmp_path / "net.safetensors", recipe(code, "Places"))


def test_a_new_head_on_large_features_learns_as_on_small_ones():
    """Ten steps of AdamW on features and on a hundred times those, the second with what the rule makes of it."""
    draw = torch.Generator().manual_seed(0)
    small = torch.rand(12, 6, generator=draw) * REACH * 300  # a step of 0.002 moves a score by less than REACH
    small = small * (REACH / 0.002 / float(small.abs().sum(1).mean()))
    labels = torch.randint(2, (12,), generator=draw)
    plain = ClassifyRecipe().but(weights="published", frozen=True).settled()
    answers = []
    for scale in (1.0, 100.0):
        torch.manual_seed(1)
        head = torch.nn.Linear(6, 2)
        own = at_scale(plain, [head], small * scale)
        rate = own.optim.lr * own.tuning.head_lr_factor
        decay = {"lr": rate, "weight_decay": own.optim.weight_decay, "eps": 0.0}
        optimiser = torch.optim.AdamW([head.weight], **decay)
        for _ in range(10):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(head(small * scale), labels).backward()
            optimiser.step()
        answers.append(head(small * scale).detach())
    assert torch.allclose(answers[0], answers[1], atol=1e-3)
    assert at_scale(plain, [torch.nn.Linear(6, 2)], small / 2) is plain
