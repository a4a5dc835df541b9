"""Readers: what gives WHERE, WHEN and logits of a model of pictures and sound, ours or anybody's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sightline.errors import ModelError
from sightline.tasks.audiovisual.metrics.clips import Reader
from sightline.tasks.audiovisual.network.net import EventNet


def own_reader(net: EventNet) -> Reader:
    """The attention of a network of events, for its most probable class."""

    @torch.no_grad()
    def read(frames: Tensor, spectra: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        attended = net.attend(frames, spectra)
        answer = int(attended.logits[0].argmax())
        return attended.where(answer)[0], attended.when(answer)[0], attended.logits[0]

    return read


def reader_of(model: nn.Module, *, method: str = "gradcam", layer: str | None = None) -> Reader:
    """Any model that takes frames `[b, t, 3, h, w]` and spectra `[b, s, m, f]` and gives logits `[b, k]`.

    Args:
        model: it is left as it was.
        method: an explanation method of Sightline, for WHERE; there is no WHEN.
        layer: where in the model; None for the method's own choice, of which the last over space and time is taken.

    Raises:
        ModelError: on reading, if the model does not take these two inputs.
    """
    from sightline.api.explain import explain

    def read(frames: Tensor, spectra: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        try:
            with torch.no_grad():
                logits = model(frames, spectra)
        except Exception as problem:  # a model may raise anything on inputs that it was not made for
            raise ModelError(
                f"the model does not take frames {tuple(frames.shape)} and spectra {tuple(spectra.shape)} "
                f"({problem}); wrap it so that it takes these two"
            ) from problem
        answer = int(logits[0].argmax())
        item = explain(model, (frames, spectra), target=answer, method=method, layers=layer, domain="space-time")[0]
        return item.flow[-1].values, None, logits[0]

    return read
