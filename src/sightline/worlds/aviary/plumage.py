"""Feathers: a colour per pixel from a base colour, light from above, fine texture and a pattern.

Every function sees one region and bird coordinates; it knows nothing of parts or scenes.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from sightline.worlds.aviary.canvas import Bools, Bytes, Floats, edge

INK = np.array([38, 34, 40], np.float32)
PAPER = np.array([248, 246, 240], np.float32)
_TILE = 256


@cache
def feather_noise() -> Floats:
    """A fixed tile of soft noise in -1..1, elongated along the feathers."""
    raw = np.random.default_rng(20260).standard_normal((_TILE, _TILE)).astype(np.float32)
    soft = raw + np.roll(raw, 1, 1) + np.roll(raw, 2, 1) + np.roll(raw, 3, 1) + np.roll(raw, 1, 0)
    return np.asarray(np.clip(soft / 4.5, -1, 1), np.float32)


def texture(shape: tuple[int, ...], offset: int) -> Floats:
    """A window of the noise tile, repeated where it ends."""
    rows = (np.arange(shape[0]) + offset) % _TILE
    columns = (np.arange(shape[1]) + offset // _TILE) % _TILE
    return feather_noise()[rows[:, None], columns[None, :]]


def rounded(base: Floats, down: Floats, noise: Floats, *, top: float, bottom: float) -> Floats:
    """Light from above: `base` lit at height `top`, shaded at `bottom`, plus feather texture."""
    depth = np.clip((down - top) / (bottom - top), 0, 1)
    shade = 1.10 - 0.34 * depth**1.5 + 0.05 * noise
    return np.asarray(base * shade[..., None], np.float32)


def finish(colour: Floats, mask: Bools, rim: int, strength: float = 0.30) -> Bytes:
    """Darken the rim of a part, so that neighbours of one colour stay apart, and quantise."""
    if rim:
        colour = colour * (1 - strength * edge(mask, rim).astype(np.float32))[..., None]
    return np.asarray(np.clip(colour, 0, 255), np.uint8)


def contrast(base: Floats) -> Floats:
    """The pattern's colour: pale on dark feathers, dark on pale ones."""
    luminance = float(base @ np.array([0.30, 0.59, 0.11], np.float32))
    return PAPER if luminance < 120 else INK


def mottled(colour: Floats, base: Floats, pattern: str, along: Floats, down: Floats) -> Floats:
    """Breast patterns: rows of spots, or streaks that run down."""
    if pattern == "solid":
        return colour
    if pattern == "spotted":
        row = np.floor(down / 0.115)
        x = (along / 0.125 + 0.5 * (row % 2)) % 1 - 0.5
        y = (down / 0.115) % 1 - 0.5
        marks = x * x + y * y < 0.085
    else:
        marks = np.abs((along + 0.12 * np.sin(down * 14)) / 0.105 % 1 - 0.5) < 0.17
    return np.where(marks[..., None], 0.85 * contrast(base) + 0.15 * colour, colour)


def quilled(colour: Floats, base: Floats, pattern: str, along: Floats, down: Floats) -> Floats:
    """Wings: scalloped coverts in front, long quills behind, and bars or spots."""
    fan = (down - 0.36 * (0.15 - along)) / (0.55 + 0.25 * along)
    quills = np.abs(fan / 0.155 % 1 - 0.5) > 0.42
    scallop = ((along * 7.5) + 0.5 * np.cos(fan * 40)) % 1 > 0.82
    lines = np.where(along < -0.12, quills, scallop)
    colour = colour * (1 - 0.24 * lines.astype(np.float32))[..., None]
    if pattern == "solid":
        return colour
    if pattern == "striped":
        bend = along + 0.9 * fan * fan
        marks = (np.abs(bend - 0.10) < 0.045) | (np.abs(bend + 0.11) < 0.045) | (np.abs(bend + 0.32) < 0.04)
    else:
        row = np.floor(along / 0.15)
        x = along / 0.15 % 1 - 0.5
        y = (fan / 0.24 + 0.5 * (row % 2)) % 1 - 0.5
        marks = x * x + y * y < 0.09
    return np.where(marks[..., None], 0.9 * contrast(base) + 0.1 * colour, colour)


def barbed(colour: Floats, along: Floats, down: Floats) -> Floats:
    """Tails: a few long feather lines and a darker tip."""
    fan = (down - 0.20) / (0.35 - along)
    lines = np.abs(fan / 0.11 % 1 - 0.5) > 0.41
    tip = np.clip((-along - 0.85) / 0.5, 0, 1)
    return np.asarray(colour * (1 - 0.22 * lines - 0.2 * tip)[..., None], np.float32)
