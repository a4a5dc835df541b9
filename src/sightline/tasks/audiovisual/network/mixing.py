"""Self-attention within a modality, before picture and sound meet: over the places of a frame, then over time.

Every token is mixed with others, so a map over tokens points less exactly: off by default. There are no position
terms: exchanged places or frames exchange their tokens.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

HEADS = 4


class Mixing(nn.Module):
    """Self-attention with a residual: $x + A(N(x))$, or with the normalisation behind it $N(x + A(x))$.

    Args:
        width: channels.
        post: whether the normalisation comes behind.
    """

    def __init__(self, width: int, *, post: bool = False) -> None:
        super().__init__()
        self.post = post
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, HEADS if width % HEADS == 0 else 1, batch_first=True)

    def forward(
        self, tokens: Float[Tensor, "b n c"], kept: Bool[Tensor, "b n"] | None = None
    ) -> Float[Tensor, "b n c"]:
        """Mixed tokens.

        Args:
            tokens: of one modality.
            kept: which are there; the others are not looked at. Where none is, all count.
        """
        hidden = None if kept is None else ~(kept | ~kept.any(1, keepdim=True))
        x = tokens if self.post else self.norm(tokens)
        mixed: Tensor = tokens + self.attention(x, x, x, key_padding_mask=hidden, need_weights=False)[0]
        return self.norm(mixed) if self.post else mixed


class SpaceTimeMixing(nn.Module):
    """Over the places of each frame, then over the frames at each place.

    Args:
        width: channels.
        post: see `Mixing`.
    """

    def __init__(self, width: int, *, post: bool = False) -> None:
        super().__init__()
        self.space, self.time = Mixing(width, post=post), Mixing(width, post=post)

    def forward(
        self, tokens: Float[Tensor, "b n c"], frames: int, pictured: Bool[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b n c"]:
        """Mixed tokens; `n` is frames times places."""
        count, whole, width = tokens.shape
        cells = whole // frames
        x = self.space(tokens.reshape(count * frames, cells, width))
        x = x.reshape(count, frames, cells, width).transpose(1, 2).reshape(count * cells, frames, width)
        x = self.time(x, None if pictured is None else pictured.repeat_interleave(cells, 0))
        mixed: Tensor = x.reshape(count, cells, frames, width).transpose(1, 2).reshape(tokens.shape)
        return mixed
