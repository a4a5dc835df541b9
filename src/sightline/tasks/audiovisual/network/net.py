"""`EventNet`: frames and sound in, events out, with the attention that explains them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sightline.errors import InputError
from sightline.tasks.audiovisual.network.attention import (
    Form,
    evidence,
    offsets,
    pooled,
    scores_of,
    weights_of,
    when,
    where,
)
from sightline.tasks.audiovisual.network.encoders import FeatureEncoder, Field, PictureEncoder, SoundEncoder
from sightline.tasks.audiovisual.network.mixing import Mixing, SpaceTimeMixing
from sightline.tasks.audiovisual.network.spec import EventSpec


@dataclass(frozen=True, eq=False)
class Attended:
    """One pass with all that explains it.

    Args:
        logits: of every output, `[b, k]`.
        weights: of every triple, `[b, q, n, s]`; q is 1, or the outputs where each has queries of its own.
        values: what the picture's tokens bring, `[b, n, c]`.
        sounds: what the segments bring, `[b, s, c]`.
        head: row of the last layer for each output, `[k, c]`.
        grid: frames, rows and columns of the tokens.
        scores: what the weights are made of, before anything is masked, `[b, q, n, s]`.
    """

    logits: Float[Tensor, "b k"]
    weights: Float[Tensor, "b q n s"]
    values: Float[Tensor, "b n c"]
    sounds: Float[Tensor, "b s c"]
    head: Float[Tensor, "k c"]
    grid: tuple[int, int, int]
    scores: Float[Tensor, "b q n s"]

    def weights_for(self, output: int) -> Float[Tensor, "b n s"]:
        """The weights that an output rests on."""
        return self.weights[:, min(output, self.weights.shape[1] - 1)]

    def where(self, output: int) -> Float[Tensor, "b t y x"]:
        """Share of every place of every frame."""
        return where(self.weights_for(output), self.grid)

    def when(self, output: int) -> Float[Tensor, "b s"]:
        """Share of every segment."""
        return when(self.weights_for(output))

    def evidence(self, output: int) -> Float[Tensor, "b n s"]:
        """What every triple adds to the output's logit.

        Raises:
            InputError: the logit is no sum over triples, as in a network of the form `avel`.
        """
        if not len(self.head):
            raise InputError("the answer of the form avel is not a sum over triples; take where and when")
        return evidence(self.weights_for(output), self.values, self.sounds, self.head[output])


class EventNet(nn.Module):
    """Space-time attention over pictures and sound.

    Args:
        spec: how it is built.

    Example:
        >>> net = EventNet(EventSpec(("bark", "ring"))).eval()
        >>> net(torch.zeros(1, 6, 3, 24, 24), torch.zeros(1, 6, 20, 64)).shape
        torch.Size([1, 3])
    """

    def __init__(self, spec: EventSpec) -> None:
        super().__init__()
        self.spec = spec
        wide, bands = spec.width, spec.config.bands
        features, sounds = spec.picture_features, spec.sound_features
        self.picture: nn.Module = FeatureEncoder(features, wide) if features else _pictures(spec)
        self.sound: nn.Module = FeatureEncoder(sounds, wide) if sounds else SoundEncoder(bands, wide)
        post = spec.mixing == "post"
        self.mix_picture = None if spec.mixing == "none" else SpaceTimeMixing(wide, post=post)
        self.mix_sound = None if spec.mixing == "none" else Mixing(wide, post=post)
        self.no_picture, self.no_sound = nn.Parameter(torch.zeros(wide)), nn.Parameter(torch.zeros(wide))
        self._make_head(spec)

    def _make_head(self, spec: EventSpec) -> None:
        """What lies between the tokens and the answer."""
        wide = spec.width
        self.query, self.key = nn.Linear(wide, wide), nn.Linear(wide, wide)
        self.value, self.tone = nn.Linear(wide, wide), nn.Linear(wide, wide)
        rows = spec.outputs if spec.queries == "class" else 1
        self.factors = nn.Parameter(torch.ones(rows, wide))
        self.bias = nn.Parameter(torch.zeros(2 * spec.reach + 1)) if spec.reach else None
        self.head = nn.Linear(wide, spec.outputs)

    def forward(
        self,
        frames: Float[Tensor, "b t 3 h w"],
        spectra: Float[Tensor, "b s m f"],
        pictured: Bool[Tensor, "b t"] | None = None,
        audible: Bool[Tensor, "b s"] | None = None,
    ) -> Float[Tensor, "b k"]:
        """Logits; see `attend`."""
        return self.attend(frames, spectra, pictured, audible).logits

    def attend(
        self,
        frames: Float[Tensor, "b t 3 h w"],
        spectra: Float[Tensor, "b s m f"],
        pictured: Bool[Tensor, "b t"] | None = None,
        audible: Bool[Tensor, "b s"] | None = None,
    ) -> Attended:
        """One pass with its attention.

        Args:
            frames: pictures in 0..1; or features `[b, t, y, x, d]` where the network takes these.
            spectra: frames of the log-mel spectrogram by segment; or features `[b, s, d]`.
            pictured: which frames are there; None for all. Where none is, the picture is missing.
            audible: which segments have sound; likewise.

        Raises:
            InputError: the shapes are not those.
        """
        tokens, sounds, grid = self._streams(frames, spectra, pictured, audible)
        cells = grid[1] * grid[2]
        # q * f . k = q . (f * k), and there are fewer segments than tokens
        keys = self.key(sounds)[:, None] * self.factors[:, None]
        scores = scores_of(self.query(tokens)[:, None], keys, self._bias(grid[0], cells, sounds.shape[1]))
        weights = weights_of(
            scores,
            tokens=None if pictured is None else pictured.repeat_interleave(cells, 1)[:, None],
            segments=None if audible is None else audible[:, None],
            form=_form(self.spec),
        )
        values, tones = self.value(tokens), self.tone(sounds)
        mixed = pooled(weights, values[:, None], tones[:, None])
        own = self.head.weight
        logits = self.head(mixed[:, 0]) if mixed.shape[1] == 1 else (mixed * own).sum(2) + self.head.bias
        return Attended(logits, weights, values, tones, own, grid, scores)

    def _streams(
        self, frames: Tensor, spectra: Tensor, pictured: Tensor | None, audible: Tensor | None
    ) -> tuple[Float[Tensor, "b n c"], Float[Tensor, "b s c"], tuple[int, int, int]]:
        """Tokens of picture and sound, and the grid of the picture; stand-ins where one of them is missing."""
        self._check(frames, spectra)
        tokens, grid = self.picture_tokens(frames)
        sounds = self.sound_tokens(spectra)
        if self.mix_picture is not None and self.mix_sound is not None:
            tokens, sounds = self.mix_picture(tokens, grid[0], pictured), self.mix_sound(sounds, audible)
        if pictured is not None:
            tokens = torch.where(pictured.any(1)[:, None, None], tokens, self.no_picture.to(tokens.dtype))
        if audible is not None:
            sounds = torch.where(audible.any(1)[:, None, None], sounds, self.no_sound.to(sounds.dtype))
        return tokens, sounds, grid

    def picture_tokens(
        self, frames: Float[Tensor, "b t 3 h w"]
    ) -> tuple[Float[Tensor, "b n c"], tuple[int, int, int]]:
        """Tokens of the picture, and their frames, rows and columns."""
        if self.spec.picture_features:
            tokens = self.picture(frames)
            return tokens.flatten(1, 3), (frames.shape[1], frames.shape[2], frames.shape[3])
        maps = self.picture(2 * frames - 1)
        return maps.permute(0, 1, 3, 4, 2).flatten(1, 3), (maps.shape[1], maps.shape[3], maps.shape[4])

    def sound_tokens(self, spectra: Float[Tensor, "b s m f"]) -> Float[Tensor, "b s c"]:
        """Tokens of the segments; log-mel values, -4.6 to about 3, are put around zero, features stay as they are."""
        tokens: Tensor = self.sound(spectra if self.spec.sound_features else (spectra + 2.0) / 2.0)
        return tokens

    def _bias(self, frames: int, cells: int, segments: int) -> Tensor | None:
        if self.bias is None:
            return None
        return self.bias[offsets(frames, cells, segments, self.spec.reach).to(self.bias.device)]

    def _check(self, frames: Tensor, spectra: Tensor) -> None:
        whole = (frames.ndim, spectra.ndim) == (5, 3 if self.spec.sound_features else 4)
        if not whole or len(frames) != len(spectra) or not frames.shape[1] or not spectra.shape[1]:
            raise InputError(
                "a network of events takes frames [b, t, 3, h, w] (features [b, t, y, x, d]) and spectra "
                f"[b, s, m, f] (features [b, s, d]); got {tuple(frames.shape)} and {tuple(spectra.shape)}"
            )


def _pictures(spec: EventSpec) -> PictureEncoder:
    field: Field = "wide" if spec.field == "wide" else "patch"
    return PictureEncoder(spec.width, field, spec.patch)


def _form(spec: EventSpec) -> Form:
    return "factorised" if spec.form == "factorised" else "joint"
