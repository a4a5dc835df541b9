"""A misread attribute that cost the class is named; the smallest correction is the smallest."""

from dataclasses import replace
from itertools import combinations

import torch

from sightline.tasks.attributes.audit.correction import MOST, misread, repairs

from .planted import PARTS, observations


def brute_force(seen, row):
    """Sizes of the smallest set of groups, set to what is true by writing it into a, that restores the class."""
    groups = seen.vocabulary.groups
    bias = seen.class_logits[row] - seen.head @ seen.probabilities[row]
    for size in range(1, MOST + 1):
        for chosen in combinations(range(len(groups)), size):
            a = seen.probabilities[row].clone()
            for g in chosen:
                at = list(groups[g].members)
                if a[at].argmax() == seen.targets[row, at].argmax():
                    break
                a[at] = seen.targets[row, at]
            else:
                if (seen.head @ a + bias).argmax() == seen.labels[row]:
                    return size
    return 0


def test_smallest_corrections_are_those_of_a_search_over_all_sets():
    seen, _ = observations(400, classes=16, sharp=1.0, seed=3)
    made = repairs(seen, seen.head)
    assert {one.row for one in made} == set(torch.nonzero(seen.decided != seen.labels)[:, 0].tolist())
    assert len({one.size for one in made}) >= 3
    assert [one.size for one in made] == [brute_force(seen, one.row) for one in made]


def test_the_group_that_is_misread_is_reported_and_no_other():
    seen, _ = observations(900, classes=12, sharp=6.0, misread=0.6, variation=0.0)
    verdict = misread(seen)
    assert [f.where for f in verdict.findings] == [PARTS[0]]
    (found,) = verdict.findings
    assert 0.3 < found.effect <= 1.0
    assert 0 < found.low < found.effect < found.high


def test_a_network_that_reads_right_is_not_reported():
    seen, _ = observations(600, sharp=8.0, variation=0.0)
    wrong = replace(seen, class_logits=seen.class_logits + 8 * torch.randn(600, 6, generator=torch.manual_seed(1)))
    assert (wrong.decided != wrong.labels).sum() > 50
    assert misread(wrong).findings == ()


def test_what_nobody_answered_is_not_corrected():
    seen, _ = observations(600, classes=12, sharp=6.0, misread=0.6, variation=0.0)
    weights = seen.weights.clone()
    weights[:, :4] = 0
    assert PARTS[0] not in [f.where for f in misread(replace(seen, weights=weights)).findings]


def test_a_join_without_a_path_is_skipped():
    seen, _ = observations(60)
    assert "no path from attributes" in misread(replace(seen, head=None, join="parallel")).skipped


def test_attributes_that_exclude_nothing_are_corrected_too():
    seen, _ = observations(900, classes=12, sharp=6.0, misread=0.6, variation=0.0, exclusive=False)
    assert PARTS[0] in [f.where for f in misread(seen).findings]
