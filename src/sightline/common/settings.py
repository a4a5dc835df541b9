"""Settings: dataclasses whose fields carry help and range, declared once.

The command line, the check before any work, the facts that a run is resumed by and the tables of cards are all made
from them. Settings may be composed of parts; to the command line they are flat, one option for each leaf.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from typing import Any, ClassVar, Self, cast, get_type_hints

from sightline.errors import InputError, SightlineError, near

REQUIRED: Any = MISSING
"""Default of a setting that has none."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What a setting says of itself.

    Args:
        help: a phrase that stands alone.
        flags: names on the command line, where they are not the field's own.
        low: lowest value.
        above: a bound that the value must lie above.
        high: highest value.
        below: a bound that the value must lie below.
        words: all values there are.
        lasts: whether it must be the same when a run goes on.
        hidden: whether the command line leaves it out.
        metavar: what the command line calls an argument without a flag; empty for an option.
        parse: from the text that is typed to the value, where the type does not say how.
        panel: heading under which the command line shows it, where it is not that of its settings.
    """

    help: str
    flags: tuple[str, ...] = ()
    low: float | None = None
    above: float | None = None
    high: float | None = None
    below: float | None = None
    words: tuple[str, ...] = ()
    lasts: bool = True
    hidden: bool = False
    metavar: str = ""
    parse: Any = None
    panel: str = ""


def setting(default: Any, help: str, *flags: str, **about: Any) -> Any:
    """A field of settings.

    Args:
        default: its value where nothing is asked for, or what makes it (`dict`); `REQUIRED` for none.
        help: a phrase that stands alone.
        flags: names on the command line, where they are not the field's own.
        about: the other fields of `About`.
    """
    defaults = {"default_factory": default} if default is dict else {"default": default}
    return field(**defaults, metadata={"about": About(help=help, flags=flags, **about)})


@dataclass(frozen=True)
class Leaf:
    """A setting inside settings.

    Args:
        path: names of the parts that lead to it, and its own.
        default: its value in the settings that were asked.
        about: the setting's range, help and flags.
        panel: the heading under which the command line shows it.
        kind: the type of the settings that it is declared in.
    """

    path: tuple[str, ...]
    default: Any
    about: About
    panel: str
    kind: type[Settings]

    @property
    def name(self) -> str:
        """The field's own name."""
        return self.path[-1]

    @property
    def option(self) -> str:
        """Its long name on the command line."""
        return next((flag for flag in self.about.flags if flag.startswith("--")), f"--{self.name.replace('_', '-')}")

    @property
    def type(self) -> Any:
        """Its type."""
        return _hints(cast(Any, self.kind))[self.name]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of everything that is made of `setting`s and of parts that are settings themselves."""

    PANEL: ClassVar[str | None] = None
    ERROR: ClassVar[type[SightlineError]] = InputError

    def __post_init__(self) -> None:
        """Check numbers and words before any work.

        Raises:
            SightlineError: one makes no sense; the text says what it was.
        """
        for leaf in leaves(self):
            if len(leaf.path) == 1:
                _check(leaf, self.ERROR)

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Settings with some leaves other than their defaults, whatever part they are in."""
        return cls().but(**values)

    def but(self, **values: Any) -> Self:
        """The same with some leaves changed, whatever part they are in.

        Raises:
            TypeError: there is no such setting.
        """
        own = {f.name for f in fields(self)}
        changed = {name: value for name, value in values.items() if name in own}
        for name in own - set(changed):
            part = getattr(self, name)
            if isinstance(part, Settings):
                inner = {key: value for key, value in values.items() if key in flat(part)}
                changed |= {name: part.but(**inner)} if inner else {}
                values = {key: value for key, value in values.items() if key not in inner}
        if unknown := set(values) - own:
            raise TypeError(f"{type(self).__name__} has no setting {', '.join(sorted(unknown))}")
        return replace(self, **changed)


def leaves(settings: Settings | type[Settings]) -> Iterator[Leaf]:
    """Every setting, with its value or, of a type, its default, in the order in which they are declared."""
    kind = settings if isinstance(settings, type) else type(settings)
    for own in fields(kind):
        value = own.default if isinstance(settings, type) else getattr(settings, own.name)
        if isinstance(value, Settings):
            for leaf in leaves(value):
                yield replace(leaf, path=(own.name, *leaf.path))
        elif "about" in own.metadata:
            if value is MISSING and own.default_factory is not MISSING:
                value = own.default_factory()
            about = own.metadata["about"]
            yield Leaf((own.name,), value, about, about.panel or kind.PANEL or "Options", kind)


def flat(settings: Settings) -> dict[str, Any]:
    """Every setting's value by its own name."""
    return {leaf.name: leaf.default for leaf in leaves(settings)}


def option_texts(settings: Settings) -> dict[str, str]:
    """The same as texts, for a page's table of options."""
    return {name: str(value) for name, value in flat(settings).items()}


def lasting(settings: Settings) -> dict[str, Any]:
    """What must be the same when a run goes on, by its name on the command line."""
    return {leaf.option: leaf.default for leaf in leaves(settings) if leaf.about.lasts}


@cache
def _hints(kind: type[Settings]) -> dict[str, Any]:
    """Types of all fields."""
    return get_type_hints(kind)


def _check(leaf: Leaf, error: type[SightlineError]) -> None:
    value, about, name = leaf.default, leaf.about, leaf.option.removeprefix("--")
    if about.words and value is not None and value not in about.words:
        raise error(f"--{name} cannot be {value!r}; {near(str(value), about.words)}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if not math.isfinite(value):
        raise error(f"--{name} is {value}, but must be a finite number")
    if about.above is not None and value <= about.above:
        raise error(f"--{name} is {value}, but must be above {about.above:g}")
    if about.low is not None and value < about.low:
        if about.low == 0:
            raise error(f"--{name} is {value}, but cannot be negative")
        raise error(f"--{name} is {value}, but must be at least {about.low:g}")
    if about.below is not None and value >= about.below:
        raise error(f"--{name} is {value}, but must be below {about.below:g}")
    if about.high is not None and value > about.high:
        raise error(f"--{name} is {value}, but can be at most {about.high:g}")
