"""The eye of the drawing's benchmark, against published numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from _seeing import DEFICIENCIES, ciede2000, difference, lab, seen, similarity

PAIRS = (
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 3.1571, -77.2803), (50.0, 0.0, -82.7485), 2.8615),
    ((50.0, 2.8361, -74.0200), (50.0, 0.0, -82.7485), 3.4412),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, -1.1848, -84.8006), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, -0.9009, -85.5211), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
    ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0009), 7.1792),
    ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0011), 7.2195),
    ((50.0, -0.0010, 2.4900), (50.0, 0.0009, -2.4900), 4.8045),
    ((50.0, -0.0010, 2.4900), (50.0, 0.0011, -2.4900), 4.7461),
    ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (61.0, -5.0, 29.0), 22.8977),
    ((50.0, 2.5, 0.0), (56.0, -27.0, -3.0), 31.9030),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((50.0, 2.5, 0.0), (50.0, 3.1736, 0.5854), 1.0000),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
    ((35.0831, -44.1164, 3.7933), (35.0232, -40.0716, 1.5901), 1.8645),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((36.4612, 47.8580, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
    ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ((90.9257, -0.5406, -0.9208), (88.6381, -0.8985, -0.7239), 1.5381),
    ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
)
"""Of Sharma, Wu and Dalal (2005), table 1: two CIELAB colours and their difference."""


@pytest.mark.parametrize(("one", "other", "expected"), PAIRS)
def test_ciede2000_has_the_published_values(one, other, expected):
    colours = [torch.tensor(colour, dtype=torch.float64) for colour in (one, other)]
    assert float(ciede2000(*colours)) == pytest.approx(expected, abs=5e-5)
    assert float(ciede2000(*colours[::-1])) == pytest.approx(expected, abs=5e-5)


def test_lab_has_the_known_values_of_the_primaries():
    red, white = lab(torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]], dtype=torch.float64))
    assert red.tolist() == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert white.tolist() == pytest.approx([100.0, 0.0, 0.0], abs=0.02)


@pytest.mark.parametrize("name", list(DEFICIENCIES))
def test_grey_stays_grey_with_every_deficiency(name):
    greys = torch.linspace(0, 1, 5)[:, None].expand(-1, 3)
    assert seen(greys, name).allclose(greys, atol=2e-3)


def test_red_and_green_come_closer_without_red_or_green_cones():
    red, green = torch.tensor([0.8, 0.2, 0.1]), torch.tensor([0.35, 0.55, 0.1])
    whole = float(difference(red, green))
    assert float(difference(red, green, deficiency="deuteranopia")) < 0.5 * whole
    assert float(difference(red, green, deficiency="tritanopia")) > 0.7 * whole


def test_similarity_is_one_with_itself_and_falls_with_contrast():
    picture = torch.rand(40, 40, generator=torch.Generator().manual_seed(0))
    assert similarity(picture, picture).allclose(torch.tensor(1.0), atol=1e-4)
    pale = [float(similarity(picture, 0.5 + share * (picture - 0.5)).mean()) for share in (0.8, 0.4, 0.1)]
    assert pale[0] > pale[1] > pale[2]
