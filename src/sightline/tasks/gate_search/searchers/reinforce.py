"""REINFORCE with curiosity: the search of the EAN study, without the faults of its code."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import GateError
from sightline.gates.scheme import Lengths, Scheme
from sightline.tasks.gate_search.searchers.adam import Adam
from sightline.tasks.gate_search.searchers.base import SEARCHERS, Course, Searcher, shaped
from sightline.tasks.gate_search.searchers.curiosity import Curiosity


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """Settings of `reinforce`. Published: batch 3, Adam at .05, decay .95, replay weight .1, clip .1, from step 10.

    Args:
        batch: schemes per step.
        rate: learning rate of Adam on the logits.
        decay: decay of the baseline's moving mean.
        curiosity: weight of the bonus, in units of the score; 0 turns it off. Published: about as large as the weight
            of sparsity, 2 points of accuracy.
        replay: weight of the step on earlier draws; 0 turns it off.
        clip: how far the ratio in it may be from 1.
        warm: step from which it is taken.
        keep: draws that are kept for it; published: 30.
        steps: most steps.
        patience: steps in a row that bring nothing new, after which it ends: a policy that is sure of itself repeats
            itself.

    Raises:
        GateError: a number is out of its range.
    """

    batch: int = 3
    rate: float = 0.05
    decay: float = 0.95
    curiosity: float = 0.02
    replay: float = 0.1
    clip: float = 0.1
    warm: int = 10
    keep: int = 30
    steps: int = 1000
    patience: int = 100

    def __post_init__(self) -> None:
        """Check the numbers before anything is evaluated."""
        least = min(self.batch, self.keep, self.steps, self.patience)
        weights = min(self.curiosity, self.replay)
        if least < 1 or not 0 <= self.decay < 1 or min(self.rate, self.clip) <= 0 or weights < 0:
            settings = ", ".join(f"{name}={value}" for name, value in asdict(self).items())
            raise GateError(
                "reinforce takes batch, keep, steps and patience of at least 1, rate and clip above 0, decay from 0 "
                f"to below 1, curiosity and replay of at least 0; got {settings}"
            )


class Policy:
    """Independent bits, P(bit) = sigmoid(z), with one logit z for each block; z = 0 at its start.

    Args:
        bits: number of bits of a scheme.
        rate: learning rate of Adam.
    """

    def __init__(self, bits: int, *, rate: float = 0.05) -> None:
        self.logits = torch.zeros(bits, requires_grad=True)
        self._adam = Adam([self.logits], rate)

    @property
    def shares(self) -> Float[Tensor, "l"]:
        """Probability of each bit."""
        return torch.sigmoid(self.logits.detach())

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "n l"]:
        """Schemes, as rows of bits."""
        return (torch.rand(count, len(self.logits), generator=generator) < self.shares).float()

    def descend(self, loss: Tensor) -> None:
        """One step of Adam down a loss of the logits."""
        self._adam.descend(loss)


def log_share(logits: Float[Tensor, "l"], schemes: Float[Tensor, "n l"]) -> Float[Tensor, "n"]:
    """Log pi of each scheme: the sum over its bits."""
    return -F.binary_cross_entropy_with_logits(logits.expand_as(schemes), schemes, reduction="none").sum(1)


def reinforce_loss(
    logits: Float[Tensor, "l"], schemes: Float[Tensor, "n l"], advantages: Float[Tensor, "n"]
) -> Float[Tensor, ""]:
    """- mean of log pi(scheme) advantage: its gradient is an unbiased one of minus the expected reward.

    It is so for schemes that were drawn from this policy, with any baseline that they have no part in
    [williams1992reinforce].
    """
    return -(log_share(logits, schemes) * advantages).mean()


def replay_loss(
    logits: Float[Tensor, "l"],
    schemes: Float[Tensor, "n l"],
    advantages: Float[Tensor, "n"],
    before: Float[Tensor, "n"],
    clip: float,
) -> Float[Tensor, ""]:
    """- mean of min(r A, clip(r) A), where r = pi(scheme) / pi of when it was drawn [schulman2017ppo].

    Args:
        logits: logits of the policy now.
        schemes: drawn earlier.
        advantages: A, with today's baseline.
        before: log pi of the schemes when they were drawn.
        clip: how far r counts on either side of 1.
    """
    ratio = (log_share(logits, schemes) - before).exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages).mean()


def reinforce(lengths: Lengths, generator: torch.Generator, config: PolicyConfig = PolicyConfig()) -> Course:
    """A policy of independent bits, pulled towards schemes that were worth more than usual or are new [huang2021ean].

    Each step draws some schemes and takes a step along log pi (R - B), where R is the worth plus `curiosity` times
    how new the scheme is, and B a moving mean of R; then, from step `warm` on, a clipped step on one of the last
    `keep` draws. Published: batch 3, Adam at 0.05, decay 0.95, replay weight 0.1, clip 0.1, from step 10, buffer 30.

    Otherwise than in the published code: the bonus is one number per scheme, not one per step; stored rewards hold
    the same bonus as those that the baseline is made of; the replay's ratio is not cut off from the gradient, so that
    its clipping does what it says; the baseline knows nothing of the step that it is subtracted in (the first step
    only sets it); the two-layer policy network on a vector of zeros, which is a table of logits, is a table of
    logits, and its temperature and its clip of logits, which never acted, are gone; no offset of 54 is subtracted,
    since the baseline does that.

    Args:
        lengths: numbers of blocks of the stages.
        generator: what the draws and curiosity's networks are made by.
        config: everything else.
    """
    learner = Learner(sum(lengths), generator, config)
    history: set[Scheme] = set()
    idle = 0
    for _ in range(config.steps):
        bits = learner.policy.draw(config.batch, generator)
        schemes = [shaped(row, lengths) for row in bits.bool().tolist()]
        idle = idle + 1 if history.issuperset(schemes) else 0
        if idle > config.patience:
            return
        history.update(schemes)
        worths = yield schemes
        learner.learn(bits, torch.tensor(worths))


class Learner:
    """A policy with its baseline, its curiosity and its memory.

    Args:
        bits: number of bits of a scheme.
        generator: random numbers for curiosity's networks and for the choice among earlier draws.
        config: the settings.
    """

    def __init__(self, bits: int, generator: torch.Generator, config: PolicyConfig) -> None:
        self.policy = Policy(bits, rate=config.rate)
        self._curiosity = Curiosity(bits, generator)
        self._generator = generator
        self._config = config
        self._baseline: float | None = None
        self._memory: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=config.keep)
        self._step = 0

    def learn(self, bits: Float[Tensor, "n l"], worths: Float[Tensor, "n"]) -> None:
        """One step of the policy on what its draws were worth."""
        rewards = worths + self._config.curiosity * self._curiosity.bonus(bits)
        self._curiosity.learn(bits)
        # Before the step below: the clipped ratio of the replay is against the policy that drew these schemes.
        before = log_share(self.policy.logits.detach(), bits)
        # The baseline leaves this step's rewards out, or the gradient would be biased; the first step only sets it.
        if self._baseline is not None:
            self.policy.descend(reinforce_loss(self.policy.logits, bits, rewards - self._baseline))
        self._memory.append((bits, rewards, before))
        mean = float(rewards.mean())
        decay = self._config.decay
        self._baseline = mean if self._baseline is None else decay * self._baseline + (1 - decay) * mean
        self._step += 1
        if self._config.replay and self._step > self._config.warm:
            self._replay(self._baseline)

    def _replay(self, baseline: float) -> None:
        place = int(torch.randint(len(self._memory), (1,), generator=self._generator))
        bits, rewards, before = self._memory[place]
        loss = replay_loss(self.policy.logits, bits, rewards - baseline, before, self._config.clip)
        self.policy.descend(self._config.replay * loss)


SEARCHERS.add(
    "reinforce", Searcher(reinforce, "a policy of independent bits, with curiosity", "huang2021ean", PolicyConfig)
)
