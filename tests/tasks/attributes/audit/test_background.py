"""A decision by the background is found, and more of it the more there is."""

from dataclasses import replace

import pytest
import torch

from sightline.tasks.attributes.audit.background import background, exchanged

from .planted import observations, redrawn


def test_a_decision_by_the_background_is_reported():
    (found,) = background(observations(60)[0], redrawn(by_background=0.5)).findings
    assert found.low > 0.3
    assert found.evidence["to the background's class"] > 0.4


def test_a_network_that_any_change_upsets_is_not():
    verdict = background(observations(60)[0], redrawn(fragile=0.4))
    assert verdict.findings == ()
    assert verdict.tested == 2
    assert verdict.summary["flips by exchange"] > 0.2


def test_flips_to_no_class_in_particular_are_not_the_background():
    scenes = redrawn(fragile=0.4)
    calm = replace(scenes, repeated=scenes.decided[:, None].expand(-1, 3))
    assert exchanged(calm, 6)[0].above(0.0)
    assert background(observations(60)[0], calm).findings == ()


def test_the_score_grows_with_the_dependence():
    scores = [exchanged(redrawn(400, by_background=share), 6)[2] for share in (0.0, 0.3, 0.6, 0.9)]
    values = [score["background dependence"] for score in scores]
    assert values == sorted(values)
    assert values[0] == 0
    assert values[3] == pytest.approx(0.9, abs=0.05)


def test_only_decisions_that_were_right_are_judged():
    scenes = redrawn(by_background=0.5)
    broken = replace(scenes, decided=(scenes.labels + 1) % 6)
    assert "no mask" in background(observations(60)[0], broken).skipped


def test_a_class_whose_map_lies_beside_the_object_is_named_and_shown():
    seen, _ = observations(600, sharp=8.0)
    draw = torch.Generator().manual_seed(0)
    energy = 0.6 + 0.1 * torch.randn(600, generator=draw)
    energy = torch.where(seen.decided == 2, energy - 0.4, energy)
    verdict = background(replace(seen, energy=energy, mean_map=torch.full((600,), 0.5)))
    (found,) = verdict.findings
    assert found.where == "class 2"
    assert found.high < 0
    worst = torch.where(seen.decided == 2, energy, torch.inf).argsort()[:6].tolist()
    assert found.pictures == tuple(seen.names[row] for row in worst)


def test_every_share_of_a_map_stands_beside_its_controls():
    seen, _ = observations(600)
    tables = {"energy": 0.6, "mean_map": 0.5, "area": 0.3, "prior": 0.7}
    whole = replace(seen, **{name: torch.full((600,), share) for name, share in tables.items()})
    summary = background(whole).summary
    assert summary["class maps: on the object"] == pytest.approx(0.6)
    assert summary["class maps: mean map of all other pictures"] == pytest.approx(0.5)
    assert summary["class maps: object's area"] == pytest.approx(0.3)
    assert summary["class maps: more than the mean map"].startswith("+0.100")


def test_where_objects_are_centred_a_map_like_those_of_other_pictures_is_no_finding():
    """A centred Gaussian beats any map on photos of birds in the middle."""
    seen, _ = observations(600, sharp=8.0)
    draw = torch.Generator().manual_seed(0)
    energy = 0.5 + 0.1 * torch.randn(600, generator=draw)
    centred = replace(seen, energy=energy, prior=torch.full((600,), 0.65))
    assert background(replace(centred, mean_map=energy.mean().expand(600))).findings == ()
    assert len(background(replace(centred, mean_map=energy + 0.05)).findings) == 6


def test_pictures_without_a_mask_are_left_out():
    seen, _ = observations(60)
    nothing = torch.full((60,), torch.nan)
    assert "no mask" in background(replace(seen, energy=nothing, mean_map=nothing)).skipped
