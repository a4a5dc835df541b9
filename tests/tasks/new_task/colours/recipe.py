"""The recipe: its options come to the command line by being declared."""

from dataclasses import dataclass

from sightline.common.settings import setting
from sightline.training.recipe import OptimConfig, Recipe


@dataclass(frozen=True, kw_only=True)
class ColourRecipe(Recipe):
    optim: OptimConfig = OptimConfig(lr=0.05)
    steps: int = setting(60, "Steps of the optimiser.", above=0)
