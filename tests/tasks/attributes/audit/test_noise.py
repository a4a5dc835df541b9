"""Flipped labels are found, ranked first, and hardly any other."""

from dataclasses import replace

import pytest
import torch

from sightline.tasks.attributes.audit.crossfit import folds, narrowed, out_of_fold
from sightline.tasks.attributes.audit.judges import CHOOSING, STRENGTHS, judges
from sightline.tasks.attributes.audit.noise import contradicted, label_noise, suspicions
from sightline.tasks.attributes.network.regression import fitted, probabilities

from .planted import PARTS, observations


def auc(score, truth):
    """Share of pairs in the right order, ties half."""
    yes, no = score[truth], score[~truth]
    return float(((yes[:, None] > no).double() + 0.5 * (yes[:, None] == no).double()).mean())


@pytest.fixture(scope="module")
def planted():
    seen, flipped = observations(1000, flips=0.05, sharp=6.0)
    return seen, flipped, suspicions(seen, repeats=3)


def test_planted_flips_come_first(planted):
    _, flipped, found = planted
    ranks = found.ranking.flatten().argsort(descending=True)[:100]
    assert flipped.flatten()[ranks].float().mean() >= 0.95
    assert auc(found.ranking.flatten(), flipped.flatten()) >= 0.9


def test_what_is_reported_is_mostly_flipped_and_most_flips_are_reported(planted):
    _, flipped, found = planted
    assert flipped[found.flagged].float().mean() >= 0.9
    assert found.flagged[flipped].float().mean() >= 0.5


def test_clean_labels_are_left_alone():
    seen, _ = observations(600, flips=0.0, sharp=6.0)
    assert suspicions(seen, repeats=2).flagged.float().mean() <= 0.002


def test_the_rate_of_noise_is_found(planted):
    assert torch.tensor(planted[2].rates).mean() == pytest.approx(0.05, abs=0.02)


def test_the_surest_answers_are_counted_that_contradict_a_label():
    values = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.55, 0.45]]).double()
    assert contradicted(values, torch.tensor([0, 1, 1, 1]), 0.5) == 0.5
    assert contradicted(values, torch.tensor([0, 0, 1, 1]), 0.5) == 0.0
    assert contradicted(values, torch.tensor([-1, 1, 1, 0]), 0.5) == 1.0


def test_a_question_that_nobody_can_answer_is_not_judged():
    seen, _ = observations(500, flips=0.05, sharp=6.0)
    features = seen.features.clone()
    features[:, -3:] = torch.randn(500, 3, generator=torch.manual_seed(0))
    said = seen.probabilities.clone()
    said[:, -3:] = features[:, -3:].softmax(1)
    found = suspicions(replace(seen, features=features, probabilities=said), repeats=2)
    assert found.unreadable == (PARTS[4],)
    assert not found.flagged[:, 4].any()


def test_labels_of_a_question_that_is_not_judged_are_ranked_too():
    seen, flipped = observations(300, flips=0.05, sharp=8.0)
    strict = suspicions(seen, repeats=2, unread=0.0)
    assert len(strict.unreadable) == len(PARTS)
    assert not strict.flagged.any()
    assert sum(bool(flipped[row, column]) for row, column in strict.first(30)) >= 28
    table = label_noise(seen).table
    row, column = seen.names.index(table[0]["picture"]), PARTS.index(table[0]["question"])
    assert flipped[row, column]
    assert [one["reported"] for one in table[:3]] == ["yes"] * 3


def test_each_question_gets_heads_of_the_strength_that_suits_it():
    draw = torch.Generator().manual_seed(0)
    seen, _ = observations(400, variation=0.0, flips=0.1, sharp=1.0)
    free = torch.randint(3, (400,), generator=draw)
    features = torch.cat([8 * torch.nn.functional.one_hot(free, 3), torch.randn(400, 40, generator=draw)], 1)
    targets = torch.cat([seen.targets[:, :-3], torch.nn.functional.one_hot(free, 3)], 1)
    own = judges(replace(seen, features=features, targets=targets))
    decided, clear = STRENGTHS[own.chosen[0]], STRENGTHS[own.chosen[-1]]
    assert decided.class_weight == max(one.class_weight for one in STRENGTHS)
    assert clear.penalty == min(one.penalty for one in STRENGTHS)


def test_the_strength_of_a_question_is_that_of_the_highest_log_probability_out_of_fold():
    seen, _ = observations(120, variation=0.2, flips=0.1, exclusive=False)
    own = judges(seen)
    classes = torch.nn.functional.one_hot(seen.labels, len(seen.classes)).double()
    gains = []
    for penalty, weight in STRENGTHS:
        table = torch.cat([narrowed(seen.features), weight * classes], 1)
        fold = folds(seen.names, CHOOSING)
        answers = out_of_fold(table, seen.targets, seen.weights, seen.questions, fold, penalty=penalty).double()
        gains.append([
            sum(
                float((p if t > 0.5 else 1 - p).log())
                for p, t in zip(answers[:, k], seen.targets[:, k], strict=True)
            )
            for k in range(answers.shape[1])
        ])  # fmt: skip
    assert own.chosen == tuple(torch.tensor(gains).argmax(0).tolist())


def test_the_network_does_not_judge_what_it_was_trained_on(planted):
    seen, _, _ = planted
    learnt = replace(seen, probabilities=seen.targets, trained=torch.ones(len(seen), dtype=torch.bool))
    assert int(suspicions(learnt, repeats=3).flagged.sum()) >= 40
    assert not suspicions(replace(learnt, trained=~learnt.trained), repeats=3).flagged.any()


def test_a_label_is_judged_by_heads_that_never_saw_it():
    seen, _ = observations(200, flips=0.0)
    fold = folds(seen.names)
    asked = seen.questions
    before = out_of_fold(narrowed(seen.features), seen.targets, seen.weights, asked, fold)
    other = seen.targets.clone()
    other[7] = 1 - other[7]
    after = out_of_fold(narrowed(seen.features), other, seen.weights, asked, fold)
    same = fold == fold[7]
    assert torch.equal(before[same], after[same])
    assert not torch.equal(before[~same], after[~same])


def test_heads_are_at_the_minimum_of_their_loss():
    seen, _ = observations(200)
    table = narrowed(seen.features)
    head = fitted(table, seen.targets, seen.weights, seen.questions, 1e-2)
    inputs = torch.cat([table, torch.ones(200, 1, dtype=table.dtype)], dim=1)
    error = probabilities(inputs @ head, seen.questions) - seen.targets
    gradient = inputs.T @ error / 200
    gradient[:-1] += 2e-2 * head[:-1]
    assert gradient.abs().max() < 1e-4


def test_unknown_labels_are_neither_fitted_nor_judged(planted):
    seen, _, _ = planted
    weights = seen.weights.clone()
    weights[:300] = 0
    some = replace(seen, weights=weights)
    found = suspicions(some, repeats=2)
    assert (found.label[:300] == -1).all()
    assert not found.flagged[:300].any()
    wild = seen.targets.clone()
    wild[:300] = wild[:300].flip(1)
    again = suspicions(replace(some, targets=wild), repeats=2)
    assert torch.allclose(found.ranking[300:], again.ranking[300:], atol=1e-6)


def test_the_class_must_not_side_with_the_label(planted):
    seen, _, found = planted
    row, column = torch.nonzero(found.flagged)[0].tolist()
    shares = seen.prototypes[seen.labels[row], list(found.questions[column].members)]
    assert shares[found.instead[row, column]] >= shares[found.label[row, column]] - 0.3
    assert not found.flagged[found.sided < 0].any()


def test_words_that_exclude_nothing_are_judged_one_by_one():
    seen, flipped = observations(600, flips=0.05, sharp=8.0, exclusive=False)
    found = suspicions(seen, repeats=2)
    assert len(found.questions) > 10
    row, column = divmod(int(found.ranking.flatten().argmax()), len(found.questions))
    member = found.questions[column].members[0]
    assert flipped[row, seen.vocabulary.group_of[member]]


def test_the_network_must_contradict_the_label_too(planted):
    seen, _, found = planted
    row, column = torch.nonzero(found.flagged)[0].tolist()
    said = seen.probabilities.clone()
    at = list(found.questions[column].members)
    said[row, at] = 0.0
    said[row, at[int(found.label[row, column])]] = 1.0
    again = suspicions(replace(seen, probabilities=said), repeats=2)
    assert not again.flagged[row, column]
    assert torch.equal(again.ranking, suspicions(seen, repeats=2).ranking)


def test_few_pictures_or_no_features_are_skipped():
    seen, _ = observations(30)
    assert "too few" in label_noise(seen).skipped
    assert "no features" in label_noise(replace(seen, features=None)).skipped


def test_folds_go_by_name():
    names = [f"{i}.jpg" for i in range(500)]
    fold = folds(names)
    assert torch.equal(folds(names[::-1]), fold.flip(0))
    assert torch.bincount(fold).min() > 60
