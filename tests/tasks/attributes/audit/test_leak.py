"""An attribute that is concluded from the class is named; one that is seen is not."""

from dataclasses import replace

import torch

from sightline.tasks.attributes.audit.leak import class_read

from .planted import FREE, PARTS, hot, observations, redrawn


def concluding(group, **options):
    """A network that says of one group what the class usually has."""
    seen, _ = observations(1200, variation=0.15, sharp=8.0, **options)
    at = list(seen.vocabulary.groups[group].members)
    said = seen.probabilities.clone()
    said[:, at] = seen.prototypes[seen.labels][:, at]
    return replace(seen, probabilities=said)


def test_a_group_that_is_concluded_from_the_class_is_reported():
    found = class_read(concluding(1)).findings
    assert [f.where for f in found] == [PARTS[1]]
    assert found[0].effect == 1.0
    assert found[0].evidence["accuracy"] == found[0].evidence["accuracy of the class alone"]


def test_a_network_that_sees_is_not_reported():
    seen, _ = observations(1200, variation=0.15, sharp=8.0)
    assert class_read(seen).findings == ()
    assert class_read(seen).tested == FREE


def test_a_class_without_a_usual_value_decides_nothing():
    assert PARTS[FREE] not in [f.where for f in class_read(concluding(FREE)).findings]


def test_redrawing_decides_where_scenes_can_be_redrawn():
    seen, _ = observations(1200, variation=0.15, sharp=8.0)
    stays = torch.tensor([0.0, 0.9, 0.0, 0.0, 0.9])
    found = class_read(seen, redrawn(stays=stays)).findings
    assert [f.where for f in found] == [PARTS[1]]
    assert class_read(concluding(1), redrawn()).findings == ()


def test_without_variation_inside_classes_it_is_skipped():
    seen, _ = observations(100, variation=0.0)
    whole = replace(seen, targets=hot(torch.zeros(100, 5, dtype=torch.long)))
    assert "differs from its class" in class_read(whole).skipped
