"""`sightline audit eat` of a network that finds several labels per picture: the command, its page, and refusals."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.errors import DataError
from sightline.tasks.attributes.audit.data import fitting, watched
from sightline.tasks.attributes.audit.trained_on import TrainedOn
from sightline.tasks.attributes.data import AttributeData, read_attributes
from sightline.tasks.attributes.data.examples import from_files
from sightline.tasks.attributes.network.labelled import LabelledAttributeNet
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec
from sightline.tasks.attributes.network.store import load_attribute_net, save_attribute_net
from sightline.tasks.attributes.train.labelled import LabelControl
from sightline.training.operating import OperatingPoint
from tests.tasks.attributes.labelled import labelled

pytestmark = pytest.mark.usefixtures("one_thread")
AS_TRAINED = TrainedOn(group_by="patient", validation=0.2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled(tmp_path_factory.mktemp("several") / "set", 60)


@pytest.fixture(scope="module")
def data(folder: Path) -> AttributeData:
    return AS_TRAINED.read(folder, "auto")


@pytest.fixture(scope="module")
def weights(data: AttributeData) -> Path:
    spec = AttributeSpec(
        backbone="timm:resnet18", classes=("red", "blue"), vocabulary=data.vocabulary, join="parallel", size=32,
        preprocess={"size": [32, 32], "mean": [0.5] * 3, "std": [0.25] * 3}, model_args={"channels": [8, 8, 8, 8]},
    )  # fmt: skip
    torch.manual_seed(0)
    points = [
        OperatingPoint(name, 0.5, "highest F1", 9, 9, (0.9, 0.8, 1.0), (0.8, 0.7, 0.9)) for name in spec.classes
    ]
    net = LabelledAttributeNet(spec, points=points)
    return save_attribute_net(net.eval(), data.root.parent / "net.safetensors")


def asked(weights: Path, folder: Path, out: Path, *more: str) -> tuple[str, int]:
    words = ["audit", "eat", "--weights", str(weights), "--data", str(folder), "--out", str(out)]
    done = CliRunner().invoke(app, [*words, "--group-by", "patient", "--validation-share", "0.2", *more])
    return done.output if done.exit_code else done.stdout, done.exit_code


def test_page_tables_and_findings_are_of_labels_and_a_command_prints_them_again(
    weights: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "audit"
    text, code = asked(weights, folder, out, "--json")
    assert code == 0, text
    kinds = json.loads(text)["kinds"]
    assert kinds["class-noise"]["labels ranked"] == 2 * 60
    assert "several labels" in kinds["misread"]["skipped"]
    rows = list(csv.DictReader((out / "class_labels.csv").open()))
    assert {row["question"] for row in rows} == {"red", "blue"}
    assert {row["label"] for row in rows} == {"present", "absent"}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["facts"]["labels"] == "red, blue"
    area, _, words = summary["facts"]["mean AUROC of labels"].partition(" ")
    assert 0 <= float(area) <= 1
    assert words.endswith("test pictures of this data; whether it learnt from them is not known")
    assert summary["notes"][0].startswith("the network's file does not say how its training read the data")
    assert "class accuracy" not in summary["facts"]
    assert "--group-by patient --validation-share 0.2" in summary["command"]
    assert "Which class labels are probably wrong?" in (out / "audit.html").read_text()


def test_labels_are_in_the_networks_order_and_implied_attributes_are_those_of_training_labels(
    weights: Path, data: AttributeData, tmp_path: Path
) -> None:
    net = load_attribute_net(weights)
    own = fitting(net, data)
    assert data.classes == ("blue", "red")
    assert own.data.labels.tolist() == data.labels[:, [1, 0]].tolist()
    seen = watched(net, own, tmp_path)
    assert seen.flags is not None
    assert seen.flags.tolist() == (seen.class_logits.sigmoid() >= 0.5).float().tolist()
    examples = from_files(own.data, range(len(own.data)), 32, tmp_path)
    train = examples.take(torch.nonzero(torch.from_numpy(own.data.split == 0))[:, 0])
    control = LabelControl(train.labels, train.targets, train.weights)
    assert seen.implied is not None
    assert torch.allclose(seen.implied, control.of(seen.flags), atol=1e-5)
    assert (seen.labels == -1).all()
    assert seen.contributions is None


def test_maps_are_judged_where_the_likeliest_label_reaches_its_threshold(
    weights: Path, folder: Path, tmp_path: Path
) -> None:
    boxed = shutil.copytree(folder, tmp_path / "set")
    lines = (boxed / "attributes.csv").read_text().splitlines()
    named = [f"{lines[0]},x,y,width,height", *(f"{line},2,2,14,14" for line in lines[1:])]
    (boxed / "attributes.csv").write_text("\n".join(named) + "\n")
    net = load_attribute_net(weights)
    seen = watched(net, fitting(net, AS_TRAINED.read(boxed, "auto")), tmp_path / "work")
    likeliest = seen.class_logits.max(1).values.sigmoid() >= 0.5
    assert bool(likeliest.any())
    assert seen.energy is not None
    assert not seen.energy[~likeliest].isfinite().any()
    assert seen.energy[likeliest].isfinite().any()


def test_networks_and_data_of_another_kind_are_refused_in_a_sentence(
    weights: Path, data: AttributeData, folder: Path, tmp_path: Path
) -> None:
    net = load_attribute_net(weights)
    single = tmp_path / "single"
    shutil.copytree(folder, single)
    rows = (single / "attributes.csv").read_text().splitlines()
    plain = [",".join([*row.split(",")[:2], f"k{at % 2}", *row.split(",")[3:]]) for at, row in enumerate(rows[1:])]
    (single / "attributes.csv").write_text("\n".join(["file,Patient,class,ground,high", *plain]) + "\n")
    with pytest.raises(DataError, match="finds several labels per picture, and the data gives each one class"):
        fitting(net, read_attributes(single, group_by="Patient"))
    one_class = AttributeNet(net.spec)
    with pytest.raises(DataError, match="gives pictures several labels, and the network decides for one class"):
        fitting(one_class, data)
    with pytest.raises(DataError, match="the data has no label 'red', which the network finds"):
        fitting(net, data.__class__(**{**vars(data), "labels": data.labels[:, :1], "classes": ("blue",)}))
    text, code = asked(weights, folder, tmp_path / "out", "--word-list", "words.toml")
    assert (code, "--word-list is of mined attributes" in text) == (1, True)
