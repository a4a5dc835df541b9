"""Judges: tasks that can draw their worlds' scenes again, and so certify on what a decision rests.

A task registers a judge under an entry point of the group `sightline.judges`; `judging_of` asks each whether a folder
is a world of its own. This file knows no world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sightline.compare.measure import Settings
from sightline.compare.run import Extra
from sightline.compare.samples import Sample
from sightline.errors import DataError
from sightline.models.load import LoadedModel
from sightline.registry import Registry

NONE = "none"
"""The cue that asks for no certificate."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """On what a comparison may be judged.

    Args:
        samples: those whose decision is certified to follow the cue, with the cue as their mask.
        text: how many these are, in a sentence.
        extra: rows of the metrics that only the world can compute.
    """

    samples: tuple[Sample, ...]
    text: str
    extra: Extra


class Judging(Protocol):
    """How one cue of one world is judged."""

    def metrics(self, names: Sequence[str]) -> tuple[str, ...]:
        """Which of these metrics only this world can compute; where none are named, all that suit the cue."""

    def forwards(self, settings: Settings, metrics: Sequence[str]) -> int:
        """Forwards per sample of the certificate and of these metrics, not counting the explanations."""

    def certificate(
        self,
        loaded: LoadedModel,
        samples: Sequence[Sample],
        settings: Settings,
        *,
        metrics: Sequence[str],
        folder: Path,
    ) -> Certificate:
        """Certify every sample; what comes of it is also written into the folder."""


Judge = Callable[[Path, str | None], Judging | None]
"""From a folder and the cue that was asked for (None: what the world's best model must use) to how it is judged; None
where the folder is no world of this judge, or nothing of it is to be certified."""

JUDGES: Registry[Judge] = Registry("judge", group="sightline.judges", error=DataError)


def judging_of(data: Path, cue: str | None) -> Judging | None:
    """How the samples of a folder are judged; None without a certificate.

    Args:
        data: a folder of samples.
        cue: what was asked for; None takes what the world wants, `none` no certificate.

    Raises:
        DataError: a cue was asked for, but nobody can draw these samples again.
    """
    if cue == NONE:
        return None
    judging = next((one for judge in JUDGES.values() if (one := judge(data, cue)) is not None), None)
    if judging is None and cue is not None:
        raise DataError(
            f"{data} is not a rendered world: a cue can only be certified where scenes can be drawn again; "
            "`sightline world render` writes one"
        )
    return judging
