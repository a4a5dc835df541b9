"""What one step of training an attribute network does: augment, losses, optimiser, schedule.

A Lightning module around an `AttributeNet`. It stops at a loss that is no number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as fn

from sightline.errors import TrainingError
from sightline.tasks.attributes.data.examples import group_shares, object_shares
from sightline.tasks.attributes.metrics.scores import scores
from sightline.tasks.attributes.network.net import AttributeNet, Reading
from sightline.tasks.attributes.train.guidance import class_maps, disagreement, outside_energy, part_alignment
from sightline.tasks.attributes.train.losses import attribute_loss
from sightline.training.augmentation import augmented

Batch = tuple[Tensor, ...]


@dataclass(frozen=True)
class Rates:
    """How strong what is.

    Args:
        attributes: lambda, the weight of the attribute loss beside the class loss.
        classes: weight of the class loss.
        rate: highest learning rate.
        trunk_rate: factor on it for the backbone; below 1 where the backbone comes with weights.
        decay: weight decay.
        smoothing: of the class labels.
        seed: of the augmentation.
        outside: weight of the class map's energy outside the object.
        parts: weight of the loss that shows each group of attributes its part.
        consistency: weight of the disagreement with the same scene on another background; needs twins.
        balance: how strongly rare attributes count more, 0 to 1.
    """

    attributes: float = 1.0
    classes: float = 1.0
    rate: float = 2e-3
    trunk_rate: float = 1.0
    decay: float = 0.02
    smoothing: float = 0.05
    seed: int = 0
    outside: float = 0.0
    parts: float = 0.0
    consistency: float = 0.0
    balance: float = 0.5


WEIGHT = {
    "class": "classes",
    "attributes": "attributes",
    "outside": "outside",
    "parts": "parts",
    "consistency": "consistency",
}
"""Which rate weighs which loss."""


class EatTask(lightning.LightningModule):  # type: ignore[misc]
    """Cross-entropy of the class plus lambda times the attribute loss; AdamW on one cosine cycle.

    Args:
        net: the network.
        rates: weights and rates.
        steps: steps of all epochs together.
        balance: how much more a rare attribute counts, from `imbalance`.
        part_names: names of the part ids from 1, for the losses that guide attention.

    Raises:
        TrainingError: in training, at a loss that is not finite; the text names epoch and batch.

    Source:
        xu2020eat.
    """

    balance: Tensor | None

    def __init__(
        self,
        net: AttributeNet,
        rates: Rates,
        steps: int,
        balance: Tensor | None = None,
        part_names: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.net, self.rates, self.steps, self.part_names = net, rates, steps, tuple(part_names)
        mean, std = (torch.tensor(net.spec.preprocess[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self.register_buffer("balance", balance, persistent=False)
        self.heard: list[tuple[Tensor, ...]] = []
        self.learnt: list[tuple[Tensor, ...]] = []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of one batch; the bar shows its parts."""
        images, labels, targets, weights, parts, *twins = batch
        torch.manual_seed(self._step(index))  # dropout must not depend on what was drawn before an interruption
        x, where = self.prepared(images, parts, self._draw(index))
        reading = self.net.read(x)
        told = {"class": self._class_loss(reading, labels)}
        if self.rates.attributes:
            words = self.net.spec.vocabulary
            told["attributes"] = attribute_loss(reading.logits.float(), targets, weights, words, self.balance)
        told |= self._guides(reading, labels, targets, weights, where)
        if self.rates.consistency and twins:
            other = self.net(self.prepared(twins[0], parts, self._draw(index))[0])
            told["consistency"] = disagreement(reading.classes.float(), other.float())
        loss = torch.stack([getattr(self.rates, WEIGHT[name]) * part for name, part in told.items()]).sum()
        self._check(loss, index)
        hits = (reading.classes.argmax(1) == labels)[labels >= 0].float().mean()
        seen = (reading.probabilities, targets, weights)
        self.learnt.append(tuple(part.detach().float().cpu() for part in seen))
        told = {"loss": loss, **told, "accuracy": hits}
        self.log_dict({"loss": loss, "accuracy": hits}, prog_bar=True, logger=False)
        means = {f"train/{name}": value.detach() for name, value in told.items()}
        self.log_dict(means, on_step=False, on_epoch=True, batch_size=len(images), sync_dist=True)
        return loss

    def on_train_epoch_end(self) -> None:
        """Weights that are no numbers are never kept."""
        if not all(bool(torch.isfinite(p).all()) for p in self.parameters()):
            raise TrainingError(
                f"the weights are not finite after epoch {self.current_epoch + 1}; {self._left()}. Lower the "
                "learning rate (--rate)"
            )

    def validation_step(self, batch: Batch, index: int) -> None:
        """What the net says of one batch, as it is; every process looks at all validation pictures."""
        reading = self.net.read((batch[0].float() / 255 - self.get_buffer("mean")) / self.get_buffer("std"))
        said = (reading.classes, reading.logits, reading.probabilities)
        self.heard.append((*(part.detach().float().cpu() for part in said), *(part.cpu() for part in batch[1:4])))

    def on_validation_epoch_end(self) -> None:
        """Losses, class accuracy and attribute scores over all validation pictures."""
        classes, logits, said, labels, targets, weights = (torch.cat(part) for part in zip(*self.heard, strict=True))
        self.heard.clear()
        words = self.net.spec.vocabulary
        known = labels >= 0
        own = fn.cross_entropy(classes[known], labels[known], label_smoothing=self.rates.smoothing)
        second = attribute_loss(logits, targets, weights, words, self._gain())
        told = {
            "loss": self.rates.classes * own + self.rates.attributes * second,
            "class": own,
            "attributes": second,
            "accuracy": (classes.argmax(1) == labels)[known].float().mean(),
            **scores(said, targets, weights, words),
        }
        shown = {f"val/{name}": torch.as_tensor(value) for name, value in told.items()} | self._learnt()
        self.log_dict(shown, sync_dist=True)

    def _learnt(self) -> dict[str, Tensor]:
        """Attribute score of the epoch's training pictures, each as it was when the net learnt from it."""
        if not self.learnt:
            return {}
        taken = [torch.cat(part) for part in zip(*self.learnt, strict=True)]
        found = scores(taken[0], taken[1], taken[2], self.net.spec.vocabulary)
        return {f"train/{name}": torch.tensor(found[name]) for name in ("attribute score",) if name in found}

    def on_train_epoch_start(self) -> None:
        """What was said in the epoch before is forgotten."""
        self.learnt.clear()

    def _gain(self) -> Tensor | None:
        gain: Tensor | None = self.balance
        return None if gain is None else gain.cpu()

    def _draw(self, index: int) -> torch.Generator:
        """Chance of one batch of one process."""
        return torch.Generator().manual_seed(self._step(index))

    def _step(self, index: int) -> int:
        step = (self.rates.seed * 1009 + int(self.current_epoch)) * 100_003 + index
        return step + 7_919_000_003 * int(self.global_rank)

    def _class_loss(self, reading: Reading, labels: Tensor) -> Tensor:
        """Cross-entropy of the pictures that have a class."""
        if not bool((labels >= 0).any()):
            return reading.classes.sum() * 0
        return fn.cross_entropy(reading.classes.float(), labels, label_smoothing=self.rates.smoothing)

    def _guides(
        self, reading: Reading, labels: Tensor, targets: Tensor, weights: Tensor, where: Tensor
    ) -> dict[str, Tensor]:
        """The losses that guide attention, as far as they are asked for."""
        told: dict[str, Tensor] = {}
        words = self.net.spec.vocabulary
        if self.rates.outside:
            score = reading.classes.gather(1, labels.clamp(min=0)[:, None])[:, 0]
            maps = class_maps(score, reading.features)
            told["outside"] = outside_energy(maps.float(), object_shares(where, (maps.shape[1], maps.shape[2])))
        if self.rates.parts:
            firsts = [group.members[0] for group in words.groups]
            chosen = torch.stack([_true(group.members, targets) for group in words.groups], dim=1)
            looks = self.net.attribute_head.looks(reading.attributes, chosen).float()
            shares = group_shares(where, words, self.part_names, (looks.shape[2], looks.shape[3]))
            told["parts"] = part_alignment(looks, shares, weights[:, firsts] > 0)
        return told

    def prepared(
        self, images: UInt8[Tensor, "b 3 h w"], parts: UInt8[Tensor, "b p q"], draw: torch.Generator
    ) -> tuple[Float[Tensor, "b 3 h w"], UInt8[Tensor, "b p q"]]:
        """Augmented and normalised pictures, and their part ids, which moved along."""
        x, where = augmented(images, parts, self.get_buffer("mean"), self.get_buffer("std"), draw)
        return x.contiguous(memory_format=torch.channels_last), where

    def _check(self, loss: Tensor, index: int) -> None:
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {float(loss.detach())} in epoch {self.current_epoch + 1}, batch {index + 1}; "
                f"{self._left()}. Lower the learning rate (--rate), try --precision 32, or look at that batch"
            )

    def _left(self) -> str:
        return "the checkpoint of the epoch before is kept" if self.current_epoch else "no epoch was finished"

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle; the backbone may learn more slowly than the heads."""
        rate, slow = self.rates.rate, self.rates.rate * self.rates.trunk_rate
        trunk = list(self.net.trunk.parameters())
        own = {id(p) for p in trunk}
        heads = [p for p in self.net.parameters() if id(p) not in own]
        groups = [{"params": trunk, "lr": slow}, {"params": heads, "lr": rate}]
        optimiser = torch.optim.AdamW(groups, weight_decay=self.rates.decay, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, [slow, rate], total_steps=max(2, self.steps), pct_start=0.15
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _true(members: tuple[int, ...], targets: Float[Tensor, "b k"]) -> Int[Tensor, " b"]:
    """For every picture the attribute of a group that it has most of."""
    at = torch.tensor(members, device=targets.device)
    return at[targets[:, at].argmax(1)]
