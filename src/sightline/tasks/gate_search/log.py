"""The ledger of a search: every scheme is evaluated once, counted, and written to a log before it is used.

A log has one line of JSON for the settings and one for each evaluation, in the order in which they were asked for, so
that a run that was stopped anywhere goes on where it was: what the log knows is not evaluated again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.common.files import cannot_write, write_bytes
from sightline.common.reading import parse_json
from sightline.common.runs import check_same, plain
from sightline.errors import GateError
from sightline.gates.scheme import Scheme
from sightline.tasks.gate_search.executors import Evaluate

VERSION = 1


@dataclass(frozen=True)
class Trial:
    """One evaluated scheme.

    Args:
        scheme: what was in use.
        score: accuracy, or whatever else was measured, of the scheme.
        worth: the score, and the sparsity weight times the share of blocks without a gate.
    """

    scheme: Scheme
    score: float
    worth: float


@dataclass
class Ledger:
    """What has been evaluated, and what may still be.

    Args:
        evaluate: gives the scores of schemes, in their order.
        budget: most evaluations; a scheme that comes again is not one.
        sparsity: weight of the share of blocks without a gate.
        step: called after each evaluation, those read from a log among them.
    """

    evaluate: Evaluate
    budget: int
    sparsity: float
    step: Any = None
    trials: dict[Scheme, Trial] = field(default_factory=dict)
    requests: int = 0
    replayed: int = 0
    _log: Log | None = None
    _logged: list[tuple[Scheme, float]] = field(default_factory=list)

    def keep(self, log: Log) -> None:
        """Write to a log from now on, and take from it what it holds."""
        self._log, self._logged = log, log.begin()

    @property
    def repeats(self) -> int:
        """How many of the schemes that were asked for had been evaluated before."""
        return self.requests - len(self.trials)

    @property
    def spent(self) -> bool:
        """Whether nothing may be evaluated any more."""
        return len(self.trials) >= self.budget

    def worths(self, schemes: Sequence[Scheme]) -> list[float] | None:
        """The worths of schemes; None when the budget ended before all of them were evaluated."""
        new = [scheme for scheme in dict.fromkeys(schemes) if scheme not in self.trials]
        allowed = new[: self.budget - len(self.trials)]
        for scheme, score in zip(allowed, self._scores(allowed), strict=True):
            self.trials[scheme] = Trial(scheme, score, score + self.sparsity * (1 - scheme.density))
            if self.step is not None:
                self.step(self.trials[scheme])
        if len(allowed) < len(new):
            self.requests += len(allowed)
            return None
        self.requests += len(schemes)
        return [self.trials[scheme].worth for scheme in schemes]

    def _scores(self, schemes: list[Scheme]) -> Iterator[float]:
        """From the log as far as it goes, then by evaluation; each is written before it is given."""
        replays = [self._replay(scheme) for scheme in schemes[: len(self._logged) - self.replayed]]
        yield from replays
        fresh = schemes[len(replays) :]
        for scheme, score in zip(fresh, self.evaluate(fresh) if fresh else (), strict=True):
            value = float(score)
            if not math.isfinite(value):
                raise GateError(f"the score of the scheme {scheme} is {value}; a search needs finite numbers")
            if self._log is not None:
                self._log.add(scheme, value)
            yield value

    def _replay(self, scheme: Scheme) -> float:
        logged, score = self._logged[self.replayed]
        if logged != scheme:
            raise GateError(
                f"line {self.replayed + 2} of the search's log holds the scheme {logged}, but the search comes to "
                f"{scheme} there; the log was changed, or written with other versions: give another --log"
            )
        self.replayed += 1
        return score


@dataclass(frozen=True)
class Log:
    """A file of JSON lines.

    Args:
        path: where it is.
        settings: all that the course of the search hangs on; a log with others is refused.
    """

    path: Path
    settings: Mapping[str, Any]

    def begin(self) -> list[tuple[Scheme, float]]:
        """Start the file, or take up the one that is there; what it holds, in order.

        A last line that was not finished is cut off.

        Raises:
            GateError: it holds a search with other settings, or something else, or cannot be read or written.
        """
        head = plain({"sightline search": VERSION, **self.settings})
        try:
            text = self.path.read_bytes() if self.path.is_file() else b""
        except OSError as problem:
            raise GateError(f"cannot read {str(self.path)!r} as a search's log: {problem.strerror}") from problem
        whole = text[: text.rfind(b"\n") + 1]
        if not whole:
            if text and not _line(head).startswith(text):  # neither empty nor a log whose first line was cut
                self._foreign()
            write_bytes(self.path, _line(head), error=GateError)
            return []
        first, *lines = whole.splitlines()
        before = self._parsed(first, 1)
        if "sightline search" not in before:
            self._foreign()
        cure = "repeat them to go on, or give another --log"
        check_same(self.path, before, head, holds="a search", cure=cure, error=GateError)
        trials = [self._trial(line, number) for number, line in enumerate(lines, 2)]
        if len(whole) < len(text):
            write_bytes(self.path, whole, error=GateError)
        return trials

    def add(self, scheme: Scheme, score: float) -> None:
        """Write one evaluation behind the others.

        Raises:
            GateError: it cannot be written; what was written of it is cut off when the search is taken up.
        """
        try:
            with self.path.open("ab") as file:
                file.write(_line({"scheme": str(scheme), "score": score}))
        except OSError as problem:
            raise GateError(cannot_write(self.path, problem)) from problem

    def _parsed(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = parse_json(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            if number == 1:
                self._foreign()
            raise GateError(f"line {number} of {str(self.path)!r} is damaged; cut the file off before it, and go on")
        return record

    def _trial(self, line: bytes, number: int) -> tuple[Scheme, float]:
        record = self._parsed(line, number)
        try:
            return scheme_from(str(record["scheme"])), float(record["score"])
        except (KeyError, ValueError, TypeError, GateError) as problem:
            raise GateError(
                f"line {number} of {str(self.path)!r} is damaged; cut the file off before it, and go on"
            ) from problem

    def _foreign(self) -> None:
        raise GateError(f"{str(self.path)!r} is not the log of a search, and is left unchanged; give another --log")


def scheme_from(bits: str) -> Scheme:
    """A scheme from its bits as they are printed, whatever the network."""
    return Scheme(tuple(tuple({"1": True, "0": False}[sign] for sign in stage) for stage in bits.split("|")))


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


def ordered(trials: Iterable[Trial]) -> list[Trial]:
    """Best first: by worth, then the sparser, then the smaller bits; so that ties are settled one way."""
    return sorted(trials, key=lambda trial: (-trial.worth, trial.scheme.density, trial.scheme.flat()))
