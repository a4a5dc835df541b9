"""The page of Markdown that lies beside the weights of a network of events, made from measured figures."""

from __future__ import annotations

from sightline.common.settings import option_texts
from sightline.reports.run_page import Run
from sightline.tasks.audiovisual.metrics.measure import Judged
from sightline.tasks.audiovisual.recipe import EventRecipe

COLUMNS = {
    "where": "where, strict",
    "near": "where, +-1 cell",
    "pixel": "where, pixel",
    "mass": "mass on object",
    "when": "when",
    "span": "mass in time",
}
"""Figures of a map and their names."""
WORDS = {
    "Where and when": "Share of scenes whose peak is right: in a cell that holds a part of the object (strict), or "
    "one beside it; on the object's pixels; in a segment with the event's tone. Mass: share of the map there. 95 % "
    "intervals over scenes. `loudness` is movement for where, `middle of the picture` also the middle of the time.",
    "Another sound": "The map of the former event when the sound is another. It has gone away where the mass on the "
    "former source is below its area and 0.05, and was above that before. `curve at "
    "the tone`: the peak is where that tone is now, if it is.",
}


def pointing_table(judged: Judged) -> list[list[str]]:
    """Every way to make maps, a row each; the first row is the header."""
    rows = [["maps", *COLUMNS.values()]]
    for name, figures in judged.rows.items():
        cells = ("-" if figures[key].mean != figures[key].mean else str(figures[key]) for key in COLUMNS)
        rows.append([name, *cells])
    return rows


def negative_table(judged: Judged) -> list[list[str]]:
    """Every sound, a row each; the first row is the header."""
    rows = [["sound", "mass on the former source", "its area", "went away", "curve at the tone", "same answer"]]
    there = judged.negative[0].is_there
    for one in judged.negative:
        moved = "-" if one.moved != one.moved else f"{one.moved:.3f}"
        went = (
            "-"
            if one.sound in ("as it is", "shifted")
            else ("never there" if not there else "yes" if one.passes else "no")
        )
        rows.append([one.sound, str(one.mass), f"{one.area:.3f}", went, moved, f"{one.same:.3f}"])
    return rows


def verdict(judged: Judged) -> str:
    """What came of the training, beside its controls, in a few sentences."""
    low, high = judged.interval
    share = f"{judged.accuracy:.1%} of {judged.scenes} held-out scenes are named right (95 % {low:.1%} to {high:.1%})"
    alone = f"picture alone {judged.picture / judged.scenes:.1%}, sound alone {judged.sound / judged.scenes:.1%}"
    own, base = judged.rows["attention"], judged.rows["chance"]
    points = (
        f"Where: {own['where'].mean:.3f} (chance {base['where'].mean:.3f}). "
        f"When: {own['when'].mean:.3f} (chance {base['when'].mean:.3f})."
    )
    behind = [f"{name} ({', '.join(ways)})" for name, ways in judged.behind.items() if ways]
    if low <= max(judged.picture, judged.sound) / judged.scenes:
        return f"{share}; {alone}: no gain over one modality is shown, so do not use these weights. {points}"
    if behind:
        return f"{share}; {alone}. {points} Not ahead of every control: {', '.join(behind)}."
    return f"{share}; {alone}. {points} Ahead of every control."


def run_of(judged: Judged, recipe: EventRecipe, *, title: str, epochs: int, command: str) -> Run:
    """What the run page says beside its curves."""
    own, base = judged.rows["attention"], judged.rows["chance"]
    return Run(
        title=title,
        verdict=verdict(judged),
        headline=[
            ("accuracy", f"{judged.accuracy:.1%}", "share of held-out scenes whose event is named"),
            ("where", f"{own['where'].mean:.1%}", f"peak in a cell of the object; chance {base['where'].mean:.1%}"),
            ("when", f"{own['when'].mean:.1%}", f"peak while the tone sounds; chance {base['when'].mean:.1%}"),
        ],
        facts={
            "picture alone": f"{judged.picture / judged.scenes:.3f}",
            "sound alone": f"{judged.sound / judged.scenes:.3f}",
            "command": command,
        },
        recipe=option_texts(recipe),
        best=epochs,
        tables={"Where and when": pointing_table(judged), "Another sound": negative_table(judged)},
        words=WORDS,
        command=command,
    )


def card(judged: Judged, recipe: EventRecipe, command: str) -> str:
    """What a user of the weights should know."""
    data, network = recipe.data, recipe.network
    low, high = judged.interval
    return f"""# A network of events

Names the event that is both seen and audible, and shows where and when. It learned from drawn scenes of moving shapes
and tones only: it knows nothing of real clips. This page was written by the command that trained it.

{verdict(judged)}

| | |
|---|---|
| accuracy | {judged.accuracy:.4f} ({low:.4f} to {high:.4f}, 95 %) on {judged.scenes} held-out scenes |
| picture alone | {judged.picture / judged.scenes:.4f} (the sound is masked as missing) |
| sound alone | {judged.sound / judged.scenes:.4f} (the picture is masked as missing) |
| training | {data.scenes} scenes, {recipe.loop.epochs} epochs, seed {recipe.machine.seed} |
| world | {data.shapes} shapes, {data.tones} tones, noise {data.noise:g} and {data.sound_noise:g}, lag {data.lag} |
| network | {network.form} attention, queries: {network.queries}, field: {network.field}, width {network.width} |
| command | `{command}` |

## Where and when

{WORDS["Where and when"]}

{markdown(pointing_table(judged))}

## Another sound

{WORDS["Another sound"]}

{markdown(negative_table(judged))}

The network follows the abstract of "Where and When" (arXiv 2105.01517); its equations and figures are not public, so
nothing here reproduces that paper.
"""


def markdown(rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
