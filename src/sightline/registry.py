"""A registry: a dictionary that one decorator fills and entry points may extend.

The command line, the documentation tables and the test batteries all read the same registry. A broken plug-in of
another package is a warning; one of our own is an error that names its cure, since without it a verb or a network
would be missing without a word. It must not know what is registered.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TypeVar, overload

from sightline import installed
from sightline.errors import SightlineError, near

T = TypeVar("T")
D = TypeVar("D")
log = logging.getLogger(__name__)


def spelling(name: str) -> str:
    """A name without what differs between spellings: case, blanks, dashes and underscores; two plus signs are `pp`.

    Example:
        >>> spelling("Grad-CAM++") == spelling("GradCAMPlusPlus") == spelling("grad_cam_pp")
        True
    """
    return re.sub(r"[\W_]", "", name.lower().replace("plusplus", "pp").replace("++", "pp"))


class Registry(Mapping[str, T]):
    """Names to things of one kind, in the order in which they were added.

    Args:
        kind: what is registered, in the singular; it is used in error texts.
        group: entry-point group through which packages add to it: a module, which registers what it brings when it is
            imported, or `module:item`, which is added under the entry point's name.
        modules: our own modules that fill it, imported when it is first read.
        error: the exception that an unknown name raises.
        titles: further names of an item; with it, an item answers to any spelling of its names: `Grad-CAM`,
            `grad_cam` and `GradCAM` are one.

    Example:
        >>> colours = Registry[int]("colour")
        >>> colours.add("red", 1)
        1
        >>> colours["red"]
        1
    """

    def __init__(
        self,
        kind: str,
        *,
        group: str = "",
        modules: tuple[str, ...] = (),
        error: type[SightlineError] = SightlineError,
        titles: Callable[[T], Iterable[str]] | None = None,
    ) -> None:
        self.kind = kind
        self.group = group
        self._modules = modules
        self._error = error
        self._titles = titles
        self._items: dict[str, T] = {}
        self._lock = threading.RLock()
        self._loading = False
        self._loaded = not (group or modules)

    def add(self, name: str, item: T) -> T:
        """Add `item` under `name`; a name can be given once."""
        if name in self._items:
            raise self._error(f"the {self.kind} {name!r} is registered already; choose another name")
        self._items[name] = item
        return item

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of `add`."""
        return lambda item: self.add(name, item)

    def name_of(self, name: str) -> str:
        """The name under which an item is kept, by that name or, where spellings are free, by any that means it.

        Raises:
            SightlineError: nothing is called so; near names are listed.
        """
        self._load()
        if name in self._items:
            return name
        if (own := self._by_spelling(name)) is not None:
            return own
        raise self._error(f"there is no {self.kind} {name!r}; {near(name, self._items)}")

    def _by_spelling(self, name: str) -> str | None:
        if self._titles is None:
            return None
        wanted = spelling(name)
        names = ((own, (own, *self._titles(item))) for own, item in self._items.items())
        return next((own for own, called in names if wanted and wanted in map(spelling, called)), None)

    def __getitem__(self, name: str) -> T:
        return self._items[self.name_of(name)]

    @overload
    def get(self, name: str, /) -> T | None: ...
    @overload
    def get(self, name: str, default: T | D, /) -> T | D: ...
    def get(self, name: str, default: D | None = None, /) -> T | D | None:
        """The item, or the default; the error of an unknown name is no `KeyError`, which `Mapping.get` waits for."""
        return self[name] if name in self else default  # noqa: SIM401 - it would call itself

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._items or (isinstance(name, str) and self._by_spelling(name) is not None)

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._items)

    def __len__(self) -> int:
        self._load()
        return len(self._items)

    def _load(self) -> None:
        """Fill the registry, once.

        Raises:
            SightlineError: an entry point of our own is not installed, or cannot be loaded.
        """
        if self._loaded:
            return
        with self._lock:  # another thread waits for all of it; this one may read what is there so far
            if self._loaded or self._loading:
                return
            self._loading = True
            try:
                self._fill()
                self._loaded = True
            finally:
                self._loading = False

    def _fill(self) -> None:
        for module in self._modules:
            import_module(module)
        points = entry_points(group=self.group) if self.group else ()
        if missing := installed.missing(points, self.group):
            names = ", ".join(repr(point.name) for point in missing)
            raise SightlineError(
                f"the {self.kind} {names} belongs to Sightline but is not installed: its source is newer than its "
                f"installation. Try: {installed.cure()}"
            )
        for point in points:
            self._enter(point)

    def _enter(self, point: EntryPoint) -> None:
        """Load what an entry point names; where that fails nothing of it stays."""
        before = dict(self._items)
        try:
            item = point.load()
            if not isinstance(item, ModuleType) and point.name not in self._items:
                self.add(point.name, item)
        except Exception as problem:  # whatever a module may raise while it is imported
            self._items = before
            if installed.is_ours(point):
                raise SightlineError(
                    f"the {self.kind} {point.name!r} ({point.value}) belongs to Sightline but cannot be loaded: "
                    f"{problem}. Try: {installed.cure(problem)}"
                ) from problem
            # a stranger's broken plug-in must not stop everything else
            log.warning("the plug-in %s of group %s could not be loaded: %s", point.name, self.group, problem)
