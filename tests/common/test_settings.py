"""Settings: flat from outside, checked before any work, declared once."""

from dataclasses import dataclass

import pytest

from sightline.common.settings import Settings, flat, lasting, leaves, setting
from sightline.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Inner(Settings):
    """A part."""

    PANEL = "Inside"

    lr: float = setting(0.1, "Rate.", above=0)
    share: float = setting(0.5, "Share.", low=0, below=1)
    mode: str = setting("a", "Mode.", "--kind-of-mode", words=("a", "b"))
    workers: int = setting(2, "Workers.", lasts=False)


@dataclass(frozen=True, kw_only=True)
class Outer(Settings):
    """A whole."""

    name: str = setting("x", "Name.")
    inner: Inner = Inner(lr=0.2)


def test_leaves_are_flat_and_have_the_defaults_of_the_whole() -> None:
    assert flat(Outer()) == {"name": "x", "lr": 0.2, "share": 0.5, "mode": "a", "workers": 2}
    assert {leaf.name: leaf.default for leaf in leaves(Outer)} == flat(Outer())
    assert [leaf.panel for leaf in leaves(Outer)] == ["Options", *["Inside"] * 4]


def test_a_leaf_is_changed_wherever_it_lies_and_the_first_stays_as_it_was() -> None:
    one = Outer()
    other = one.but(lr=1.0, name="y")
    assert (other.inner.lr, other.name, other.inner.share) == (1.0, "y", 0.5)
    assert (one.inner.lr, one.name) == (0.2, "x")
    assert Outer.of(mode="b").inner == Inner(lr=0.2, mode="b")
    with pytest.raises(TypeError, match="no setting rate"):
        one.but(rate=1.0)


def test_what_lasts_is_named_as_on_the_command_line() -> None:
    assert lasting(Outer()) == {"--name": "x", "--lr": 0.2, "--share": 0.5, "--kind-of-mode": "a"}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"lr": 0.0}, "--lr is 0.0, but must be above 0"),
        ({"lr": float("nan")}, "--lr is nan, but must be a finite number"),
        ({"lr": float("inf")}, "finite"),
        ({"share": -0.1}, "--share is -0.1, but cannot be negative"),
        ({"share": 1.0}, "--share is 1.0, but must be below 1"),
        ({"mode": "c"}, "--kind-of-mode cannot be 'c'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(change: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        Outer.of(**change)
