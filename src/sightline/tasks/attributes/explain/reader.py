"""What a narrator needs of a network: one protocol, and how an `AttributeNet` and the bundled network fulfil it.

A reader reads one picture in one forward and leaves the network as it found it. It knows no sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.modes import leave_as_found
from sightline.models.zoo.birdnet import BirdNet
from sightline.tasks.attributes.data import Vocabulary
from sightline.tasks.attributes.explain.association import Logits, field_contributions, pattern_contributions
from sightline.tasks.attributes.explain.bundled import bird_words
from sightline.tasks.attributes.explain.contributions import sensitivity_contributions
from sightline.tasks.attributes.explain.grounding import centring
from sightline.tasks.attributes.network.activations import activations
from sightline.tasks.attributes.network.calibration import Calibration
from sightline.tasks.attributes.network.heads import AttributeHead, ClassHead, HeadOutput
from sightline.tasks.attributes.network.net import AttributeNet

Decide = Callable[[Float[Tensor, "b k"]], Float[Tensor, "b y"]]
Associate = Callable[[Float[Tensor, "y"], Sequence[int]], Float[Tensor, "k"]]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network says of one picture, on the CPU in float32.

    Args:
        scores: class logits.
        logits: attribute logits z.
        probabilities: a, as the class head reads them; not calibrated.
        maps: for every attribute what each place adds to its logit.
        decide: class scores of other attributes, all else of the picture as it is; None where the class head does
            not read attributes.
        weights: V, where `decide` is linear: s = V a + what does not depend on a.
        associate: where `decide` is None: how much a mixture of class scores, given by its weights, goes with each
            of the attributes that are wanted.
    """

    scores: Float[Tensor, "y"]
    logits: Float[Tensor, "k"]
    probabilities: Float[Tensor, "k"]
    maps: Float[Tensor, "k h w"]
    decide: Decide | None = None
    weights: Float[Tensor, "y k"] | None = None
    associate: Associate | None = None


class Reader(Protocol):
    """A network that was taught words."""

    vocabulary: Vocabulary
    labels: tuple[str, ...]
    calibration: Calibration
    named: bool
    """Whether all that decides the class has a name; False where features without one take part."""

    def read(self, x: Float[Tensor, "1 c h w"]) -> Seen:
        """All that is said of a picture, from one forward."""


def reader_of(model: nn.Module) -> Reader | None:
    """The reader of a network; None for one that was taught no words."""
    if isinstance(model, AttributeNet):
        return AttributeReader(model)
    return BirdReader(model) if isinstance(model, BirdNet) else None


class AttributeReader:
    """Reads an `AttributeNet`, with any of its joins; a class head of another kind is read through integration."""

    def __init__(self, net: AttributeNet) -> None:
        self.net = net
        self.vocabulary, self.labels, self.calibration = net.spec.vocabulary, net.labels, _on_cpu(net.calibration)
        self.named = getattr(net.class_head, "join", "") == "bottleneck"

    def read(self, x: Float[Tensor, "1 c h w"]) -> Seen:
        """See `Reader`."""
        head = self.net.meeting or self.net.attribute_head
        with leave_as_found(self.net), torch.no_grad(), _heard(head) as heard:
            reading = self.net.read(x)
        seen = _seen(reading.classes, reading.logits, reading.probabilities, reading.maps)
        classes: nn.Module = self.net.class_head
        own = classes.of_attributes if isinstance(classes, ClassHead) else None
        if isinstance(classes, ClassHead) and own is None and classes.of_features is not None:
            slopes = classes.of_features.weight.detach()
            return replace(seen, associate=self._associate(seen, slopes, heard[0], reading.features))
        weights = None if own is None else _plain(own.weight)
        return replace(seen, decide=self._decide(seen, reading.features.mean((2, 3)), weights), weights=weights)

    def _decide(self, seen: Seen, pooled: Float[Tensor, "1 c"], weights: Float[Tensor, "y k"] | None) -> Decide:
        if weights is not None:
            rest = seen.scores - weights @ seen.probabilities
            return lambda a: a.to(weights) @ weights.T + rest
        head = self.net.class_head
        return lambda a: head(pooled.expand(len(a), -1), a.to(pooled)).float().cpu()  # still attached

    def _associate(
        self, seen: Seen, slopes: Float[Tensor, "y c"], heard: Any, features: Float[Tensor, "1 c h w"]
    ) -> Associate:
        head, means, matrix = (
            self.net.attribute_head,
            self.calibration.mean_logit,
            centring(self.vocabulary, exclusive=True),
        )
        if self.net.meeting is not None or head.pool != "average":
            return _along_gradient(self.net, self._logits(heard), features[0], slopes, means, matrix)

        def along_weights(mixture: Tensor, wanted: Sequence[int]) -> Tensor:
            gradient = (mixture @ _plain(slopes))[None]
            own, shift, middle = (matrix @ one for one in (_plain(head.what.weight), seen.logits, means))
            return sensitivity_contributions(gradient, own, shift[None], middle)[0]

        return along_weights

    def _logits(self, heard: Any) -> Callable[[Tensor], Tensor]:
        """Attribute logits of another last feature map, what is finer held as it is."""
        meeting, head = self.net.meeting, self.net.attribute_head
        if meeting is None:
            return lambda features: _logits_of(head, features[None])
        finer = [level.detach() for level in heard[:-1]]
        return lambda features: _logits_of(head, meeting([*finer, features[None]]))


class BirdReader:
    """Reads the bundled network, and others of its kind; its class head does not read attributes.

    What is known of its training comes from `assets/birdnet_words.safetensors`, which holds for the bundled weights
    alone. For other weights nothing is known: thresholds are a half, probabilities are not calibrated, means are even
    over each choice, and no class is said to be usually so; such a network only says why.
    """

    named = False

    def __init__(self, net: BirdNet) -> None:
        self.net = net
        known = bird_words(net)
        self.vocabulary, self.labels = known.vocabulary, net.labels
        self.calibration, self.patterns = known.calibration, known.patterns

    def read(self, x: Float[Tensor, "1 c h w"]) -> Seen:
        """See `Reader`."""
        head = self.net.attribute_head
        with leave_as_found(self.net), torch.no_grad(), _heard(head) as levels, _heard(head.what, made=True) as said:
            classes, logits, places = self.net.read(x)
        own = said[0] - (0 if head.what.bias is None else head.what.bias[:, None, None])
        maps = own * places[:, head.get_buffer("group")]
        seen = _seen(classes, logits, activations(logits, self.vocabulary), maps)
        return replace(seen, associate=self._associate(seen, levels[0]))

    def _associate(self, seen: Seen, levels: Sequence[Tensor]) -> Associate:
        slopes, means, patterns = self.net.class_head.weight, self.calibration.mean_logit, self.patterns
        matrix = centring(self.vocabulary, exclusive=True)
        if patterns is None:
            finer, head = [level.detach() for level in levels[:-1]], self.net.attribute_head
            logits: Logits = lambda features: head([*finer, features[None]])[0][0]  # noqa: E731 - as short as it is
            return _along_gradient(self.net, logits, levels[-1][0], slopes, means, matrix)
        return lambda mixture, wanted: pattern_contributions(
            patterns, mixture @ _plain(slopes), seen.logits, means, matrix
        )


def _along_gradient(
    net: nn.Module, logits: Logits, features: Tensor, slopes: Tensor, means: Tensor, matrix: Tensor
) -> Associate:
    def associate(mixture: Tensor, wanted: Sequence[int]) -> Tensor:
        with leave_as_found(net):
            own = slopes.detach()
            slope, middle, parting = mixture.to(own) @ own, means.to(own), matrix.to(own)
            return _plain(field_contributions(logits, features, slope, middle, parting, wanted))

    return associate


@contextmanager
def _heard(module: nn.Module, *, made: bool = False) -> Iterator[list[Any]]:
    """What a module is given, or what it makes, while this is open."""
    found: list[Any] = []
    hook = (
        module.register_forward_hook(lambda _, given, out: found.append(out))
        if made
        else module.register_forward_pre_hook(lambda _, given: found.append(given[0]))
    )
    try:
        yield found
    finally:
        hook.remove()


def _logits_of(head: AttributeHead, features: Float[Tensor, "1 c h w"]) -> Float[Tensor, "k"]:
    read: HeadOutput = head(features)
    return read.logits[0]


def _plain(tensor: Tensor) -> Tensor:
    """To reckon with."""
    return tensor.detach().float().cpu()


def _seen(*batches: Tensor) -> Seen:
    """The only sample of scores, logits, probabilities and maps."""
    scores, logits, probabilities, maps = (_plain(batch[0]) for batch in batches)
    return Seen(scores, logits, probabilities, maps)


def _on_cpu(calibration: Calibration) -> Calibration:
    return Calibration(**{name: _plain(value) for name, value in calibration.tensors().items()})
