"""Is it the same run, and may it go on? One lock and one comparison for everything that is taken up again.

A run writes down the facts that make it itself; whoever comes to the same place with other facts is refused in a
sentence, and so is a second process while the first one works there. It must not know what runs.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sightline.common.files import cannot_write, digest, write_text
from sightline.errors import ResultError, SightlineError

log = logging.getLogger(__name__)
SHOWN = 4
"""Most differences that an error text names."""
LONGEST_VALUE = 60
"""Longest value that an error text shows."""
_HELD: set[int] = set()
"""Descriptors of the locks that this process holds."""


@contextmanager
def locked(
    place: Path, *, error: type[SightlineError] = ResultError, cure: str = "choose another place", wait: float = 0.0
) -> Iterator[bool]:
    """Keep other processes away from a file or folder while the block runs.

    The lock belongs to the system and ends with the process, so a dead process locks nothing. The file `.NAME.lock`
    says who holds it, and is removed at the end. Where the file system has no locks, nothing is locked.

    Args:
        place: what is locked; it need not exist, but its parent must.
        error: what is raised.
        cure: what to try, for the error text.
        wait: seconds to wait for another process.

    Yields:
        Whether a process that was killed had left its lock here: what it had begun is ours.

    Raises:
        SightlineError: of the type `error`: another process holds the place.
    """
    path = _lock_path(place)
    try:
        descriptor, ours = _acquired(path, time.monotonic() + wait)
    except BlockingIOError as problem:
        raise error(f"{str(place)!r} is in use by {problem}; wait until it has ended, or {cure}") from None
    except OSError as problem:
        raise error(cannot_write(path, problem)) from problem
    _HELD.add(descriptor)
    try:
        left = ours and os.fstat(descriptor).st_size > 0
        if ours:
            _sign(descriptor)
        yield left
    finally:
        if descriptor in _HELD:  # a forked child holds nothing
            _HELD.discard(descriptor)
            if ours:
                with suppress(OSError):
                    path.unlink()  # before the lock ends: whoever comes now makes a file of its own
            os.close(descriptor)


def begin(
    record: Path,
    facts: Mapping[str, Any],
    *,
    begun: bool,
    holds: str,
    cure: str,
    error: type[SightlineError],
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> None:
    """Write down which run a place belongs to, or see that it is this one.

    Args:
        record: the JSON file that says so.
        facts: everything that must be the same, by name; what is long is there as its digest.
        begun: whether something lies there to go on with; if not, another run's record is written over.
        holds: what lies there, for the error text: "a comparison".
        cure: what to try.
        error: what is raised.
        upgrade: gives the facts of an older version's record their present names.

    Raises:
        SightlineError: of the type `error`: the place belongs to another run, or the record is no record of ours.
    """
    now, before = plain(facts), read_record(record)
    if begun:
        check_same(record.parent, upgrade(before or {}), now, holds=holds, cure=cure, error=error)
        return
    if os.path.lexists(record) and not (before is not None and before.keys() & now.keys()):
        raise error(f"{str(record)!r} is in the way: sightline did not write it, so it is left alone; {cure}")
    write_text(record, json.dumps(now, indent=1), error=error)


def check_same(
    place: Path,
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    *,
    holds: str,
    cure: str,
    error: type[SightlineError],
) -> None:
    """Refuse to go on with another run's work; the text says what differs.

    Args:
        place: where it lies.
        before: the facts of what lies there, as read from JSON.
        now: the facts of this run.
        holds: what lies there.
        cure: what to try.
        error: what is raised.

    Raises:
        SightlineError: of the type `error`: a fact differs.
    """
    differ = differences(before, plain(now))
    if differ:
        more = f"; and {len(differ) - SHOWN} more" if len(differ) > SHOWN else ""
        raise error(
            f"{str(place)!r} holds {holds} with other settings, which this run cannot go on with "
            f"({'; '.join(differ[:SHOWN])}{more}); {cure}"
        )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two runs, in words.

    Example:
        >>> differences({"--seed": 0, "files": "0f" * 8}, {"--seed": 1, "files": "f0" * 8})
        ['--seed was 0, is now 1', 'other files']
    """
    texts = []
    for name in dict.fromkeys([*now, *before]):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            texts += [f"{name}: {text}" for text in differences(old, new)]
        elif old != new:
            short = all(_is_short(value) for value in (old, new))
            texts.append(f"{name} was {old}, is now {new}" if short else f"other {name}")
    return texts


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as they are when read back from JSON: tuples are lists, paths are texts."""
    read: dict[str, Any] = json.loads(json.dumps(facts, default=str))
    return read


def read_record(path: Path) -> dict[str, Any] | None:
    """The JSON object of a file; None if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _is_short(value: Any) -> bool:
    """Whether a value tells a reader something: digests do not."""
    text = str(value)
    return len(text) <= LONGEST_VALUE and not re.fullmatch("[0-9a-f]{16}", text)


def _lock_path(place: Path) -> Path:
    place = Path(os.path.realpath(place))
    name = place.name if len(os.fsencode(place.name)) < 200 else digest(os.fsencode(place.name))
    return place.with_name(f".{name}.lock")


def _acquired(path: Path, until: float) -> tuple[int, bool]:
    """The locked descriptor of a lock file, and whether that file is ours to write and remove.

    Raises:
        BlockingIOError: another process holds it; the text says who.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        if _locks(descriptor):
            # The former holder may have removed the file between our opening and locking it.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                    holder = _holder(descriptor)
                    return descriptor, holder is not None or os.fstat(descriptor).st_size == 0
            os.close(descriptor)
            continue
        holder = _holder(descriptor) or {}
        os.close(descriptor)
        if time.monotonic() > until:
            raise BlockingIOError(_described(holder))
        time.sleep(0.05)


def _locks(descriptor: int) -> bool:
    """Whether this process now holds the lock; True also where there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as problem:
        log.warning("this file system has no locks (%s); do not start the same command twice", problem.strerror)
    return True


def _holder(descriptor: int) -> dict[str, Any] | None:
    try:
        content = json.loads(os.pread(descriptor, 4096, 0))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and "sightline lock" in content else None


def _sign(descriptor: int) -> None:
    """Say in the lock file who holds it; a full disk does not matter here."""
    command = " ".join([*(Path(word).name for word in sys.argv[:1]), *sys.argv[1:]])[:200]
    holder = {
        "sightline lock": 1,
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": command,
    }
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _described(holder: Mapping[str, Any]) -> str:
    if not holder:
        return "another process"
    where = "" if holder.get("host") == socket.gethostname() else f" on {holder.get('host')}"
    return f"process {holder.get('process')}{where} ({holder.get('command')}), since {holder.get('since')}"


def _let_go() -> None:
    """In a forked child: a worker that outlives its parent must not hold the parent's locks."""
    for descriptor in _HELD:
        with suppress(OSError):
            os.close(descriptor)
    _HELD.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
