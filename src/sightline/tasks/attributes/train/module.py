"""What one step of training an attribute network does: augment, mix, losses, optimiser, schedule.

A Lightning module around an `AttributeNet`. It stops at a loss that is no number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as fn

from sightline.tasks.attributes.data.examples import group_shares, object_shares
from sightline.tasks.attributes.metrics.scores import scores
from sightline.tasks.attributes.network.net import AttributeNet, AttributeOutput
from sightline.tasks.attributes.recipe import EatRecipe
from sightline.tasks.attributes.train.guidance import class_maps, disagreement, outside_energy, part_alignment
from sightline.tasks.attributes.train.losses import attribute_loss
from sightline.training.augmentation import augmented, normalised
from sightline.training.module import TrainedModule
from sightline.training.optim import one_cycle
from sightline.training.photos import mixed, photo_views
from sightline.training.tuner import Tuning

Batch = tuple[Tensor, ...]


class EatTask(TrainedModule):
    """Cross-entropy of the class plus lambda times the attribute loss; AdamW on one cosine cycle.

    Args:
        net: the network.
        recipe: weights of the losses, rates and seed.
        tuning: which weights learn, and when.
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
        recipe: EatRecipe,
        tuning: Tuning,
        balance: Tensor | None = None,
        part_names: Sequence[str] = (),
    ) -> None:
        super().__init__(net, recipe.machine.seed, net.spec.preprocess["mean"], net.spec.preprocess["std"])
        self.recipe, self.tuning, self.part_names = recipe, tuning, tuple(part_names)
        self.register_buffer("balance", balance, persistent=False)
        self.outputs: list[tuple[Tensor, ...]] = []
        self.learnt: list[tuple[Tensor, ...]] = []

    def begin(self, labels: Tensor) -> None:
        """Look at the labels of all training pictures before the first step."""

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of one batch; the bar shows its parts."""
        images, labels, targets, weights, parts, *more = batch  # more: other backgrounds, or logits by other heads
        pairs, crossed = ([], more) if self.tuning.config.frozen else (more, [])
        torch.manual_seed(self.step_seed(index))  # dropout must not depend on what was drawn before an interruption
        draw = self.draw(index)
        x, where = self.prepared(images, parts, draw)
        other, share = None, 1.0
        if strength := self.recipe.augmentation.mixup:
            x, other, share = mixed(x, strength, draw)
            crossed = [share * one + (1 - share) * one[other] for one in crossed]
        reading = self._read(x, *crossed)
        weighed = self.recipe.loss
        losses = self._taught(reading, labels, targets, weights)
        if other is not None:
            second = self._taught(reading, labels[other], targets[other], weights[other])
            losses = {name: share * loss + (1 - share) * second[name] for name, loss in losses.items()}
        losses |= self._guides(reading, labels, targets, weights, where)
        if weighed.consistency_weight and pairs:
            # the same draw, so that both pictures are augmented alike
            other = self.net(self.prepared(pairs[0], parts, self.draw(index))[0])
            losses["consistency"] = disagreement(reading.classes.float(), other.float())
        factors = weighed.by_loss()
        loss = torch.stack([factors[name] * part for name, part in losses.items()]).sum()
        self.check_loss(loss, index)
        answers = (reading.probabilities, targets, weights)
        self.learnt.append(tuple(part.detach().float().cpu() for part in answers))
        own = self.figures(reading.classes.detach(), labels)
        figures = {"loss": loss, **losses, **own}
        self.log_dict({"loss": loss, **own}, prog_bar=True, logger=False)
        means = {f"train/{name}": value.detach() for name, value in figures.items()}
        self.log_dict(means, on_step=False, on_epoch=True, batch_size=len(images), sync_dist=True)
        return loss

    def _read(self, x: Tensor, crossed: Tensor | None = None) -> AttributeOutput:
        """What the heads say of pictures, or of features that were computed before.

        Args:
            x: pictures or features.
            crossed: attribute logits that the class is to see instead of those of the network's own head.
        """
        if self.tuning.config.frozen:
            features, finer = x[..., None, None] if x.ndim == 2 else x, []
        else:
            features, finer = self.net.trunk.levels(x, self.net.levels)
        if self.recipe.loss.outside_weight and torch.is_grad_enabled() and not features.requires_grad:
            features = features.detach().requires_grad_()  # the guide asks for gradients there, also of a still trunk
        return cast(AttributeOutput, self.net.read_features(features, finer, crossed))

    def _taught(
        self, reading: AttributeOutput, labels: Tensor, targets: Tensor, weights: Tensor
    ) -> dict[str, Tensor]:
        """The losses of class and attributes."""
        losses = {"class": self.class_loss(reading.classes.float(), labels)}
        if self.recipe.loss.attribute_weight:
            words, ranks = self.net.spec.vocabulary, self.net.ranks
            logits = reading.logits.float()
            losses["attributes"] = attribute_loss(logits, targets, weights, words, self.balance, ranks)
        return losses

    def validation_step(self, batch: Batch, index: int) -> None:
        """What the net says of one batch, as it is; every process looks at all validation pictures."""
        reading = self._read(batch[0] if self.tuning.config.frozen else self._normalised(batch[0]))
        answers = (reading.classes, reading.logits, reading.probabilities)
        self.outputs.append(
            (*(part.detach().float().cpu() for part in answers), *(part.cpu() for part in batch[1:4]))
        )

    def on_validation_epoch_end(self) -> None:
        """Losses, class accuracy and attribute scores over all validation pictures."""
        classes, logits, probabilities, labels, targets, weights = (
            torch.cat(part) for part in zip(*self.outputs, strict=True)
        )
        self.outputs.clear()
        words = self.net.spec.vocabulary
        factors, own = self.recipe.loss, self.judged_loss(classes, labels)
        second = attribute_loss(logits, targets, weights, words, self._gain(), self.net.ranks)
        figures = {
            "loss": factors.class_weight * own + factors.attribute_weight * second,
            "class": own,
            "attributes": second,
            **self.figures(classes, labels, whole=True),
            **scores(probabilities, targets, weights, words),
        }
        record = {f"val/{name}": torch.as_tensor(value) for name, value in figures.items()} | self._learnt()
        self.log_dict(record, sync_dist=True)

    def _learnt(self) -> dict[str, Tensor]:
        """Attribute score of the epoch's training pictures, each as it was when the net learnt from it."""
        if not self.learnt:
            return {}
        columns = [torch.cat(part) for part in zip(*self.learnt, strict=True)]
        figures = scores(columns[0], columns[1], columns[2], self.net.spec.vocabulary)
        return {f"train/{name}": torch.tensor(figures[name]) for name in ("attribute score",) if name in figures}

    def on_train_epoch_start(self) -> None:
        """What was said in the epoch before is forgotten."""
        self.learnt.clear()

    def _gain(self) -> Tensor | None:
        gain: Tensor | None = self.balance
        return None if gain is None else gain.cpu()

    def class_loss(self, classes: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the pictures that have a class, which is learnt from.

        Args:
            classes: class logits.
            labels: classes, negative for none.
        """
        if not bool((labels >= 0).any()):
            return classes.sum() * 0
        return fn.cross_entropy(classes, labels, label_smoothing=self.recipe.loss.label_smoothing)

    def judged_loss(self, classes: Tensor, labels: Tensor) -> Tensor:
        """The same of pictures that are not learnt from."""
        known = labels >= 0
        return fn.cross_entropy(classes[known], labels[known], label_smoothing=self.recipe.loss.label_smoothing)

    def figures(self, classes: Tensor, labels: Tensor, *, whole: bool = False) -> dict[str, Tensor]:
        """Figures by name.

        Args:
            classes: class logits.
            labels: classes, negative for none.
            whole: whether these are all pictures of a part rather than a batch.
        """
        return {"accuracy": (classes.argmax(1) == labels)[labels >= 0].float().mean()}

    def _guides(
        self, reading: AttributeOutput, labels: Tensor, targets: Tensor, weights: Tensor, where: Tensor
    ) -> dict[str, Tensor]:
        """The losses that guide attention, as far as they are asked for."""
        losses: dict[str, Tensor] = {}
        words = self.net.spec.vocabulary
        if self.recipe.loss.outside_weight:
            score = reading.classes.gather(1, labels.clamp(min=0)[:, None])[:, 0]
            maps = class_maps(score, reading.features)
            losses["outside"] = outside_energy(maps.float(), object_shares(where, (maps.shape[1], maps.shape[2])))
        if self.recipe.loss.part_weight:
            firsts = [group.members[0] for group in words.groups]
            chosen = torch.stack([_true(group.members, targets) for group in words.groups], dim=1)
            attention = self.net.attribute_head.part_attention(reading.attributes, chosen).float()
            shares = group_shares(where, words, self.part_names, (attention.shape[2], attention.shape[3]))
            losses["parts"] = part_alignment(attention, shares, weights[:, firsts] > 0)
        return losses

    def prepared(
        self, images: UInt8[Tensor, "b 3 h w"], parts: UInt8[Tensor, "b p q"], draw: torch.Generator
    ) -> tuple[Float[Tensor, "b 3 h w"], UInt8[Tensor, "b p q"]]:
        """Augmented and normalised pictures, and their part ids, which moved along; features as they are."""
        if self.tuning.config.frozen:
            return images, parts
        how = self.recipe.augmentation.augment
        if how == "photo":
            views, moved = photo_views(images, self.recipe.augmentation, draw, parts)
            x, where = self._normalised(views), cast(Tensor, moved)
        elif how == "none":
            x, where = self._normalised(images), parts
        else:
            x, where = augmented(images, parts, self.get_buffer("mean"), self.get_buffer("std"), draw)
        return x.contiguous(memory_format=torch.channels_last), where

    def _normalised(self, images: Tensor) -> Tensor:
        return normalised(images, self.get_buffer("mean"), self.get_buffer("std"))

    def configure_optimizers(self) -> Any:
        """AdamW, one cycle; the backbone may learn later and more slowly than the heads."""
        own = self.recipe.optim
        if not self.tuning.plain:
            return self.tuning.adamw(self.net, own)
        slow = float(self.recipe.tuning.trunk_lr_factor or 0)
        trunk = list(self.net.trunk.parameters())
        trunk_ids = {id(p) for p in trunk}
        heads = [p for p in self.net.parameters() if id(p) not in trunk_ids]
        groups = [{"params": trunk, "lr": own.lr * slow}, {"params": heads, "lr": own.lr}]
        return one_cycle(groups, own, self.tuning.steps * self.tuning.epochs)


def _true(members: tuple[int, ...], targets: Float[Tensor, "b k"]) -> Int[Tensor, " b"]:
    """For every picture the attribute of a group that it has most of."""
    at = torch.tensor(members, device=targets.device)
    return at[targets[:, at].argmax(1)]
