"""Writing files: whole or not at all, and never over a file that is not ours.

Everything is written to a temporary file beside its place and renamed when it is complete, so that a full disk, a
crash or Ctrl-C leaves what was there before. It must not know what is written.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.errors import ResultError, SightlineError

if TYPE_CHECKING:
    from torch import Tensor

LONGEST_SUFFIX = 16
"""Longest ending that a temporary file shares with its target; writers choose their format by the ending."""
_TEMPORARY = re.compile(r"\.sightline-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.part(\..*)?")
_SEAL = re.compile(rb"<!-- written by sightline, ([0-9a-f]{16}) -->\n\Z")


@contextmanager
def whole_file(path: str | Path, *, error: type[SightlineError] = ResultError) -> Iterator[Path]:
    """A temporary path that takes the name of `path` when the block ends well, and is removed otherwise.

    The temporary file exists, is empty, lies in the same folder and has the same ending. A symbolic link is followed,
    as `open` would.

    Args:
        path: the file to write.
        error: what is raised when it cannot be written.

    Raises:
        SightlineError: of the type `error`: no room, no permission, no such folder.
    """
    path = Path(path)
    place = Path(os.path.realpath(path))
    ending = place.suffix if len(place.suffix) <= LONGEST_SUFFIX else ""
    temporary = place.with_name(f".sightline-{_host()}-{os.getpid()}-{secrets.token_hex(4)}.part{ending}")
    try:
        if place.exists() and not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, "the file may not be written")
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # never over another's file
        yield temporary
        temporary.replace(place)
    except (ConnectionError, TimeoutError):  # of where the content comes from
        raise
    except OSError as problem:
        raise error(cannot_write(path, problem)) from problem
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes, *, error: type[SightlineError] = ResultError) -> None:
    """Write a file whole or not at all; see `whole_file`."""
    with whole_file(path, error=error) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, text: str, *, error: type[SightlineError] = ResultError) -> None:
    """Write a text file as UTF-8, whole or not at all; see `whole_file`."""
    write_bytes(path, text.encode(), error=error)


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file, whole or not at all; equal tensors and metadata give equal bytes.

    Args:
        path: the file; its folder is made if it does not exist.
        tensors: tensors by name; copied to the CPU.
        metadata: for the header.

    Raises:
        ResultError: it cannot be written.
    """
    from safetensors.torch import save

    path = Path(path)
    make_folder(path.parent)
    copies = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    write_bytes(path, _ordered(save(copies, metadata=dict(metadata))) if metadata else save(copies))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        SafetensorError: it is damaged.
        OSError: it cannot be read.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def make_folder(folder: Path, *, error: type[SightlineError] = ResultError) -> None:
    """Make a folder and its parents.

    Raises:
        SightlineError: of the type `error`: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise error(cannot_write(folder, problem)) from problem


@contextmanager
def with_parents(*places: Path, error: type[SightlineError] = ResultError) -> Iterator[None]:
    """Make the parents of places; those that are empty after a failed block go again.

    Raises:
        SightlineError: of the type `error`: they cannot be made.
    """
    parents = [parent for place in places for parent in place.absolute().parents if not parent.exists()]
    try:
        for place in places:
            make_folder(place.absolute().parent, error=error)
        yield
    except BaseException:
        for parent in parents:
            with suppress(OSError):  # it holds something by now
                parent.rmdir()
        raise


def cannot_write(path: str | Path, problem: OSError) -> str:
    """One sentence for an error of the system while a place was written."""
    why = problem.strerror or str(problem) or type(problem).__name__
    room = problem.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"cannot write to {str(path)!r}: {why}" + ("; free some space and repeat the command" if room else "")


def digest(content: bytes) -> str:
    """Sixteen signs that change with the content."""
    return sha256(content).hexdigest()[:16]


def digest_of(path: Path) -> str:
    """The digest of a regular file; empty for anything else, a symbolic link among them."""
    return digest(path.read_bytes()) if path.is_file() and not path.is_symlink() else ""


def write_sealed(path: Path, text: str) -> None:
    """Write a card or a page whose last line proves that we wrote it, and that nobody has changed it since.

    Raises:
        ResultError: the file there is not ours any more, or it cannot be written.
    """
    check_ours(path)
    body = text if text.endswith("\n") else text + "\n"
    write_text(path, f"{body}<!-- written by sightline, {digest(body.encode())} -->\n")


def check_ours(path: Path) -> None:
    """Refuse to write over a card, a page or a weights file that somebody else wrote or changed.

    Raises:
        ResultError: see above.
    """
    if not os.path.lexists(path) or _is_weights(path) or _is_sealed(path):
        return
    raise ResultError(
        f"{str(path)!r} would be written over, but it was not written by sightline, or was changed since; "
        "move it, or choose another --out"
    )


def check_place(out: Path, beside: tuple[str, ...] = (".md",)) -> None:
    """Refuse a place that cannot be written before any work is done.

    Args:
        out: the weights file that is to be written.
        beside: endings of what is written beside it.

    Raises:
        ResultError: a folder or a file is in the way, or there is no permission.
    """
    if out.suffix != ".safetensors":
        raise ResultError(
            f"--out is {str(out)!r}, but weights are written to a file that ends in .safetensors; the card and the "
            "page lie beside it under the same name"
        )
    if out.is_dir():
        raise ResultError(f"cannot write to {str(out)!r}: it is a folder; name a file, such as net.safetensors")
    nearest = next(place for place in out.absolute().parents if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        why = "no permission" if nearest.is_dir() else "it is a file"
        raise ResultError(f"cannot write to {str(out)!r}: {why} ({str(nearest)!r}); choose another --out")
    for path in (out, *(out.with_suffix(ending) for ending in beside)):
        check_ours(path)


def sweep(folder: Path) -> None:
    """Remove the temporary files that dead processes of this machine left in a folder."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        name = _TEMPORARY.fullmatch(path.name)
        if name and name["host"] == _host() and not _is_alive(int(name["pid"])):
            with suppress(OSError):
                path.unlink()


def _host() -> str:
    """A name of this machine that fits into a file's name."""
    return sha256(socket.gethostname().encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # somebody else's process is one
        return True
    return True


def _ordered(archive: bytes) -> bytes:
    """A safetensors archive with its header in a fixed order: the library's own order of metadata varies."""
    length = int.from_bytes(archive[:8], "little")
    header = json.dumps(json.loads(archive[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors begin at a multiple of eight
    return len(header).to_bytes(8, "little") + header + archive[8 + length :]


def _is_weights(path: Path) -> bool:
    """Whether a safetensors file says which of our networks it holds."""
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {"architecture", "spec"} <= (file.metadata() or {}).keys()
    except (OSError, SafetensorError):
        return False


def _is_sealed(path: Path) -> bool:
    """Whether a text ends in our seal and is what was sealed."""
    if not path.is_file():
        return False
    content = path.read_bytes()
    seal = _SEAL.search(content)
    return seal is not None and digest(content[: seal.start()]).encode() == seal[1]
