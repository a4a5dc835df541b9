"""Scenes to learn from, and scenes that figures are measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sightline.tasks.audiovisual.recipe import DataConfig, EventRecipe
from sightline.tasks.audiovisual.world import HELD_OUT, Scenes, WorldConfig, scenes
from sightline.training.reporter import Report


@dataclass(frozen=True, eq=False)
class EventData:
    """Scenes.

    Args:
        train: to learn from, some without an event.
        held_out: to measure on, each with an event.
    """

    train: Scenes
    held_out: Scenes


def world_of(data: DataConfig) -> WorldConfig:
    """The knobs of the world that a recipe asks for."""
    return WorldConfig(
        frames=data.frames,
        side=data.side,
        shapes=data.shapes,
        tones=data.tones,
        noise=data.noise,
        sound_noise=data.sound_noise,
        lag=data.lag,
        negatives=data.negatives,
    )


def draw(recipe: EventRecipe, report: Report) -> EventData:
    """Draw both parts."""
    config, seed = world_of(recipe.data), recipe.machine.seed
    train = scenes(config, 0, recipe.data.scenes, seed=seed, report=report)
    positive = replace(config, negatives=0.0)
    return EventData(train, scenes(positive, HELD_OUT, recipe.data.held_out, seed=seed, report=report))
