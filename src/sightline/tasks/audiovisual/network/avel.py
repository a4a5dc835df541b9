r"""`AvelNet`, the ancestor [tian2018audio] as a baseline: sound guides attention over each frame, LSTMs do the rest.

$u_t = \mathrm{ReLU}(W_v v_t)$, $g_t = \mathrm{ReLU}(W_a a_t)$, $z_t = w \tanh(A u_t + (B g_t) 1^T)$,
$\alpha_t = \mathrm{softmax}\, z_t$ over the places of frame $t$, $c_t = \sum_p \alpha_{tp} v_{tp}$; an LSTM over the
sounds and one over the $c_t$ in both directions, side by side, ReLU, 64, one answer for each segment; a clip's answer
is their mean, as where only clips are labelled. WHERE is $\alpha$, WHEN how probable the event is in each segment.
The encoders are those of `EventNet`, so that the attention alone is compared.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sightline.errors import InputError
from sightline.tasks.audiovisual.network.net import Attended, EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec

PLACES, HIDDEN = 49, 64
"""Width of the layer that scores places, and of the last hidden layer."""


class AvelNet(EventNet):
    """Audio-guided attention over each frame, and an answer for each segment.

    Args:
        spec: how it is built; its form is `avel`.

    Example:
        >>> net = AvelNet(EventSpec(("bark", "ring"), form="avel")).eval()
        >>> net(torch.zeros(1, 6, 3, 24, 24), torch.zeros(1, 6, 20, 64)).shape
        torch.Size([1, 3])
    """

    def _make_head(self, spec: EventSpec) -> None:
        wide = spec.width
        self.see, self.hear = nn.Linear(wide, wide), nn.Linear(wide, wide)
        self.place, self.guide = nn.Linear(wide, PLACES, bias=False), nn.Linear(wide, PLACES, bias=False)
        self.score = nn.Linear(PLACES, 1, bias=False)
        self.over_picture = nn.LSTM(wide, wide, batch_first=True, bidirectional=True)
        self.over_sound = nn.LSTM(wide, wide, batch_first=True, bidirectional=True)
        self.join, self.head = nn.Linear(4 * wide, HIDDEN), nn.Linear(HIDDEN, spec.outputs)

    def attend(
        self,
        frames: Float[Tensor, "b t 3 h w"],
        spectra: Float[Tensor, "b s m f"],
        pictured: Bool[Tensor, "b t"] | None = None,
        audible: Bool[Tensor, "b s"] | None = None,
    ) -> Attended:
        """One pass with its attention; see `EventNet.attend`. There is a frame for each segment.

        Raises:
            InputError: the shapes are not those.
        """
        tokens, sounds, grid = self._streams(frames, spectra, pictured, audible)
        if grid[0] != sounds.shape[1]:
            raise InputError(
                f"a network of the form avel takes a frame for each segment of sound; got {grid[0]} frames and "
                f"{sounds.shape[1]} segments"
            )
        seen = tokens.reshape(len(tokens), grid[0], -1, tokens.shape[-1])
        scores = self.place(self.see(seen).relu()) + self.guide(self.hear(sounds).relu())[:, :, None]
        alpha = self.score(scores.tanh())[..., 0].softmax(2)
        cues = (alpha[..., None] * seen).sum(2)
        both = torch.cat([self.over_sound(sounds)[0], self.over_picture(cues)[0]], 2)
        each = self.head(self.join(both.relu()))
        kept = _present(each, pictured, audible)
        logits = (each * kept).sum(1) / kept.sum(1)
        times = self._times(each, kept)
        # One distribution over (time, place, segment), as in EventNet: a frame meets its own segment only.
        joint = times.transpose(1, 2)[..., None] * alpha[:, None]
        weights = torch.diag_embed(joint.transpose(2, 3)).movedim(2, 3).flatten(2, 3)
        nothing = tokens[:, :0, :0]
        return Attended(logits, weights, nothing, nothing, self.head.weight[:0], grid, weights[:, :0])

    def _times(self, each: Float[Tensor, "b s k"], kept: Float[Tensor, "b s 1"]) -> Float[Tensor, "b s k"]:
        """How probable each event is in each segment, as shares of all segments."""
        chances = (each.sigmoid() if self.spec.multi else each.softmax(2)) * kept
        return chances / chances.sum(1, keepdim=True).clamp(min=1e-12)


def _present(each: Tensor, *masks: Any) -> Float[Tensor, "b s 1"]:
    """1 for segments of which both are there; a modality of which nothing is there is taken whole."""
    kept = torch.ones_like(each[..., :1], dtype=torch.bool)
    for mask in masks:
        if mask is not None:
            kept = kept & (mask | ~mask.any(1, keepdim=True))[..., None]
    whole = kept | ~kept.any(1, keepdim=True)
    return whole.to(each.dtype)
