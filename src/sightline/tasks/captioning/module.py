"""What one step of training a captioner does: cross-entropy on captions, then self-critical CIDEr."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as fn

from sightline.tasks.captioning.data.table import Part
from sightline.tasks.captioning.data.vocabulary import sentence_of
from sightline.tasks.captioning.metrics.cider import CiderD
from sightline.tasks.captioning.network.captioner import Captioner
from sightline.tasks.captioning.network.decoding import Regions, Sentences, greedy, sampled, word_logs
from sightline.tasks.captioning.recipe import CaptionRecipe, ScheduleConfig
from sightline.training.module import TrainedModule


def rate(epoch: float, schedule: ScheduleConfig, epochs: int) -> float:
    """Learning rate at a time in epochs, as a factor on `lr`.

    It rises for `warm_up` epochs and is halved every `halve_every` epochs from `halve_from` on. From `epochs` on it
    is that of self-critical training.

    Example:
        >>> [rate(t, ScheduleConfig(lr=1.0, warm_up=2, halve_from=3, halve_every=3), 15) for t in (1, 2, 3, 6)]
        [0.5, 1.0, 0.5, 0.25]
    """
    if epoch >= epochs:
        return schedule.critical_lr / schedule.lr * schedule.critical_decay ** int(epoch - epochs)
    rise = min(1.0, epoch / schedule.warm_up) if schedule.warm_up else 1.0
    late = int(epoch) - schedule.halve_from
    return rise * 0.5 ** (late // schedule.halve_every + 1 if late >= 0 else 0)


def adam(module: nn.Module, schedule: ScheduleConfig) -> torch.optim.AdamW:
    """What captioners learn by.

    The memory of squares is short: a relation's gradient is near zero for long and then rises within a few steps.
    """
    own = schedule
    return torch.optim.AdamW(
        module.parameters(), lr=own.lr, betas=(0.9, 0.99), weight_decay=own.weight_decay, fused=True
    )


class CaptionTask(TrainedModule):
    """Cross-entropy, and then the gain in CIDEr-D of a drawn caption over the greedy one [rennie2017scst].

    Args:
        net: the captioner.
        recipe: rates, epochs and seed.
        part: the training pictures, for the references of CIDEr.
        steps: steps of an epoch.
    """

    def __init__(self, net: Captioner, recipe: CaptionRecipe, part: Part, steps: int) -> None:
        super().__init__(net, recipe.machine.seed, (0.0,), (1.0,))
        self.recipe, self.steps, self.part = recipe, steps, part
        self.cider = CiderD(part.sentences) if recipe.optim.critical_epochs else None

    @property
    def critical(self) -> bool:
        """Whether the gain in CIDEr-D is learnt from, and no longer the captions."""
        return bool(self.current_epoch >= self.recipe.loop.epochs)

    def training_step(self, batch: tuple[Tensor, ...], index: int) -> Tensor:
        """Loss of one batch."""
        features, boxes, mask, tokens, rows = batch
        torch.manual_seed(self.step_seed(index))  # dropout must not depend on what was drawn before an interruption
        regions, chance = Regions(features, boxes, mask), self.draw(index)
        if self.critical:
            loss, name = self.self_critical(regions, rows, chance), "train/gain"
        else:
            loss, name = self.cross_entropy(regions, tokens, chance), "train/loss"
        self.check_loss(loss, index)
        value = -loss.detach() if self.critical else loss.detach()
        self.log(name, value, on_step=False, on_epoch=True, batch_size=len(rows))
        return loss

    def cross_entropy(self, regions: Regions, tokens: Int[Tensor, "b k t"], chance: torch.Generator) -> Tensor:
        """Mean over the words of some captions of each picture; its regions are encoded once."""
        count = min(self.recipe.optim.captions_per_picture, tokens.shape[1])
        choice = torch.rand(tokens.shape[:2], generator=chance).argsort(1)[:, :count].to(tokens.device)
        own = tokens.gather(1, choice[..., None].expand(-1, -1, tokens.shape[2])).flatten(0, 1)
        memory = self.net.encode(regions.features, regions.boxes, regions.mask).repeat_interleave(count, 0)
        mask = None if regions.mask is None else regions.mask.repeat_interleave(count, 0)
        logits = self.net.decode(own[:, :-1], memory, mask)
        loss: Tensor = fn.cross_entropy(logits.flatten(0, 1).float(), own[:, 1:].flatten(), ignore_index=self.net.pad)
        return loss

    def self_critical(self, regions: Regions, rows: Int[Tensor, " b"], chance: torch.Generator) -> Tensor:
        """`-mean_b (r(drawn) - r(greedy)) log p(drawn)`: nothing is learnt where both captions are the same."""
        with torch.no_grad():
            self.net.eval()
            drawn, best = sampled(self.net, regions, chance), greedy(self.net, regions)
            self.net.train()
        gain = self.rewards(drawn, rows) - self.rewards(best, rows)
        logs = word_logs(self.net, regions, drawn.tokens)
        words = (drawn.tokens != self.net.pad).sum()
        loss: Tensor = -(gain[:, None].to(logs) * logs).sum() / words
        return loss

    def rewards(self, sentences: Sentences, rows: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
        """CIDEr-D of each caption."""
        cider = self.cider or CiderD(self.part.sentences)
        words = self.net.spec.words
        return torch.tensor(
            [
                cider.score(sentence_of(own, words), self.part.sentences[row])
                for own, row in zip(sentences.tokens.tolist(), rows.tolist(), strict=True)
            ]
        )

    def configure_optimizers(self) -> Any:
        """Adam, whose rate follows `rate`."""
        own, loop = self.recipe.optim, self.recipe.loop
        optimiser = adam(self, own)

        def factor(step: int) -> float:
            # The first step has a rate above zero already.
            return rate((step + (step < self.steps)) / self.steps, own, loop.epochs)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
