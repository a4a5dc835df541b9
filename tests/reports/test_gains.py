import pytest
import torch

from sightline.reports.gains import GAINED, LOST, overlay_difference


def test_a_difference_is_green_where_gained_and_purple_where_lost_over_grey():
    picture = torch.full((2, 4, 3), 100, dtype=torch.uint8)
    change = torch.tensor([[-0.5, 0.0, 0.25, 0.5]])
    shown = overlay_difference(change, picture, smoothing="nearest")[0].float()
    grey = 50 + 0.55 * 100
    assert shown[1].tolist() == [grey] * 3
    for place, share, colour in ((0, 0.9, LOST), (2, 0.45, GAINED), (3, 0.9, GAINED)):
        assert shown[place].tolist() == pytest.approx([grey * (1 - share) + share * c for c in colour], abs=0.51)


def test_a_weaker_difference_is_paler_and_none_is_grey():
    picture = torch.full((1, 2, 3), 100, dtype=torch.uint8)
    change = torch.tensor([[-0.5, 0.5]])
    full, pale, none = (overlay_difference(change, picture, strength=s).float() for s in (1.0, 0.25, 0.0))
    assert (pale - none).abs().max() == pytest.approx(0.25 * float((full - none).abs().max()), abs=1.0)
    assert none.unique().tolist() == [105.0]
    assert torch.equal(overlay_difference(torch.zeros(1, 2), picture).float(), none)
