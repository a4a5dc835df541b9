"""What one step of training a network of events does: hide a modality here and there, three losses, the optimiser."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as fn

from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.recipe import EventRecipe
from sightline.training.module import TrainedModule
from sightline.training.optim import one_cycle

STAND_INS = ("no_picture", "no_sound")
"""Parameters of the network that stand for what is missing."""


def distance_from_even(weights: Float[Tensor, "b q n s"]) -> Float[Tensor, "b"]:
    r"""$KL(w \| u) = \sum_{ns} w_{ns} \log(w_{ns}\, N S)$, the mean over the queries: 0 for even weights.

    Example:
        >>> distance_from_even(torch.full((1, 1, 2, 2), 0.25)).tolist()
        [0.0]
    """
    count = weights.shape[-1] * weights.shape[-2]
    logs = weights.clamp(min=1e-12).log() + math.log(count)
    return (weights * logs).sum((2, 3)).mean(1)


def matches(scores: Float[Tensor, "b q n s"]) -> Float[Tensor, "b q"]:
    r"""$\log \sum_{ns} e^{e_{ns}}$: how well the best triples of each query fit.

    A class may be named by attending to what speaks against the others, and its map then lies on those. If these sums
    have to name the event as well, the scores of a class are high only on what speaks for it.
    """
    return scores.flatten(2).logsumexp(2)


class EventTask(TrainedModule):
    """Cross-entropy (of each label alone where several may be true), even attention where there is no event.

    Args:
        net: the network.
        recipe: rates and weights.
        steps: steps of all epochs together.
    """

    def __init__(self, net: EventNet, recipe: EventRecipe, steps: int) -> None:
        super().__init__(net, recipe.machine.seed, (0.0,), (1.0,))
        self.recipe, self.steps = recipe, steps

    def training_step(self, batch: tuple[Tensor, ...], index: int) -> Tensor:
        """Loss of one batch."""
        frames, spectra, labels, *masks = batch
        pictured, audible = self._present(frames, spectra, index)
        if masks:  # clips of several lengths
            pictured, audible = pictured & masks[0], audible & masks[1]
        attended = self.net.attend(self.pictures(frames), spectra.float(), pictured, audible)
        loss = self._loss(attended.logits, labels)
        own, distance = self.recipe.loss, distance_from_even(attended.weights)
        if self.net.spec.form == "avel":  # the baseline learns as in its paper, from the labels alone
            distance = torch.zeros_like(distance)
        none = (labels.sum(1) == 0 if labels.ndim == 2 else labels == len(self.net.spec.classes)).to(distance)
        loss = loss + own.even_weight * 2 * (distance * none).mean()
        loss = loss - own.entropy_weight * (distance * (1 - none)).mean()
        # sums over what is not there say nothing
        whole = labels.ndim == 1 and all(bool(mask.all()) for mask in masks)
        if own.match_weight and whole and attended.scores.shape[1] == attended.logits.shape[1]:
            loss = loss + own.match_weight * self._loss(matches(attended.scores), labels)
        self.check_loss(loss, index)
        self.log("loss", loss, prog_bar=True)
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(frames))
        return loss

    def missing(self, frames: Tensor, spectra: Tensor, labels: Tensor, *masks: Tensor) -> Float[Tensor, ""]:
        """Loss of scenes, each without its picture or its sound; only the stand-ins learn from it."""
        seen = torch.arange(len(labels), device=labels.device) % 2 == 0
        pictured = seen[:, None].expand(-1, frames.shape[1])
        audible = ~seen[:, None].expand(-1, spectra.shape[1])
        weights = {
            name: value if name in STAND_INS else value.detach() for name, value in self.net.named_parameters()
        }
        if masks:
            pictured, audible = pictured & masks[0], audible & masks[1]
        inputs = self.pictures(frames), spectra.float(), pictured, audible
        return self._loss(functional_call(self.net, weights, inputs), labels)

    def pictures(self, frames: Tensor) -> Tensor:
        """Pictures in 0..1; features as they are."""
        return frames.float() if self.net.spec.picture_features else frames.float() / 255

    def _loss(self, logits: Tensor, labels: Tensor) -> Float[Tensor, ""]:
        """Cross-entropy, of each label alone where `labels` is `[b, k]`."""
        if labels.ndim == 2:
            return fn.binary_cross_entropy_with_logits(logits, labels.to(logits))
        return fn.cross_entropy(logits, labels)

    def _present(
        self, frames: Tensor, spectra: Tensor, index: int
    ) -> tuple[Bool[Tensor, "b t"], Bool[Tensor, "b s"]]:
        """What is there of each scene: all of it, or the picture or the sound only."""
        draws = torch.rand(len(frames), generator=self.draw(index)).to(frames.device)
        share = self.recipe.loss.modality_dropout
        seen, audible = draws >= share / 2, (draws < share / 2) | (draws >= share)
        return seen[:, None].expand(-1, frames.shape[1]), audible[:, None].expand(-1, spectra.shape[1])

    def validation_step(self, batch: tuple[Tensor, ...], index: int) -> None:
        """Accuracy on held-out scenes."""
        frames, spectra, labels, *masks = batch
        right = accuracy(self.net(self.pictures(frames), spectra.float(), *masks), labels)
        self.log("val/accuracy", right, on_step=False, on_epoch=True, batch_size=len(frames))

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle."""
        return one_cycle(self.parameters(), self.recipe.optim, self.steps, fused=False)


def accuracy(logits: Float[Tensor, "b k"], labels: Int[Tensor, " b"] | Float[Tensor, "b k"]) -> Float[Tensor, ""]:
    """Share of scenes whose highest output is right: the label, or one of the labels."""
    if labels.ndim == 2:
        return labels.gather(1, logits.argmax(1, keepdim=True)).mean()
    return (logits.argmax(1) == labels).float().mean()
