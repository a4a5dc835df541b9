"""How a captioner writes: word by word greedily, by chance, or keeping several beginnings at once.

Everything here needs a `Captioner` and its regions, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.errors import InputError
from sightline.tasks.captioning.network.captioner import Captioner


@dataclass(frozen=True, eq=False)
class Sentences:
    """What was written.

    Args:
        tokens: words, without the beginning; behind the end stands padding.
        logs: log-probability of each word, 0 for padding.
    """

    tokens: Int[Tensor, "b t"]
    logs: Float[Tensor, "b t"]

    @property
    def scores(self) -> Float[Tensor, " b"]:
        """Log-probability of each sentence."""
        return self.logs.sum(1)


@dataclass(frozen=True, eq=False)
class Regions:
    """A batch of regions.

    Args:
        features: numbers of each region.
        boxes: left, top, right, bottom as shares of the picture.
        mask: which are real; None for all.
    """

    features: Float[Tensor, "b n d"]
    boxes: Float[Tensor, "b n 4"]
    mask: Bool[Tensor, "b n"] | None = None

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, part: slice | Tensor) -> Regions:
        return Regions(self.features[part], self.boxes[part], None if self.mask is None else self.mask[part])


def greedy(net: Captioner, regions: Regions) -> Sentences:
    """The most likely word at each step."""
    return _written(net, regions, lambda logs: logs.argmax(1))


def sampled(net: Captioner, regions: Regions, chance: torch.Generator, *, temperature: float = 1.0) -> Sentences:
    """A word drawn by its probability at each step.

    Args:
        net: the captioner.
        regions: what it captions.
        chance: what draws.
        temperature: below 1 prefers likely words.

    Raises:
        InputError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise InputError(f"a temperature is above 0, not {temperature:g}; 0 would be greedy decoding: beam 1")

    def draw(logs: Tensor) -> Tensor:
        shares = (logs.detach().double() / temperature).softmax(1).cpu()
        return torch.multinomial(shares, 1, generator=chance)[:, 0].to(logs.device)

    return _written(net, regions, draw)


@torch.no_grad()
def beam(net: Captioner, regions: Regions, *, width: int = 3) -> Sentences:
    """Keep the `width` most likely beginnings at each step; a beam of 1 is greedy decoding.

    Returns:
        The most likely sentence of each sample, by its log-probability.

    Raises:
        InputError: the width is not above 0.
    """
    if width < 1:
        raise InputError(f"a beam keeps at least one sentence, not {width}")
    memory, b = net.encode(regions.features, regions.boxes, regions.mask), len(regions)
    memory = memory.repeat_interleave(width, 0)
    mask = None if regions.mask is None else regions.mask.repeat_interleave(width, 0)
    tokens = memory.new_full((b * width, 1), net.begin, dtype=torch.long)
    logs = memory.new_zeros(b * width, 0)
    scores = memory.new_full((b, width), -torch.inf)
    scores[:, 0] = 0  # all beginnings are equal at first, so that only one of them counts
    done = torch.zeros(b * width, dtype=torch.bool, device=memory.device)
    rows = torch.arange(b, device=memory.device)[:, None] * width
    for _ in range(net.spec.longest + 1):
        new = _allowed(net, net.decode(tokens, memory, mask)[:, -1], done)
        total = scores[:, :, None] + new.reshape(b, width, -1)
        scores, best = total.flatten(1).topk(width, dim=1)
        words = new.shape[1]
        source = (rows + best // words).flatten()
        word = (best % words).flatten()
        tokens = torch.cat([tokens[source], word[:, None]], 1)
        logs = torch.cat([logs[source], new[source, word][:, None]], 1)
        done = done[source] | (word == net.end)
        if bool(done.all()):
            break
    first = rows[:, 0]
    return Sentences(tokens[first, 1:], logs[first])


def word_logs(net: Captioner, regions: Regions, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t"]:
    """Log-probability of each word of given sentences, 0 for padding.

    Args:
        net: the captioner.
        regions: what the sentences are about.
        tokens: words, without the beginning.
    """
    begin = tokens.new_full((len(tokens), 1), net.begin)
    logits: Tensor = net(regions.features, regions.boxes, torch.cat([begin, tokens[:, :-1]], 1), regions.mask)
    logs = logits.log_softmax(-1).gather(2, tokens[..., None])[..., 0]
    return logs * (tokens != net.pad)


def _written(net: Captioner, regions: Regions, choose: Callable[[Tensor], Tensor]) -> Sentences:
    """Write until every sentence has ended; `choose` takes log-probabilities and gives words."""
    memory = net.encode(regions.features, regions.boxes, regions.mask)
    tokens = memory.new_full((len(regions), 1), net.begin, dtype=torch.long)
    done = torch.zeros(len(regions), dtype=torch.bool, device=memory.device)
    logs = []
    for _ in range(net.spec.longest + 1):
        new = _allowed(net, net.decode(tokens, memory, regions.mask)[:, -1], done)
        word = choose(new)
        logs.append(new.gather(1, word[:, None]))
        tokens = torch.cat([tokens, word[:, None]], 1)
        done = done | (word == net.end)
        if bool(done.all()):
            break
    return Sentences(tokens[:, 1:], torch.cat(logs, 1))


def _allowed(net: Captioner, logits: Float[Tensor, "b v"], done: Bool[Tensor, " b"]) -> Float[Tensor, "b v"]:
    """Log-probabilities: no padding or beginning within a sentence, only padding behind its end.

    Words that may not come keep their share, so that a sentence has the log-probability that `word_logs` gives.
    """
    logs = logits.log_softmax(1)
    barred = torch.zeros_like(logs, dtype=torch.bool)
    barred[:, [net.pad, net.begin, net.unknown]] = True
    logs = logs.masked_fill(barred, -torch.inf)
    over = torch.full_like(logs, -torch.inf)
    over[:, net.pad] = 0.0
    return torch.where(done[:, None], over, logs)
