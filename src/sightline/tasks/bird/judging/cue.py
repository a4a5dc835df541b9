"""The aviary's judge: `sightline evaluate` on a world of birds is judged on its certified scenes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.compare.judges import JUDGES, Certificate, Judging
from sightline.terminal.screen import progress, say_note
from sightline.worlds.aviary.rendered import is_world, read_world

if TYPE_CHECKING:
    from sightline.compare import Sample, Settings
    from sightline.models.load import LoadedModel


@dataclass(frozen=True)
class AviaryJudging:
    """How a world of birds is judged.

    Args:
        data: the world's folder.
        cue: `foreground`, `background` or `part:NAME`.
    """

    data: Path
    cue: str

    def metrics(self, names: Sequence[str]) -> tuple[str, ...]:
        """See `Judging.metrics`; removing parts says nothing of a cue that is the background."""
        from sightline.tasks.bird.judging.redrawn import REDRAWN

        if names:
            return tuple(name for name in names if name in REDRAWN)
        return REDRAWN[:1] if self.cue == "background" else REDRAWN

    def forwards(self, settings: Settings, metrics: Sequence[str]) -> int:
        """See `Judging.forwards`."""
        from sightline.tasks.bird.judging.redrawn import redrawn_forwards

        return redrawn_forwards(settings, metrics)

    def certificate(
        self,
        loaded: LoadedModel,
        samples: Sequence[Sample],
        settings: Settings,
        *,
        metrics: Sequence[str],
        folder: Path,
    ) -> Certificate:
        """Certify every scene behind a progress bar, and say how many are."""
        from sightline.tasks.bird.judging.certified import certified_samples
        from sightline.tasks.bird.judging.redrawn import Redrawn

        with progress() as bar:
            task = bar.add_task("certifying", total=len(samples))
            certified = certified_samples(
                loaded, self.data, samples, self.cue, folder=folder, step=lambda done: bar.update(task, advance=done)
            )
        text = str(certified.certificates)
        say_note(text)
        return Certificate(certified.samples, text, Redrawn(loaded, certified, tuple(metrics), settings))


@JUDGES.register("aviary")
def aviary(data: Path, cue: str | None) -> Judging | None:
    """Judge a rendered world on the cue that was asked for, or on what its best model must use."""
    from sightline.tasks.bird.judging.certified import cue_of

    if not is_world(data):
        return None
    world = read_world(data)
    if cue is not None:
        return AviaryJudging(data, cue_of(cue))
    if world.required == "mixed":
        say_note("no single cue is required in this world, so nothing is certified; --cue NAME certifies one")
        return None
    return AviaryJudging(data, world.required)
