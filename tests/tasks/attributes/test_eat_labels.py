"""`train eat` on several labels per picture, from the table to what `explain` says of one label."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import sightline
from sightline.cli.app import app
from sightline.errors import DataError, ModelError, TargetError, TrainingError
from sightline.results import Decision
from tests.tasks.attributes.labelled import labelled
from tests.tasks.attributes.test_net import WORDS, net, pictures

pytest.importorskip("lightning")

from sightline.api.intervention import intervened
from sightline.models.load import load_model
from sightline.tasks.attributes.data.examples import Examples
from sightline.tasks.attributes.explain.labelled import LabelAnalysis, label_analyses
from sightline.tasks.attributes.explain.narrator import label_narration
from sightline.tasks.attributes.explain.speaking import SpeakingAttributeNet, speaking_model
from sightline.tasks.attributes.metrics.labelled import label_texts, texts_of_labels
from sightline.tasks.attributes.network.labelled import LabelledAttributeNet
from sightline.tasks.attributes.network.skill import SEEN, Answers, Skill, measure_skill
from sightline.tasks.attributes.network.store import load_attribute_net, save_attribute_net
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train.experiment import Trained, train_eat
from sightline.tasks.attributes.train.labelled import LabelControl, flagged
from sightline.tasks.attributes.train.labels import for_labels
from sightline.training.operating import OperatingPoint

TOY = EatRecipe().toy().but(epochs=14, batch_size=12, group_by="patient", augment="none", lr=0.02, validation=0.2)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    folder = tmp_path_factory.mktemp("labelled")
    recipe = TOY.but(weights="random", sensitivity=0.9, model_args={"channels": (8, 8, 8, 8)})
    outcome = train_eat(labelled(folder / "set"), folder / "net.safetensors", recipe)
    assert outcome is not None
    return folder / "net.safetensors", outcome


def test_labels_are_learnt_beside_chance_and_a_probe_of_each(trained: tuple[Path, Trained]) -> None:
    _, outcome = trained
    assert outcome.labels is not None
    assert [score.label for score in outcome.labels.scores] == ["blue", "red"]
    assert all(score.probe is not None for score in outcome.labels.scores)
    assert outcome.labels.mean.mean > 0.8
    assert outcome.labels.grouped
    assert [one.name for one in outcome.judged.choices] == ["ground"]
    assert [one.name for one in outcome.judged.rankings] == ["high"]


def test_groups_stay_whole_and_are_no_attribute(trained: tuple[Path, Trained]) -> None:
    path, outcome = trained
    assert load_attribute_net(path).spec.vocabulary.names == ("ground::dark", "ground::light", "high")
    assert any(note.startswith("whole groups: ") for note in outcome.notes)


def test_card_and_page_have_labels_thresholds_attributes_and_controls(trained: tuple[Path, Trained]) -> None:
    path, _ = trained
    card, page = (path.with_suffix(end).read_text() for end in (".md", ".html"))
    for text in (card, page):
        for words in ("mean AUROC", "linear probe", "no finding", "sensitivity 0.9", "most frequent value", "blue"):
            assert words in text, words
    assert "Threshold of red" in page
    assert "logistic regression of each attribute on the labels" in card


def test_the_file_reads_back_as_it_was_with_its_thresholds(trained: tuple[Path, Trained], tmp_path: Path) -> None:
    path, outcome = trained
    loaded = load_model(weights=path)
    model = loaded.model
    assert isinstance(model, LabelledAttributeNet)
    assert outcome.labels is not None
    assert model.points == tuple(score.point for score in outcome.labels.scores)
    assert loaded.labels == ("blue", "red")
    again = save_attribute_net(model, tmp_path / "again.safetensors")
    assert again.read_bytes() == path.read_bytes()


def test_explain_names_labels_and_its_probability_is_a_sigmoid(trained: tuple[Path, Trained]) -> None:
    path, _ = trained
    model = load_model(weights=path)
    explanation = sightline.explain(model, path.parent / "set" / "0.png", target="red")[0]
    score = explanation.decision.score
    assert explanation.decision.probability == pytest.approx(1 / (1 + math.exp(-score)), abs=1e-5)
    assert explanation.sentences[0].startswith(("Finding", "No finding"))
    assert explanation.sentences[1].startswith("red ")


def test_the_terminal_says_the_same_as_the_card_and_the_control_sees_labels_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs: list[torch.Tensor] = []
    own = LabelControl.of
    monkeypatch.setattr(LabelControl, "of", lambda self, labels: own(self, inputs.append(labels) or labels))
    out = tmp_path / "net.safetensors"
    data = labelled(tmp_path / "set", 48)
    options = ["--data", str(data), "--out", str(out), "--toy", "--weights", "random", "--no-probe", "--epochs", "1"]
    result = CliRunner().invoke(app, ["train", "eat", *options, "--json", "--label-columns", "red,blue"])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert [one["label"] for one in record["labels"]["scores"]] == ["red", "blue"]
    assert "accuracy" not in record
    assert inputs
    assert set(torch.cat(inputs).unique().tolist()) <= {0.0, 1.0}
    assert load_file(out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mixup": 0.2}, "--mixup mixes classes"),
        ({"outside_weight": 0.3}, "--outside-weight guides the map of one class"),
        ({"monitor": "accuracy"}, "--monitor accuracy is of one class"),
        ({"targets": "class"}, "several labels, so it has no class"),
    ],
)
def test_what_needs_one_class_is_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises((TrainingError, DataError), match=words):
        train_eat(labelled(tmp_path / "set", 24), tmp_path / "net.safetensors", TOY.but(weights="random", **options))


def test_options_of_several_labels_are_refused_where_pictures_have_one_class(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="this data gives each picture one class"):
        train_eat(None, tmp_path / "net.safetensors", EatRecipe().toy().but(sensitivity=0.9))


# What is said, on a network whose weights are known.


def points(*thresholds: float) -> tuple[OperatingPoint, ...]:
    names = ("ant", "bee", "cow")
    return tuple(
        OperatingPoint(name, threshold, "highest F1", 20, 20, (0.9, 0.8, 1.0), (0.8, 0.7, 0.9))
        for name, threshold in zip(names, thresholds, strict=True)
    )


def known(join: str = "fusion", *thresholds: float) -> LabelledAttributeNet:
    """A network that was shown to read all attributes."""
    plain = net(join=join, classes=("ant", "bee", "cow"))
    model = LabelledAttributeNet(plain.spec, plain.trunk, points(*(thresholds or (0.5, 0.5, 0.5))))
    model.load_state_dict(plain.state_dict())
    if model.class_head.of_attributes is not None:
        with torch.no_grad():
            draw = torch.Generator().manual_seed(2)
            model.class_head.of_attributes.weight.copy_(torch.randn(3, 5, generator=draw) * 3)
    model.skill = Skill.given(torch.full((len(WORDS),), SEEN))
    calibration = model.calibration
    model.calibration = replace(
        calibration, threshold=torch.full_like(calibration.threshold, 0.01), prototypes=torch.rand(3, len(WORDS))
    )
    return model.eval()


def said(model: LabelledAttributeNet, label: int) -> Any:
    speaker = speaking_model(model)
    assert speaker is not None
    output = speaker.read(pictures(1))
    decision = Decision(model.labels[label], float(output.scores[label]), label)
    return label_narration(speaker, output, decision, model.points), output


def test_a_label_below_its_threshold_has_no_reasons_and_none_at_all_is_no_finding() -> None:
    none, _ = said(known("fusion", 0.9999, 0.9999, 0.9999), 0)
    assert none.sentences[0].startswith("No finding: ")
    assert len(none.sentences) == 2
    assert none.phrases == ()
    one, _ = said(known("fusion", 0.9999, 1e-5, 0.9999), 0)
    assert one.sentences[0].startswith("Finding: bee")
    assert "is below its threshold" in one.sentences[1]
    assert one.phrases == ()
    model = known("fusion", 0.9999, 1e-5, 0.9999)
    _, output = said(model, 0)
    speaker = SpeakingAttributeNet(model)
    below = LabelAnalysis(speaker, output, Decision("ant", 0.0, 0), 0.9999)
    assert below.statements == ()
    assert [one.decision.label for one in label_analyses(speaker, output, model.points)] == ["bee"]


def test_reasons_are_what_attributes_add_to_that_labels_own_score() -> None:
    model = known("fusion", 1e-4, 1e-4, 1e-4)
    for label in range(3):
        words, output = said(model, label)
        weights, a = model.class_head.of_attributes.weight[label], output.probabilities
        own = weights.detach() * (a - model.calibration.mean)
        total = float(own.abs().sum())
        for phrase in words.phrases:
            if phrase.role == "why":
                matches = [at for at in range(5) if float(own[at]) / total == pytest.approx(phrase.contribution)]
                assert matches or len(phrase.text.split()) > 2
                assert phrase.contribution is not None
                assert phrase.contribution > 0
        if any(phrase.role == "why" for phrase in words.phrases):
            lead = float(output.scores[label]) - math.log(1e-4 / (1 - 1e-4))
            assert f"{float(own.sum()):.2g}".lstrip("-") in words.sentences[-1]
            assert f"a score that is {lead:.2g} above its threshold" in words.sentences[-1]


def test_no_label_is_weighed_against_another() -> None:
    words, _ = said(known("fusion", 1e-4, 1e-4, 1e-4), 1)
    text = " ".join(words.sentences)
    assert not any(phrase.role in ("contrast", "absent", "change") for phrase in words.phrases)
    assert " rather than " not in text.replace("rather than seen", "")
    assert any(sentence.startswith("It is flagged as bee") for sentence in words.sentences)


def test_texts_of_a_set_name_what_the_narrator_names_of_every_flagged_label() -> None:
    model = known("fusion", 1e-4, 0.9999, 1e-4)
    speaker = SpeakingAttributeNet(model)
    outputs = [speaker.read(pictures(3)[at : at + 1]) for at in range(3)]
    seen = texts_of_labels(speaker, outputs, model).seen
    for row, output in enumerate(outputs):
        names = set()
        for label in (0, 2):
            decision = Decision(model.labels[label], float(output.scores[label]), label)
            words = label_narration(speaker, output, decision, model.points)
            names |= {phrase.text for phrase in words.phrases if phrase.role in ("why", "against", "doubt")}
        assert bool(seen[row].any()) == bool(names)


def test_a_corrected_attribute_says_which_labels_cross_their_thresholds() -> None:
    model = known("bottleneck", 0.5, 0.5, 0.5)
    with torch.no_grad():
        model.class_head.of_attributes.weight.zero_()
        model.class_head.of_attributes.bias.copy_(torch.tensor([-3.0, -3.0, 3.0]))
        model.class_head.of_attributes.weight[0, 4] = 9.0
        model.attribute_head.what.weight[4].zero_()
        model.attribute_head.what.bias[4] = -20.0
    x = pictures(1)
    sentence = intervened(model, x, ["aquatic=yes"])
    assert sentence == "With aquatic=yes: ant is flagged (over .99, before .05; threshold .50)."
    assert "no label crosses its threshold" in str(intervened(model, x, ["striped=yes"]))
    with pytest.raises(TargetError, match="join is 'fusion'"):
        intervened(known(), x, ["aquatic=yes"])


# Figures.


def examples(labels: torch.Tensor, targets: torch.Tensor) -> Examples:
    count = len(labels)
    blank = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)
    return Examples(blank, labels, targets, torch.ones_like(targets), torch.zeros(count, 2, 2, dtype=torch.uint8))


def test_an_attribute_that_labels_imply_is_not_called_seen() -> None:
    draw = torch.Generator().manual_seed(0)
    labels = (torch.rand(400, 3, generator=draw) < 0.4).float()
    own = (torch.rand(400, generator=draw) < 0.5).float()
    targets = torch.stack([labels[:, 0], own], 1)
    control = LabelControl(labels[:200], targets[:200], torch.ones(200, 2))
    tested = slice(200, 400)
    near = (targets[tested] * 0.9 + 0.05 + 0.02 * torch.rand(200, 2, generator=draw)).clamp(0, 1)
    answers = Answers(near, torch.zeros(200).long(), targets[tested], torch.ones(200, 2), control.of(labels[tested]))
    calibration = known().calibration
    calibration = replace(calibration, prior=None, choice=None, threshold=torch.full((2,), 0.5))
    standing = measure_skill(answers, calibration).standing.tolist()
    assert standing[0] != SEEN
    assert standing[1] == SEEN


def test_the_control_is_the_logistic_regression_of_attributes_on_labels() -> None:
    """Its gradient, worked out entry by entry, is that of its penalty; an unknown label counts as the mean."""
    draw = torch.Generator().manual_seed(1)
    labels = (torch.rand(60, 2, generator=draw) < 0.5).float()
    targets = (torch.rand(60, 1, generator=draw) < 0.3 + 0.4 * labels[:, :1]).float()
    control = LabelControl(labels, targets, torch.ones_like(targets))
    scale, penalty = labels.double().std(0), control.own.strength
    weight = control.own.weight.double()[0] * scale  # on standardised labels
    slope = torch.zeros(2, dtype=torch.float64)
    for row in range(60):
        likely = 1 / (1 + math.exp(-float(control.own.logits(labels[row : row + 1]))))
        z = (labels[row].double() - labels.double().mean(0)) / scale
        slope += (likely - float(targets[row])) * z / 60
    assert slope == pytest.approx((-penalty * weight).tolist(), abs=1e-4)
    unknown = torch.tensor([[math.nan, 1.0]])
    assert torch.equal(control.of(unknown), control.of(torch.tensor([[float(labels[:, 0].mean()), 1.0]])))


def test_the_control_of_texts_names_what_the_flagged_labels_imply() -> None:
    class Control(LabelControl):
        """Implies the last attribute, whatever the labels."""

        def __init__(self) -> None:
            self.frequency = torch.arange(5.0).flip(0)

        def of(self, labels: torch.Tensor) -> torch.Tensor:
            return torch.tensor([0.1, 0.2, 0.3, 0.4, 0.9]).expand(len(labels), -1)

    model = known("fusion", 1e-4, 1e-4, 1e-4)
    own = examples(torch.zeros(3, 3), torch.tensor([[0.0, 0, 0, 0, 1]]).expand(3, 5).clone())
    own = replace(
        own, images=torch.randint(0, 255, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    )
    report = label_texts(model, own, Control())
    named = report.by_class.named
    assert named == report.seen.named > 0
    assert report.by_class.precision.mean == pytest.approx((3 - report.silent.mean * 3) / named)


def test_nothing_moves_the_probabilities_of_labels() -> None:
    recipe = for_labels(EatRecipe())
    assert (recipe.loss.label_smoothing, recipe.loop.monitor) == (0.0, "loss")
    assert for_labels(EatRecipe().but(join="bottleneck")).loop.monitor == "class-loss"
    assert recipe.tuning.head_start == "probe"
    assert for_labels(EatRecipe().but(weights="random")).tuning.head_start == "auto"


def test_a_label_counts_from_its_threshold_on() -> None:
    logits = torch.tensor([[0.0, -1.0, 5.0]])
    assert flagged(logits, points(0.5, 0.5, 0.9999)).tolist() == [[1.0, 0.0, 0.0]]


def test_a_file_of_another_version_or_with_other_labels_is_refused(
    trained: tuple[Path, Trained], tmp_path: Path
) -> None:
    path, _ = trained
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    for change, words in (({"version": 2}, "version 2"), ({"points": []}, "not one for each label")):
        spec = json.dumps({**json.loads(metadata["spec"]), **change})
        save_file(load_file(path), tmp_path / "odd.safetensors", metadata={**metadata, "spec": spec})
        with pytest.raises(ModelError, match=words):
            load_attribute_net(tmp_path / "odd.safetensors")
