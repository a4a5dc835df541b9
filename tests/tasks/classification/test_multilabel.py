"""`sightline train classify` on several labels per picture, from the table to what `explain` says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.errors import ModelError, TrainingError
from tests.tasks.classification.marks import marked

pytest.importorskip("lightning")

from sightline.models.load import load_model
from sightline.models.weights import read_weights
from sightline.tasks.classification.multilabel.network import LabelNet, load_label_net
from sightline.tasks.classification.recipe import ClassifyRecipe
from sightline.tasks.classification.train import train_classify
from sightline.training.labels.objective import label_loss, positive_weights, unweighted
from sightline.training.labels.scores import MultiLabelled

TOY = (
    ClassifyRecipe()
    .toy()
    .but(
        size=16,
        epochs=8,
        batch_size=15,
        group_by="patient",
        lr=0.05,
        sensitivity=0.8,
        augment="none",
        optimizer="adamw",
    )
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MultiLabelled]:
    folder = tmp_path_factory.mktemp("marks")
    outcome = train_classify(marked(folder / "set", unknown=True), folder / "net.safetensors", TOY)
    assert isinstance(outcome, MultiLabelled)
    return folder / "net.safetensors", outcome


def test_marks_are_learnt_and_figures_stand_beside_controls(trained: tuple[Path, MultiLabelled]) -> None:
    _, outcome = trained
    assert [score.label for score in outcome.scores] == ["red", "green", "blue"]
    assert outcome.mean.low > 0.7
    assert outcome.grouped
    assert outcome.over_probe is not None
    for score in outcome.scores:
        assert score.positives + score.negatives <= outcome.total
        assert score.point.sensitivity is not None


def test_the_file_holds_thresholds_and_says_what_its_outputs_mean(trained: tuple[Path, MultiLabelled]) -> None:
    out, outcome = trained
    net, spec = load_label_net(out)
    assert [point.threshold for point in net.points] == [score.point.threshold for score in outcome.scores]
    assert {point.aim for point in spec.points} == {"sensitivity 0.8"}
    loaded = load_model(weights=out)
    assert isinstance(loaded.model, LabelNet)
    assert loaded.labels == ("red", "green", "blue")
    with safe_open(out, "pt") as file:
        content = json.loads(file.metadata()["spec"])
    assert content["version"] == 1


def test_the_file_keeps_how_its_data_was_read(trained: tuple[Path, MultiLabelled]) -> None:
    options = json.loads(read_weights(trained[0]).metadata["reading"])["options"]
    own = TOY.data
    assert options["group_by"] == own.group_by
    assert (options["held_out"], options["validation"]) == (own.held_out, own.validation)
    assert (options["labels"], options["seed"]) == (list(own.labels), TOY.machine.seed)


def test_card_and_page_show_labels_thresholds_and_curves(trained: tuple[Path, MultiLabelled]) -> None:
    out, outcome = trained
    page, text = out.with_suffix(".html").read_text(), out.with_suffix(".md").read_text()
    for score in outcome.scores:
        assert f"| {score.label} | {score.point.threshold:.4f} | sensitivity 0.8 |" in text
        assert f"ROC curve of {score.label}" in page
    assert "whole groups" in text
    assert "entries are unknown and left out of loss and figures" in text


def test_explain_reads_sigmoids_and_says_findings_or_none(
    trained: tuple[Path, MultiLabelled], tmp_path: Path
) -> None:
    out, _ = trained
    photo = next(out.parent.glob("set/1.png"))
    arguments = [
        "explain",
        photo,
        "--weights",
        out,
        "--method",
        "gradcam",
        "--target",
        "red",
        "--out",
        tmp_path / "o",
    ]
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    item = json.loads(done.stdout)["photos"][0]["explanations"][0]
    net, _ = load_label_net(out)
    loaded = load_model(weights=out)
    from sightline.data.photos import read_photo

    chances = net(loaded.preprocess(read_photo(photo)).inputs[None]).sigmoid()[0].tolist()
    assert item["probability"] == pytest.approx(chances[0], abs=1e-5)
    flagged = {p.label for p, value in zip(net.points, chances, strict=True) if value >= p.threshold}
    sentence = item["sentences"][0]
    assert {label for label in ("red", "green", "blue") if f"{label} " in sentence.partition(";")[0]} == flagged
    assert sentence.startswith("Finding" if flagged else "No finding")
    assert "chosen for sensitivity 0.8" in item["sentences"][1]
    assert f'id="lead" class="lead">{sentence}' in (tmp_path / "o" / "1" / "page.html").read_text()


def test_a_broken_run_goes_on_to_the_same_weights_and_another_aim_needs_no_training(
    trained: tuple[Path, MultiLabelled], tmp_path: Path
) -> None:
    out, _ = trained
    again = tmp_path / "net.safetensors"
    halves = iter(range(4))

    class Cut(Exception):
        pass

    from sightline.training.reporter import Reporter

    def line(epoch: int, row: object) -> None:
        if epoch == 4 and next(halves) == 0:
            raise Cut

    with pytest.raises(Cut):
        train_classify(out.parent / "set", again, TOY, reporter=Reporter(epoch=line))
    assert not again.exists()
    train_classify(out.parent / "set", again, TOY)
    first, second = load_file(out), load_file(again)
    assert all(torch.equal(first[name], second[name]) for name in first)
    epochs: list[int] = []
    told = Reporter(epoch=lambda epoch, row: epochs.append(epoch))
    other = train_classify(out.parent / "set", again, TOY.but(sensitivity=None, specificity=0.9), reporter=told)
    assert isinstance(other, MultiLabelled)
    assert not epochs
    assert {score.point.aim for score in other.scores} == {"specificity 0.9"}


def test_a_damaged_description_is_refused(trained: tuple[Path, MultiLabelled], tmp_path: Path) -> None:
    out, _ = trained
    with safe_open(out, "pt") as file:
        metadata = file.metadata()
    for change in (lambda c: c["points"].pop(), lambda c: c.update(version=9), lambda c: c.pop("version")):
        content = json.loads(metadata["spec"])
        change(content)
        save_file(load_file(out), tmp_path / "bad.safetensors", {**metadata, "spec": json.dumps(content)})
        with pytest.raises(ModelError, match="does not say how its network is built"):
            load_label_net(tmp_path / "bad.safetensors")


def test_unknown_entries_change_neither_loss_nor_gradient() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    truth = torch.tensor([[1.0, 0.0, math.nan]] * 4)
    loss = label_loss(logits, truth)
    plain = nn.functional.binary_cross_entropy_with_logits(logits[:, :2], truth[:, :2])
    assert loss.item() == pytest.approx(plain.item())
    (gradient,) = torch.autograd.grad(loss, logits)
    assert not gradient[:, 2].any()
    assert float(label_loss(logits, torch.full((4, 3), math.nan))) == 0


def test_weights_of_rare_positives_are_taken_out_of_the_probabilities() -> None:
    """A head without features learns the share of positives; weighted and corrected it is that share again."""
    truth = torch.tensor([[1.0]] * 2 + [[0.0]] * 14)
    weights = positive_weights(truth)
    assert weights.tolist() == [7.0]
    head = nn.Linear(1, 1).double()
    search = torch.optim.LBFGS(head.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        value = label_loss(head(torch.zeros(16, 1).double()), truth, weights.double())
        value.backward()
        return value

    search.step(loss)
    assert float(head.bias.sigmoid()) == pytest.approx(0.5, abs=1e-3)
    unweighted(head, weights)
    assert float(head.bias.sigmoid()) == pytest.approx(2 / 16, abs=1e-3)


def test_options_that_do_not_fit_are_refused_before_any_work(tmp_path: Path) -> None:
    root = marked(tmp_path / "set", 12)
    for change, text in (({"mixup": 0.2}, "--mixup"), ({"label_smoothing": 0.1}, "--label-smoothing")):
        with pytest.raises(TrainingError, match=text):
            train_classify(root, tmp_path / "net.safetensors", TOY.but(**change))
    with pytest.raises(TrainingError, match="this data gives each picture one class"):
        train_classify("aviary", tmp_path / "net.safetensors", TOY)
