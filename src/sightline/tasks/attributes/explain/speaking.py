"""Networks that were taught words: one protocol, and how an `AttributeNet` and the bundled network fulfil it.

Such a model reads one picture in one forward and is left as it was found. Knows no sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.modes import leave_as_found
from sightline.models.zoo.birdnet import BirdNet
from sightline.tasks.attributes.data import Vocabulary
from sightline.tasks.attributes.explain.association import Logits
from sightline.tasks.attributes.explain.bundled import bird_words
from sightline.tasks.attributes.explain.grounding import centring
from sightline.tasks.attributes.explain.strategies import (
    AlongGradient,
    AlongPatterns,
    AlongWeights,
    Integrated,
    Linear,
    Strategy,
    plain,
)
from sightline.tasks.attributes.network.activations import activations
from sightline.tasks.attributes.network.calibration import Calibration
from sightline.tasks.attributes.network.heads import AttributeHead, ClassHead, HeadOutput
from sightline.tasks.attributes.network.net import AttributeNet, AttributeOutput
from sightline.tasks.attributes.network.skill import Skill


@dataclass(frozen=True, eq=False)
class PictureOutput:
    """What a network says of one picture, on the CPU in float32.

    Args:
        scores: class logits.
        logits: attribute logits z.
        probabilities: a, as the class head reads them; not calibrated.
        maps: for every attribute what each place adds to its logit.
        strategy: what attributes contribute to the class scores.
    """

    scores: Float[Tensor, "y"]
    logits: Float[Tensor, "k"]
    probabilities: Float[Tensor, "k"]
    maps: Float[Tensor, "k h w"]
    strategy: Strategy


class SpeakingModel(Protocol):
    """A network that was taught words."""

    vocabulary: Vocabulary
    labels: tuple[str, ...]
    calibration: Calibration
    skill: Skill
    """Which attributes it was shown to read; only those are named as seen."""
    named: bool
    """Whether all that decides the class has a name; False where features without one take part."""

    def read(self, x: Float[Tensor, "1 c h w"]) -> PictureOutput:
        """All that is said of a picture, from one forward."""


def speaking_model(model: nn.Module) -> SpeakingModel | None:
    """A network as one that speaks; None for one that was taught no words."""
    if isinstance(model, AttributeNet):
        return SpeakingAttributeNet(model)
    return SpeakingBirdNet(model) if isinstance(model, BirdNet) else None


class SpeakingAttributeNet:
    """An `AttributeNet` with any of its joins; a class head of another kind is read through integration."""

    def __init__(self, net: AttributeNet) -> None:
        self.net = net
        self.vocabulary, self.labels, self.calibration = net.spec.vocabulary, net.labels, _on_cpu(net.calibration)
        self.skill = Skill(**{name: plain(value) for name, value in net.skill.tensors().items()})
        self.named = getattr(net.class_head, "join", "") == "bottleneck"

    def read(self, x: Float[Tensor, "1 c h w"]) -> PictureOutput:
        """See `SpeakingModel`."""
        head = self.net.meeting or self.net.attribute_head
        with leave_as_found(self.net), torch.no_grad(), _recorded(head) as inputs:
            output = self.net.read(x)
        single = _single(output.classes, output.logits, output.probabilities, output.maps)
        return PictureOutput(*single, self._strategy(output, single, inputs[0]))

    def _strategy(self, output: AttributeOutput, single: Sequence[Tensor], inputs: Any) -> Strategy:
        scores, logits, probabilities, _ = single
        head: nn.Module = self.net.class_head
        if isinstance(head, ClassHead) and head.of_attributes is not None:
            weights = plain(head.of_attributes.weight)
            return Linear(weights, scores - weights @ probabilities, probabilities, self.calibration.mean)
        if isinstance(head, ClassHead) and head.of_features is not None:
            return self._associated(head.of_features.weight.detach(), logits, output.features[0], inputs)
        decide = partial(_decide, head, output.features.mean((2, 3)))
        return Integrated(decide, probabilities, self.calibration.mean)

    def _associated(self, slopes: Tensor, logits: Tensor, features: Tensor, inputs: Any) -> Strategy:
        head, means = self.net.attribute_head, self.calibration.mean_logit
        matrix = centring(self.vocabulary, exclusive=True)
        if self.net.meeting is not None or head.pool != "average":
            return AlongGradient(self.net, self._logits(inputs), features, slopes, means, matrix)
        return AlongWeights(plain(slopes), matrix @ plain(head.what.weight), matrix @ logits, matrix @ means)

    def _logits(self, inputs: Any) -> Logits:
        """Attribute logits of another last feature map, what is finer held as it is."""
        fusion, head = self.net.meeting, self.net.attribute_head
        finer = [] if fusion is None else [level.detach() for level in inputs[:-1]]

        def logits(features: Tensor) -> Tensor:
            return _logits_of(head, features[None] if fusion is None else fusion([*finer, features[None]]))

        return logits


class SpeakingBirdNet:
    """The bundled network, and others of its kind; its class head does not read attributes.

    What is known of its training comes from `assets/birdnet_words.safetensors`, which holds for the bundled weights
    alone. For other weights nothing is known: thresholds are a half, probabilities are not calibrated, means are even
    over each choice, and no class is said to be usually so; what such a network reads is called unproven.
    """

    named = False

    def __init__(self, net: BirdNet) -> None:
        self.net = net
        words = bird_words(net)
        self.vocabulary, self.labels = words.vocabulary, net.labels
        self.calibration, self.skill, self.patterns = words.calibration, words.skill, words.patterns

    def read(self, x: Float[Tensor, "1 c h w"]) -> PictureOutput:
        """See `SpeakingModel`."""
        head = self.net.attribute_head
        recorded = (_recorded(head), _recorded(head.what, out=True))
        with leave_as_found(self.net), torch.no_grad(), recorded[0] as inputs, recorded[1] as evidence:
            classes, logits, places = self.net.read(x)
        own = evidence[0] - (0 if head.what.bias is None else head.what.bias[:, None, None])
        maps = own * places[:, head.get_buffer("group")]
        single = _single(classes, logits, activations(logits, self.vocabulary), maps)
        return PictureOutput(*single, self._strategy(single[1], inputs[0]))

    def _strategy(self, logits: Tensor, levels: Sequence[Tensor]) -> Strategy:
        slopes, means = self.net.class_head.weight, self.calibration.mean_logit
        matrix = centring(self.vocabulary, exclusive=True)
        if self.patterns is not None:
            return AlongPatterns(self.patterns, slopes, logits, means, matrix)
        finer, head = [level.detach() for level in levels[:-1]], self.net.attribute_head

        def moved(features: Tensor) -> Tensor:
            out: Tensor = head([*finer, features[None]])[0][0]
            return out

        return AlongGradient(self.net, moved, levels[-1][0], slopes, means, matrix)


@contextmanager
def _recorded(module: nn.Module, *, out: bool = False) -> Iterator[list[Any]]:
    """First arguments of a module, or its outputs, while this is open."""
    calls: list[Any] = []
    hook = (
        module.register_forward_hook(lambda _, arguments, output: calls.append(output))
        if out
        else module.register_forward_pre_hook(lambda _, arguments: calls.append(arguments[0]))
    )
    try:
        yield calls
    finally:
        hook.remove()


def _decide(head: nn.Module, pooled: Float[Tensor, "1 c"], attributes: Float[Tensor, "b k"]) -> Float[Tensor, "b y"]:
    """Class scores of other attributes, still attached."""
    out: Tensor = head(pooled.expand(len(attributes), -1), attributes.to(pooled)).float().cpu()
    return out


def _logits_of(head: AttributeHead, features: Float[Tensor, "1 c h w"]) -> Float[Tensor, "k"]:
    output: HeadOutput = head(features)
    return output.logits[0]


def _single(*batches: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The only sample of scores, logits, probabilities and maps."""
    scores, logits, probabilities, maps = (plain(batch[0]) for batch in batches)
    return scores, logits, probabilities, maps


def _on_cpu(calibration: Calibration) -> Calibration:
    return Calibration(**{name: plain(value) for name, value in calibration.tensors().items()})
