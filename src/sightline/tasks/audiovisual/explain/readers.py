"""Readers: what gives WHERE, WHEN and logits of a model of pictures and sound, ours or anybody's."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from sightline.errors import ModelError
from sightline.targets.base import class_logits
from sightline.targets.select import select_output
from sightline.tasks.audiovisual.explain.forms import Takes
from sightline.tasks.audiovisual.metrics.clips import Reader, Sound
from sightline.tasks.audiovisual.network.net import EventNet


def own_reader(net: EventNet) -> Reader:
    """The attention of a network of events, for its most probable class."""

    @torch.no_grad()
    def read(frames: Tensor, sound: Sound) -> tuple[Tensor, Tensor | None, Tensor]:
        attended = net.attend(frames, sound.spectra)
        answer = int(attended.logits[0].argmax())
        return attended.where(answer)[0], attended.when(answer)[0], attended.logits[0]

    return read


def encoded_reader(net: EventNet) -> Reader:
    """The same for a network of frozen features that is given frames: its encoder makes the features."""
    from sightline.tasks.audiovisual.data.encoding import frame_encoder

    encoder, own = frame_encoder(net.spec.encoder, net.spec.layer or None, net.spec.pixels), own_reader(net)
    return lambda frames, sound: own(encoder(frames[0])[None], sound)


def reader_of(
    model: nn.Module, *, method: str = "gradcam", layer: str | None = None, takes: Takes = Takes()
) -> Reader:
    """Any model of a picture and a sound that gives logits `[b, k]`, or an object that has them.

    Args:
        model: it is left as it was.
        method: an explanation method of Sightline, for WHERE; there is no WHEN.
        layer: where in the model; None for the method's own choice, of which the last over space and time is taken.
        takes: names and forms of its two arguments.

    Raises:
        ModelError: on reading, if the model does not take these two inputs.
    """
    from sightline.api.explain import explain

    def read(frames: Tensor, sound: Sound) -> tuple[Tensor, Tensor | None, Tensor]:
        inputs = takes.inputs(frames, sound)
        try:
            with torch.no_grad():
                output = model(**inputs) if isinstance(inputs, dict) else model(*inputs)
        except Exception as problem:  # a model may raise anything on inputs that it was not made for
            parts = inputs.values() if isinstance(inputs, dict) else inputs
            shapes = ", ".join(str(tuple(part.shape)) for part in parts)
            raise ModelError(
                f"the model does not take {takes.wording} of the shapes {shapes} "
                f"({' '.join(str(problem).split())[:300]}); say what it takes (--takes), or wrap it"
            ) from problem
        logits = class_logits(select_output(output, None))
        answer = int(logits[0].argmax())
        domain: Literal["space-time"] | None = "space-time" if frames.shape[1] > 1 else None  # one frame: a picture
        item = explain(
            model, inputs, explained=takes.picture, target=answer, method=method, layers=layer, domain=domain
        )[0]
        values = item.flow[-1].values
        return (values if values.ndim == 3 else values[None]), None, logits[0]

    return read
