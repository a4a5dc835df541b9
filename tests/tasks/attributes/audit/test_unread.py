"""Heads that read nothing are named; those that read something, or the class only, are told apart."""

from dataclasses import replace

import pytest
import torch

from sightline.tasks.attributes.audit.observed import Observations
from sightline.tasks.attributes.audit.unread import READINGS, head_skills, unread
from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary

from .planted import SIZES, observations


@pytest.fixture(scope="module")
def seen():
    """Values of crown vary within classes; of the leg nothing is read at all."""
    whole, _ = observations(600, variation=0.5, sharp=6.0)
    draw = torch.Generator().manual_seed(1)
    start = sum(SIZES[:3])
    noise = torch.rand(600, SIZES[3], generator=draw)
    said = whole.probabilities.clone()
    said[:, start : start + SIZES[3]] = noise / noise.sum(1, keepdim=True)
    return replace(whole, probabilities=said)


def test_a_head_that_guesses_is_reported_and_no_other(seen):
    verdict = unread(seen)
    assert {f.where for f in verdict.findings} == {f"leg::{value}" for value in range(SIZES[3])}
    assert verdict.tested == sum(SIZES)
    assert all(f.high < f.null for f in verdict.findings)
    assert "reads nothing" in verdict.findings[0].says


def test_a_skill_is_the_share_of_the_controls_error_that_is_taken_away(seen):
    """Of a head that says the truth nearly all of the frequency's error is gone."""
    sure = replace(seen, probabilities=seen.targets.clamp(0.001, 0.999))
    for head in head_skills(sure):
        assert head.reading == READINGS[2]
        assert head.over_frequent[0] > 0.99
        present = seen.targets[:, seen.vocabulary.index(head.name)]
        assert head.share == pytest.approx(float(present.mean()))


def test_a_head_that_says_what_the_class_implies_reads_the_class(seen):
    table = torch.stack([seen.targets[seen.decided == y].mean(0) for y in range(len(seen.classes))])
    verdict = unread(replace(seen, probabilities=table[seen.decided]))
    assert verdict.summary[f"heads: {READINGS[2]}"] == 0
    assert verdict.summary[f"heads: {READINGS[1]}"] > 5


def test_only_pictures_that_the_network_was_not_trained_on_judge(seen):
    trained = torch.arange(600) < 500
    learnt = torch.where(trained[:, None], seen.targets.clamp(0.01, 0.99), torch.full_like(seen.targets, 0.3))
    heads = head_skills(replace(seen, probabilities=learnt, trained=trained))
    assert {head.pictures for head in heads} == {100}
    assert {head.reading for head in heads} == {READINGS[0]}


def test_too_few_pictures_judge_no_head(seen):
    assert (
        "10 pictures that the network was not trained on"
        in unread(replace(seen, trained=torch.arange(600) > 9)).skipped
    )


def test_heads_that_cannot_be_judged_are_counted(seen):
    rare = seen.targets.clone()
    rare[:, 0] = 0
    verdict = unread(replace(seen, targets=rare))
    left = verdict.summary["heads too rarely answered to tell"]
    assert left > 0
    assert f"{left} of {len(seen.vocabulary)} heads are not judged" in verdict.says


def test_a_question_of_two_values_that_is_not_read_is_one_finding():
    draw = torch.Generator().manual_seed(2)
    dark = (torch.rand(300, generator=draw) < 0.5).float()
    guess = torch.rand(300, generator=draw)
    words = tuple(Attribute(f"ground::{value}", "ground", value) for value in ("dark", "light"))
    seen = Observations(
        vocabulary=Vocabulary(words, ("ground",)),
        classes=("a", "b"),
        join="parallel",
        class_logits=torch.zeros(300, 2),
        probabilities=torch.stack([guess, 1 - guess], 1),
        targets=torch.stack([dark, 1 - dark], 1),
        weights=torch.ones(300, 2),
        labels=torch.arange(300) % 2,
        names=tuple(map(str, range(300))),
    )
    verdict = unread(seen)
    assert [finding.where for finding in verdict.findings] == ["ground::dark"]
    assert "(nor that of ground::light, the opposite)" in verdict.findings[0].says
