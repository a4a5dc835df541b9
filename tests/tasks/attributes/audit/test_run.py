"""All detectors together: ids, commands, reasons for what was skipped, and what does not fit."""

import json
from dataclasses import replace

import pytest
import torch

from sightline.errors import InputError
from sightline.tasks.attributes.audit import DETECTORS, audit

from .planted import observations, redrawn, with_contributions


@pytest.fixture(scope="module")
def whole():
    seen, _ = observations(240, flips=0.05, misread=0.3)
    return audit(with_contributions(seen), redrawn(by_background=0.5), command=lambda kind: f"again --kind {kind}")


def test_every_detector_answers_or_says_why_not(whole):
    assert list(whole.verdicts) == list(DETECTORS)
    assert all(verdict.skipped or (verdict.tested and verdict.rule) for verdict in whole.verdicts.values())


def test_findings_are_whole_records_that_json_takes(whole):
    assert len({f.id for f in whole.findings}) == len(whole.findings) > 5
    for finding in whole.findings:
        record = json.loads(json.dumps(finding.record(), allow_nan=False))
        assert record["command"] == f"again --kind {finding.kind}"
        assert record["subject"] == DETECTORS[finding.kind].subject
        assert finding.low <= finding.effect <= finding.high


def test_no_interval_holds_its_null(whole):
    for finding in whole.findings:
        assert finding.null < finding.low or finding.null > finding.high, finding


def test_it_is_the_same_every_time(whole):
    seen, _ = observations(240, flips=0.05, misread=0.3)
    again = audit(with_contributions(seen), redrawn(by_background=0.5), command=lambda kind: f"again --kind {kind}")
    assert again.findings == whole.findings


def test_one_kind_can_be_asked_for():
    seen, _ = observations(200)
    assert list(audit(seen, kinds=["constant"]).verdicts) == ["constant"]


def test_near_names_of_detectors_are_listed():
    with pytest.raises(InputError, match="near names: 'background'"):
        audit(observations(60)[0], kinds=["backgroud"])


def test_tables_that_do_not_fit_are_refused():
    seen, _ = observations(60)
    with pytest.raises(InputError, match="probabilities of 60 pictures and 19 attributes"):
        replace(seen, probabilities=torch.zeros(60, 3))
    with pytest.raises(InputError, match="names and class logits of 60 pictures"):
        replace(seen, names=("a",))


def test_pictures_without_a_class_are_audited():
    seen, _ = observations(200)
    nameless = replace(seen, labels=torch.full((200,), -100))
    verdicts = audit(nameless, redrawn()).verdicts
    assert verdicts["misread"].skipped
    assert not verdicts["constant"].skipped
