"""`SearchResult`: the best scheme, the front of accuracy and density, and what each block adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from sightline.gates.scheme import Lengths, Scheme
from sightline.tasks.gate_search.log import Trial, ordered
from sightline.tasks.gate_search.metrics import Effect, main_effects


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Args:
        trials: all evaluated schemes, in the order of their evaluation.
        lengths: blocks of each stage.
        repeats: how many schemes came again and were not evaluated again.
        replayed: how many evaluations came from the log.
        ended: `budget` where the evaluations were used up, `done` where the searcher had nothing more to ask.
        settings: searcher, seed, sparsity, options.
    """

    trials: tuple[Trial, ...]
    lengths: tuple[int, ...]
    repeats: int
    replayed: int
    ended: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def best(self) -> Trial:
        """The trial of the highest worth; of several, the sparsest."""
        return ordered(self.trials)[0]

    @property
    def front(self) -> tuple[Trial, ...]:
        """Schemes that no other beats in score without being denser: from the sparsest to the best score."""
        records: list[Trial] = []
        for trial in sorted(self.trials, key=lambda one: (one.scheme.density, -one.score, one.scheme.flat())):
            if not records or trial.score > records[-1].score:
                records.append(trial)
        return tuple(records)

    def effects(self, *, draws: int = 500, confidence: float = 0.95, seed: int = 0) -> tuple[Effect, ...]:
        """What each block's gate adds to the score by itself; see `main_effects`."""
        bits = torch.tensor([trial.scheme.flat() for trial in self.trials]).float()
        scores = torch.tensor([trial.score for trial in self.trials], dtype=torch.float64)
        columns = main_effects(bits, scores, draws=draws, confidence=confidence, seed=seed)
        means, lows, highs = (column.tolist() for column in columns)
        on = bits.sum(0).int().tolist()
        return tuple(
            Effect(*place, means[k], lows[k], highs[k], on[k], len(bits) - on[k])
            for k, place in enumerate(_places(self.lengths))
        )

    def regret(self, worth: Callable[[Scheme], float] | Mapping[Scheme, float] | float) -> float:
        """How much the best scheme stays behind the best one there is.

        Args:
            worth: the optimum's worth; or the worths of all schemes, of which it is the highest.
        """
        if callable(worth) and not isinstance(worth, Mapping):
            from sightline.tasks.gate_search.searchers.base import shaped

            flats = torch.cartesian_prod(*[torch.tensor([False, True])] * sum(self.lengths)).reshape(
                -1, sum(self.lengths)
            )
            optimum = max(worth(shaped(flat, self.lengths)) for flat in flats.tolist())
        else:
            optimum = max(worth.values()) if isinstance(worth, Mapping) else float(worth)
        return optimum - self.best.worth

    def course(self) -> list[float]:
        """The best worth after each evaluation."""
        best, scores = float("-inf"), []
        for trial in self.trials:
            best = max(best, trial.worth)
            scores.append(best)
        return scores

    def record(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            **self.settings,
            "lengths": list(self.lengths),
            "evaluations": len(self.trials),
            "repeats": self.repeats,
            "replayed": self.replayed,
            "ended": self.ended,
            "best": trial_record(self.best),
            "front": [trial_record(trial) for trial in self.front],
            "effects": [vars(effect) | {"verdict": effect.verdict} for effect in self.effects()],
            "trials": [trial_record(trial) for trial in self.trials],
        }


def trial_record(trial: Trial) -> dict[str, Any]:
    """A trial as plain values."""
    return {
        "scheme": str(trial.scheme),
        "ints": list(trial.scheme.ints),
        "density": trial.scheme.density,
        "score": trial.score,
        "worth": trial.worth,
    }


def _places(lengths: Lengths) -> list[tuple[int, int]]:
    return [(stage, block) for stage, length in enumerate(lengths, 1) for block in range(1, length + 1)]
