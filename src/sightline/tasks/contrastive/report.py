"""The page of Markdown that lies beside an encoder's weights, made from measured figures."""

from __future__ import annotations

from sightline.tasks.contrastive.metrics import Retrieval
from sightline.tasks.contrastive.recipe import ContrastiveRecipe


def card(retrieval: Retrieval, recipe: ContrastiveRecipe, command: str) -> str:
    """What a user of the weights should know."""
    low, high = retrieval.interval
    data, network = recipe.data, recipe.network
    return f"""# Bird encoder

Embeds pictures of Sightline's generated bird world so that two scenes of one species lie together. It knows nothing
of real birds. This page was written by the command that trained it.

| | |
|---|---|
| accuracy@1 of retrieval by cosine | {retrieval.accuracy:.4f} ({low:.4f} to {high:.4f}, 95 %) |
| chance | {retrieval.chance:.4f} |
| the same network untrained | {retrieval.untrained / retrieval.queries:.4f} |
| held-out | {retrieval.queries} queries, {retrieval.gallery} pictures in the gallery |
| training | {data.scenes} scenes, {recipe.loop.epochs} epochs, seed {recipe.machine.seed} |
| loss | InfoNCE, T = {recipe.loss.temperature} |
| encoder | {network.dimensions} numbers, widths {network.widths}, input {data.size} px |
| command | `{command}` |
"""
