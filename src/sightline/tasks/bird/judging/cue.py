"""`--cue` of `sightline evaluate`: judge on a world's certified scenes alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sightline.terminal.screen import progress, say_note

if TYPE_CHECKING:
    from sightline.compare import Sample, Settings
    from sightline.models.load import LoadedModel
    from sightline.tasks.bird.judging.certified import Certified

NONE = "none"


def cue_for(data: Path, asked: str | None) -> str | None:
    """The cue that is judged: what was asked for, or for a world what its best model must use; None for none."""
    from sightline.tasks.bird.judging import cue_of
    from sightline.worlds.aviary.rendered import is_world, read_world

    if asked == NONE or (asked is None and not is_world(data)):
        return None
    world = read_world(data)
    if asked is not None:
        return cue_of(asked)
    if world.required == "mixed":
        say_note("no single cue is required in this world, so nothing is certified; --cue NAME certifies one")
        return None
    return world.required


def split(metrics: list[str], cue: str | None) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Metrics of any photos (None where none is named), and those that draw scenes again."""
    from sightline.tasks.bird.judging import REDRAWN

    if not metrics:
        every = REDRAWN if cue is not None else ()
        return None, every[:1] if cue == "background" else every
    again = tuple(name for name in metrics if name in REDRAWN and cue is not None)
    return tuple(name for name in metrics if name not in again), again


def certified_for(
    loaded: LoadedModel, data: Path, samples: list[Sample], cue: str, settings: Settings, out: Path
) -> Certified:
    """Certify every scene behind a progress bar, and say how many are."""
    from sightline.tasks.bird.judging import certified_samples

    with progress() as bar:
        task = bar.add_task("certifying", total=len(samples))
        found = certified_samples(
            loaded, data, samples, cue, folder=out, step=lambda done: bar.update(task, advance=done)
        )
    say_note(str(found.found))
    return found
