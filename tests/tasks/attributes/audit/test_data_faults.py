"""Ambiguous attributes, classes that are alike, questions with one answer."""

from dataclasses import replace

import pytest
import torch

from sightline.tasks.attributes.audit.ambiguity import ambiguous
from sightline.tasks.attributes.audit.constancy import constant, entropy
from sightline.tasks.attributes.audit.likeness import apart, inseparable

from .planted import PARTS, hot, observations


def twins(seen, differ=0):
    """Class 1 gets the attributes of class 0, but for one group."""
    targets = seen.targets.clone()
    ours, theirs = (torch.nonzero(seen.labels == y)[:, 0] for y in (0, 1))
    targets[theirs] = targets[ours]
    if differ:
        at = list(seen.vocabulary.groups[1].members)
        targets[theirs[:, None], at] = targets[theirs[:, None], at].roll(1, 1)
    return replace(seen, targets=targets)


@pytest.mark.parametrize("differ", [0, 1])
def test_twins_are_named_with_what_differs(differ):
    seen = twins(observations(600)[0], differ)
    (found,) = inseparable(seen).findings
    assert found.where == "class 0 / class 1"
    assert found.effect == differ
    assert found.high <= 1
    assert ("wing" in found.evidence["groups that differ"]) == bool(differ)


def test_classes_that_differ_are_not_reported():
    verdict = inseparable(observations(600)[0])
    assert verdict.findings == ()
    assert verdict.tested == 15


def test_few_pictures_cannot_show_that_classes_are_alike():
    seen = twins(observations(600, variation=0.3)[0], 1)
    few = torch.cat([torch.nonzero(seen.labels == y)[:5, 0] for y in range(6)])
    tables = {name: getattr(seen, name)[few] for name in ("class_logits", "probabilities", "targets", "weights")}
    small = replace(
        seen, **tables, labels=seen.labels[few], names=tuple(seen.names[i] for i in few.tolist()), features=None
    )
    assert len(inseparable(small).findings) <= len(inseparable(seen).findings) <= 1


def test_distance_is_half_the_sum_of_differences():
    seen, _ = observations(300)
    one, other = seen.prototypes[0], seen.prototypes[1]
    by_hand = [sum(abs(float(one[k] - other[k])) for k in g.members) / 2 for g in seen.vocabulary.groups]
    assert apart(seen, one, other).tolist() == pytest.approx(by_hand, abs=1e-6)


def test_an_attribute_that_half_of_a_class_has_is_ambiguous():
    seen, _ = observations(1200, variation=0.0)
    targets = seen.targets.clone()
    rows = torch.nonzero(seen.labels == 3)[::2, 0]
    at = list(seen.vocabulary.groups[0].members)
    targets[rows[:, None], at] = targets[rows[:, None], at].roll(1, 1)
    found = [f for f in ambiguous(replace(seen, targets=targets)).findings if f.where.startswith(PARTS[0])]
    assert len(found) == 2
    assert all(f.evidence["classes"] == "class 3" for f in found)
    assert all(f.evidence["shares from"] == pytest.approx(0.5) for f in found)


def test_what_classes_surely_have_is_not_ambiguous():
    found = ambiguous(observations(1200, variation=0.0)[0]).findings
    assert {f.where.partition("::")[0] for f in found} == {PARTS[4]}


def test_chance_alone_makes_nothing_ambiguous():
    seen, _ = observations(60, variation=0.0)
    assert ambiguous(seen).summary["before chance"] > 0
    assert ambiguous(seen).findings == ()


def test_guesses_are_counted():
    seen, _ = observations(1200)
    weights = seen.weights.clone()
    weights[:100] = 0.5
    weights[100:130] = 0
    found = ambiguous(replace(seen, weights=weights)).findings[0]
    assert (found.evidence["guessed"], found.evidence["unknown"]) == (100, 30)


def test_a_question_with_one_answer_is_named():
    seen, _ = observations(600)
    values = torch.stack([seen.answers(g.members) for g in seen.vocabulary.groups], dim=1)
    values[:, 3] = 2
    values[:3, 3] = 1
    (found,) = constant(replace(seen, targets=hot(values))).findings
    assert found.where == PARTS[3]
    assert found.evidence["value"] == "2"
    assert found.effect == pytest.approx(0.995)
    assert found.evidence["bits"] == pytest.approx(0.0454, abs=1e-3)


def test_questions_with_several_answers_are_not_reported():
    assert constant(observations(600)[0]).findings == ()


def test_an_attribute_that_nothing_has_is_constant():
    seen, _ = observations(600, exclusive=False)
    targets = seen.targets.clone()
    targets[:, -3:] = 0
    assert [f.evidence["value"] for f in constant(replace(seen, targets=targets)).findings] == ["absent"]


def test_entropy_in_bits():
    assert entropy([1, 1, 1, 1]) == 2.0
    assert entropy([9, 1]) == pytest.approx(0.469, abs=1e-3)
