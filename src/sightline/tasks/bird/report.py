"""The model card: a page of Markdown made from measured figures."""

from __future__ import annotations

import datetime
import os

from sightline.common.settings import option_texts
from sightline.common.statistics.intervals import wilson
from sightline.models.zoo.birdnet import BirdNetSpec
from sightline.reports.run_page import Run
from sightline.tasks.bird.metrics import Measures, Reading, Times
from sightline.tasks.bird.recipe import BirdRecipe
from sightline.worlds.aviary.world import World

_PAGE = """# BirdNet, the bundled model

A small residual network that names {classes} species of Sightline's generated bird world and reads
{attributes} attributes. It knows nothing of real birds. This page was written by the command that trained it.

| | |
|---|---|
{facts}

## Attributes
Share of held-out scenes with the part in sight whose value was read right. In these scenes every attribute
is drawn by chance, so that knowing the class does not help. Each group is read at places of its own; *on its
part* is the share of the weight on cells (4 px) that touch the part, beside the share of cells that do,
which is what a head that looks everywhere alike would have.

| group | accuracy | 95 % interval | most frequent value | on its part | its part's cells | scenes |
|---|---|---|---|---|---|---|
{groups}

## Near-twins
Species that differ in one attribute group, and the share of their scenes taken for the twin.

{twins}

## Limits
Trained and measured on drawings only. Off-centre birds, eight background families and leaves before the
bird were in the training; photographs were not. The held-out scenes come from the same generator with
numbers that are never trained on.
"""


def card(measures: Measures, recipe: BirdRecipe, world: World, command: str) -> str:
    """Everything that a user of the weights should know.

    Args:
        measures: the figures.
        recipe: how it was trained.
        world: world that the network was trained on.
        command: that trained it.
    """
    data, loop, network = recipe.data, recipe.loop, recipe.network
    weight = recipe.loss.place_weight
    facts = {
        "class accuracy": _accuracy(measures),
        "attribute accuracy, mean over groups": f"{measures.attribute_accuracy:.4f} "
        f"(always the most frequent value: {measures.attribute_base:.4f})",
        "training scenes": f"{data.scenes} with a class, {data.random_scenes} by chance, {data.size} px",
        "training": f"{loop.epochs} epochs ({loop.small_epochs} of them with shrunk scenes), "
        f"batch {loop.batch_size}, seed {recipe.machine.seed}",
        "time": _times(measures.times),
        "machine": f"{os.cpu_count()} shared CPU cores",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "architecture": f"stem, residual blocks {network.blocks}, widths {network.widths}, input {data.size} px; "
        f"the attribute head reads {network.attribute_width} channels at stride 4",
        "taught where to read": f"by part masks, weight {weight:g}" if weight else "no",
        "preprocessing": f"RGB / 255, minus {BirdNetSpec.mean}, over {BirdNetSpec.std}",
        "weights": f"half precision, {measures.size_bytes / 1e6:.2f} MB",
        "command": f"`{command}`",
    }
    return _PAGE.format(
        classes=len(world.labels),
        attributes=len(world.attributes),
        facts="\n".join(f"| {name} | {fact} |" for name, fact in facts.items()),
        groups="\n".join(_row(group) for group in measures.groups),
        twins="\n".join(f"- {name}: {share:.3f}" for name, share in measures.twins),
    )


def run_of(measures: Measures, recipe: BirdRecipe, *, title: str, epochs: int, command: str) -> Run:
    """What the run page says beside its curves."""
    low, high = measures.interval
    words = [["group", "accuracy", "95 % interval", "most frequent value", "scenes"]]
    for group in measures.groups:
        share, base = (count / max(1, group.total) for count in (group.right, group.base))
        ends = wilson(group.right, group.total)
        words.append([group.name, f"{share:.3f}", f"{ends[0]:.3f} to {ends[1]:.3f}", f"{base:.3f}", str(group.total)])
    return Run(
        title=title,
        verdict=(
            f"The network names the species of {measures.accuracy:.1%} of {measures.scenes} held-out scenes (95 % "
            f"interval {low:.1%} to {high:.1%}) and reads {measures.attribute_accuracy:.1%} of the attributes; the "
            f"most frequent value would be right for {measures.attribute_base:.1%}. It knows drawings only."
        ),
        headline=[
            ("class accuracy", f"{measures.accuracy:.1%}", "share of held-out scenes whose species is right"),
            (
                "attribute accuracy",
                f"{measures.attribute_accuracy:.1%}",
                "mean over groups, scenes drawn by chance",
            ),
            ("most frequent value", f"{measures.attribute_base:.1%}", "the control of the attributes"),
        ],
        facts={"time": _times(measures.times), "weights": f"{measures.size_bytes / 1e6:.2f} MB", "command": command},
        recipe=option_texts(recipe),
        best=epochs,
        tables={"Attributes": words},
        words={"Attributes": "Share of held-out scenes with the part in sight whose value was read right."},
        command=command,
    )


def _times(times: Times | None) -> str:
    """Wall-clock and CPU time, in minutes."""
    if times is None:
        return "not measured"
    minutes = [f"{seconds / 60:.1f}" for seconds in (times.draw, times.draw_cpu, times.train, times.train_cpu)]
    cpu = f" ({minutes[1]} min of CPU time)" if times.draw_cpu else ""
    draw = f"{minutes[0]} min to draw or read the scenes{cpu}"
    return f"{draw}, {minutes[2]} min to train ({minutes[3]} min of CPU time)"


def _accuracy(measures: Measures) -> str:
    """Class accuracy with its interval."""
    low, high = measures.interval
    return f"{measures.accuracy:.4f} (95 % interval {low:.4f}-{high:.4f}, {measures.scenes} held-out scenes)"


def _row(group: Reading) -> str:
    """One line of the attribute table."""
    low, high = wilson(group.right, group.total)
    share, base = (count / max(1, group.total) for count in (group.right, group.base))
    looks = f"{group.aim:.3f} | {group.area:.3f}"
    return f"| {group.name} | {share:.3f} | {low:.3f}-{high:.3f} | {base:.3f} | {looks} | {group.total} |"
