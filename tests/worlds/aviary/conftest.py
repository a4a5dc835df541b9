"""Small worlds for the tests of the aviary."""

import pytest

from sightline.worlds.aviary import Knobs, World


@pytest.fixture(scope="session")
def world() -> World:
    return World(Knobs(species=8, seed=4))
