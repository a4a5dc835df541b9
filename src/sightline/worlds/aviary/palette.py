"""The colours of plumage, bills, eyes and legs as linear-free sRGB triples.

Plumage colours are at least 25 CIE76 units apart (a test measures it). Knows nothing of shapes.
"""

from __future__ import annotations

from collections.abc import Mapping

Rgb = tuple[int, int, int]

PLUMAGE: Mapping[str, Rgb] = {
    "red": (206, 44, 46),
    "yellow": (246, 204, 52),
    "blue": (46, 104, 206),
    "green": (74, 158, 62),
    "brown": (130, 82, 46),
    "black": (44, 42, 50),
    "white": (244, 242, 236),
}
BILL: Mapping[str, Rgb] = {
    "black": (40, 38, 42),
    "orange": (240, 128, 30),
    "yellow": (248, 212, 70),
    "grey": (150, 156, 166),
}
EYE: Mapping[str, Rgb] = {
    "black": (22, 20, 24),
    "red": (222, 40, 36),
    "yellow": (255, 218, 60),
    "white": (250, 250, 248),
}
LEG: Mapping[str, Rgb] = {"black": (46, 42, 44), "orange": (236, 124, 40), "grey": (150, 152, 160)}
