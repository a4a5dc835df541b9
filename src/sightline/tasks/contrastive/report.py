"""The page of Markdown that lies beside an encoder's weights, made from measured figures."""

from __future__ import annotations

from sightline.common.settings import option_texts
from sightline.reports.run_page import Run
from sightline.tasks.contrastive.metrics import Retrieval
from sightline.tasks.contrastive.recipe import ContrastiveRecipe


def run_of(retrieval: Retrieval, recipe: ContrastiveRecipe, *, title: str, epochs: int, command: str) -> Run:
    """What the run page says beside its curves."""
    low, high = retrieval.interval
    before = retrieval.untrained / retrieval.queries
    text = (
        f"For {retrieval.accuracy:.1%} of {retrieval.queries} held-out scenes the nearest picture is of the same "
        f"species (95 % interval {low:.1%} to {high:.1%}). Chance is {retrieval.chance:.1%}, the untrained network "
        f"{before:.1%}"
    )
    proven = low > max(retrieval.chance, before)
    return Run(
        title=title,
        verdict=f"{text}." if proven else f"{text}: no gain over these is shown, so do not use these weights.",
        headline=[
            ("accuracy@1", f"{retrieval.accuracy:.1%}", "share of queries whose nearest picture is of their species"),
            ("untrained network", f"{before:.1%}", "the control: the same network before training"),
            ("chance", f"{retrieval.chance:.1%}", f"picking one of {retrieval.gallery} pictures at random"),
        ],
        facts={"encoder": f"{recipe.network.dimensions} numbers, input {recipe.data.size} px", "command": command},
        recipe=option_texts(recipe),
        best=epochs,
        command=command,
    )


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
