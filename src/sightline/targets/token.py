"""One word of a sentence: the score of a token at one position of a language model's output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sightline.errors import TargetError
from sightline.targets.base import Readout, Rows, Target


@dataclass(frozen=True)
class Token(Target):
    r"""The log-probability of a token, or its logit: $s = \log\mathrm{softmax}(y_{k})_v$.

    The output is `[b, t, v]`: for each position the logits of the token that follows. So the token that position `k`
    of the input holds is scored at position `k - 1` of the output.

    Args:
        position: of the output; negative positions count from the end.
        token: its number; None takes the most likely one of each sample.
        words: names of the tokens, for the label.
        score: `log-softmax`, which asks why this token rather than others, or `logit`.
    """

    position: int
    token: int | None = None
    words: tuple[str, ...] | None = None
    score: str = "log-softmax"
    fixed: tuple[int, ...] | None = None
    """Tokens that were the most likely ones, for use on changed inputs."""

    reads_classes = False

    def check(self, classes: int | None, labels: Sequence[str] | None) -> None:
        """See `Target.check`."""
        if self.score not in ("logit", "log-softmax"):
            raise TargetError(f"the score of a token is its 'logit' or its 'log-softmax', not {self.score!r}")

    def read(self, output: Tensor, labels: Sequence[str] | None) -> Readout:
        """See `Target.read`."""
        self.check(None, labels)
        logits = self._logits(output)
        tokens = self._tokens(logits)
        logs = logits.float().log_softmax(1)
        rows = logs if self.score == "log-softmax" else logits
        scores = rows.gather(1, tokens[:, None])
        names = tuple((self._name(number),) for number in tokens.tolist())
        return Readout(scores, names, None, logs.detach().gather(1, tokens[:, None]).exp())

    def frozen(self, output: Tensor, labels: Sequence[str] | None) -> Target:
        """See `Target.frozen`."""
        tokens = tuple(self._tokens(self._logits(output)).tolist())
        return Token(self.position, self.token, self.words, self.score, tokens)

    def rows(self, part: Rows) -> Target:
        """See `Target.rows`."""
        if self.fixed is None:
            return self
        fixed = self.fixed[part] if isinstance(part, slice) else tuple(self.fixed[i] for i in part)
        return Token(self.position, self.token, self.words, self.score, fixed)

    def row_count(self) -> int | None:
        """See `Target.row_count`."""
        return None if self.fixed is None or len(self.fixed) == 1 else len(self.fixed)

    def _logits(self, output: Tensor) -> Tensor:
        """Logits at the position."""
        if output.ndim != 3 or not output.is_floating_point():
            raise TargetError(
                f"a token is read off logits [batch, positions, vocabulary], but the output has the shape "
                f"{tuple(output.shape)}; say where they are by output="
            )
        if not -output.shape[1] <= self.position < output.shape[1]:
            raise TargetError(
                f"there is no position {self.position} in an output of {output.shape[1]} positions; give the tokens "
                "of the sentence up to that word"
            )
        if self.token is not None and not 0 <= self.token < output.shape[2]:
            raise TargetError(f"there is no token {self.token} in a vocabulary of {output.shape[2]}")
        return output[:, self.position]

    def _tokens(self, logits: Tensor) -> Tensor:
        if self.token is not None:
            return torch.full((len(logits),), self.token, device=logits.device)
        if self.fixed is not None:
            fixed = torch.tensor(self.fixed, device=logits.device)
            return fixed.repeat(-(-len(logits) // len(fixed)))[: len(logits)]
        return logits.detach().argmax(1)

    def _name(self, number: int) -> str:
        known = self.words is not None and number < len(self.words)
        return self.words[number] if known and self.words is not None else f"token {number}"


def token(
    position: int, token: int | None = None, *, words: Sequence[str] | None = None, score: str = "log-softmax"
) -> Token:
    """One word of a sentence, for captioners and language models; see `Token`.

    Example:
        >>> token(2).read(torch.eye(4)[None], None).labels
        (('token 2',),)
    """
    return Token(position, token, None if words is None else tuple(words), score)
