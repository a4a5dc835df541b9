"""A registry: a dictionary that one decorator fills and entry points may extend.

The command line, the documentation tables and the test batteries all read the same registry.
It must not know what is registered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import TypeVar

from sightline.errors import SightlineError, near

T = TypeVar("T")
log = logging.getLogger(__name__)


class Registry(Mapping[str, T]):
    """Names to things of one kind, in the order in which they were added.

    Args:
        kind: what is registered, in the singular; it is used in error texts.
        group: entry-point group through which other packages may add to it.
        error: the exception that an unknown name raises.

    Example:
        >>> colours = Registry[int]("colour")
        >>> colours.add("red", 1)
        1
        >>> colours["red"]
        1
    """

    def __init__(self, kind: str, *, group: str = "", error: type[SightlineError] = SightlineError) -> None:
        self.kind = kind
        self._group = group
        self._error = error
        self._items: dict[str, T] = {}
        self._loaded = not group

    def add(self, name: str, item: T) -> T:
        """Add `item` under `name`; a name can be given once."""
        if name in self._items:
            raise self._error(f"the {self.kind} {name!r} is registered already; choose another name")
        self._items[name] = item
        return item

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of `add`."""
        return lambda item: self.add(name, item)

    def __getitem__(self, name: str) -> T:
        self._load()
        if name not in self._items:
            raise self._error(f"there is no {self.kind} {name!r}; {near(name, self._items)}")
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._items)

    def __len__(self) -> int:
        self._load()
        return len(self._items)

    def _load(self) -> None:
        """Import the modules that other packages name in our entry-point group; they register themselves."""
        if self._loaded:
            return
        self._loaded = True
        for point in entry_points(group=self._group):
            try:
                point.load()
            except Exception as problem:  # noqa: BLE001 - a broken plug-in must not take the house down
                log.warning("the plug-in %s of group %s could not be loaded: %s", point.name, self._group, problem)
