"""In what form and under which names a model that somebody brings takes picture and sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from sightline.errors import InputError, near
from sightline.tasks.audiovisual.metrics.clips import Sound

PICTURES: dict[str, Callable[[Tensor], Tensor]] = {
    "frames": lambda frames: frames,
    "clip": lambda frames: frames.transpose(1, 2),
}
"""Frames `[b, t, 3, h, w]` in 0..1; the same as `[b, 3, t, h, w]`."""
SOUNDS: dict[str, Callable[[Sound], Tensor]] = {
    "spectra": lambda sound: sound.spectra,
    "spectrogram": lambda sound: sound.spectra.flatten(1, 2),
    "image": lambda sound: sound.spectra.flatten(1, 2)[:, None],
    "wave": lambda sound: sound.wave,
}
"""Log-mel frames by segment `[b, s, m, f]`, in a row `[b, t, f]`, as a picture `[b, 1, t, f]`; samples `[b, n]`."""
USUAL = "frames,spectra"


@dataclass(frozen=True)
class Takes:
    """The arguments of a model of picture and sound.

    Args:
        arguments: name (None: by position) and form of each.

    Example:
        >>> Takes.of("audio=wave, video=clip").arguments
        (('audio', 'wave'), ('video', 'clip'))
    """

    arguments: tuple[tuple[str | None, str], ...] = ((None, "frames"), (None, "spectra"))

    @classmethod
    def of(cls, text: str) -> Takes:
        """Read `FORM,FORM` or `NAME=FORM,NAME=FORM`, in the model's order.

        Raises:
            InputError: a form is not known, or there are not one picture and one sound, both with names or neither.
        """
        parts = [part.strip().rpartition("=") for part in text.split(",")]
        arguments = tuple((name.strip() or None, form.strip()) for name, _, form in parts)
        known = (*PICTURES, *SOUNDS)
        for _, form in arguments:
            if form not in known:
                raise InputError(f"a model takes no form {form!r} of a picture or a sound; {near(form, known)}")
        kinds = sorted(form in SOUNDS for _, form in arguments)
        if kinds != [False, True] or len({name is None for name, _ in arguments}) != 1:
            raise InputError(
                f"a model of picture and sound was described by {text!r}; name one form of each, as in {USUAL!r} or "
                "'audio=wave,video=clip'"
            )
        return cls(arguments)

    @property
    def picture(self) -> str | int:
        """Name or position of the picture."""
        return next(name or at for at, (name, form) in enumerate(self.arguments) if form in PICTURES)

    @property
    def wording(self) -> str:
        """Names and forms as they are written."""
        return ",".join(form if name is None else f"{name}={form}" for name, form in self.arguments)

    def inputs(self, frames: Tensor, sound: Sound) -> dict[str, Tensor] | tuple[Tensor, ...]:
        """The arguments of a call: by name, or by position."""
        values = [PICTURES[form](frames) if form in PICTURES else SOUNDS[form](sound) for _, form in self.arguments]
        names = [name for name, _ in self.arguments if name is not None]
        return dict(zip(names, values, strict=True)) if names else tuple(values)
