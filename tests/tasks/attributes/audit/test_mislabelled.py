"""Planted wrong class labels stand first, and none is reported where none is planted."""

from dataclasses import replace

import pytest
import torch

from sightline.tasks.attributes.audit.mislabelled import class_noise, class_suspicions

from .planted import observations


@pytest.fixture(scope="module")
def planted():
    seen, _ = observations(300, sharp=6.0, variation=0.0)
    wrong = torch.zeros(300, dtype=torch.bool)
    wrong[::15] = True
    labels = torch.where(wrong, (seen.labels + 1) % 6, seen.labels)
    return replace(seen, labels=labels), wrong


def test_wrong_labels_are_ranked_first_and_reported(planted):
    seen, wrong = planted
    doubts = class_suspicions(seen)
    first = doubts.ranking[:, 0].argsort(descending=True)[: int(wrong.sum())]
    assert wrong[first].float().mean() > 0.9
    verdict = class_noise(seen)
    reported = {f.where for f in verdict.findings}
    assert reported
    assert reported <= {name for name, bad in zip(seen.names, wrong.tolist(), strict=True) if bad}
    assert verdict.findings[0].pictures == (verdict.findings[0].where,)
    assert verdict.findings[0].evidence["label"] != verdict.findings[0].evidence["instead"]


def test_right_labels_are_left_alone():
    seen, _ = observations(300, sharp=6.0, variation=0.0)
    assert class_noise(seen).findings == ()


def test_without_features_or_with_few_pictures_nothing_is_judged():
    seen, _ = observations(300)
    assert "no features" in class_noise(replace(seen, features=None)).skipped
    assert "fewer than 40" in class_noise(replace(seen, labels=torch.full((300,), -1))).skipped


def test_a_network_that_learnt_the_wrong_labels_is_no_judge_of_them(planted):
    seen, wrong = planted
    learnt = torch.nn.functional.one_hot(seen.labels, 6).float() * 9
    trained = replace(seen, class_logits=learnt, trained=torch.ones(300, dtype=torch.bool))
    first = class_suspicions(trained).ranking[:, 0].argsort(descending=True)[: int(wrong.sum())]
    assert wrong[first].float().mean() > 0.9
