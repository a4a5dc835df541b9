"""An attribute that tells classes apart and is not used is named."""

from dataclasses import replace

import pytest
import torch

from sightline.tasks.attributes.audit.neglect import telling, unused

from .planted import FREE, PARTS, observations, with_contributions


def test_telling_is_the_mean_difference_to_the_other_classes():
    seen, _ = observations(300)
    rows = []
    for y in range(6):
        others = torch.stack([seen.prototypes[o] for o in range(6) if o != y]).mean(0)
        rows.append((seen.prototypes[y] - others).abs() / 2)
    by_hand = torch.stack(rows).mean(0)
    wanted = [float(by_hand[list(group.members)].sum()) for group in seen.vocabulary.groups]
    assert telling(seen).tolist() == pytest.approx(wanted, abs=1e-5)
    assert telling(seen).argmin() == FREE


@pytest.mark.parametrize("cut", [0, 2])
def test_a_telling_group_that_the_head_ignores_is_reported(cut):
    seen, _ = observations(600)
    order = telling(seen).argsort(descending=True).tolist()
    group = order[cut]
    head = seen.head.clone()
    head[:, list(seen.vocabulary.groups[group].members)] *= 0.02
    found = unused(with_contributions(replace(seen, head=head, class_logits=seen.probabilities @ head.T))).findings
    assert [f.where for f in found] == [PARTS[group]]
    assert found[0].high < 0.5 < found[0].null


def test_a_network_that_uses_all_that_tells_is_not_reported():
    seen, _ = observations(600)
    assert unused(with_contributions(seen)).findings == ()
    assert unused(with_contributions(seen)).tested >= 3


def test_without_contributions_it_is_skipped():
    assert "contribute" in unused(observations(60)[0]).skipped
