"""Small worlds for the tests of the aviary."""

import pytest

from sightline.worlds.aviary import World, WorldConfig


@pytest.fixture(scope="session")
def world() -> World:
    return World(WorldConfig(species=8, seed=4))
