"""Dataclasses from what JSON holds of them."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pytest

from sightline.common.records import restored


@dataclass(frozen=True)
class Inner:
    name: str


@dataclass(frozen=True)
class Outer:
    count: int
    share: float
    words: tuple[str, ...] = ()
    box: tuple[float, float] | None = None
    kind: Literal["a", "b"] = "a"
    inner: tuple[Inner, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    on: bool = True


WHOLE = Outer(3, 0.5, ("x",), (1.0, 2.0), "b", (Inner("y"),), {"z": [1]}, on=False)


def test_what_was_written_is_read():
    assert restored(Outer, {**asdict(WHOLE), "words": ["x"], "box": [1, 2]}) == WHOLE


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"count": "3"}, "count"),
        ({"count": True}, "count"),
        ({"count": 3.0}, "count"),
        ({"share": "x"}, "share"),
        ({"share": 10**400}, "share"),
        ({"words": "xyz"}, "words"),
        ({"words": [1]}, "words"),
        ({"box": [1]}, "box"),
        ({"box": ["1", 2]}, "box"),
        ({"kind": "c"}, "kind"),
        ({"kind": []}, "kind"),
        ({"inner": [[]]}, "Inner"),
        ({"inner": [{"name": None}]}, "name"),
        ({"options": []}, "options"),
        ({"on": 1}, "on"),
        ({"other": 1}, "other"),
    ],
)
def test_a_field_of_another_kind_is_named(change, name):
    with pytest.raises(ValueError, match=name):
        restored(Outer, {**asdict(WHOLE), **change})


def test_a_missing_field_is_named():
    with pytest.raises(ValueError, match="share"):
        restored(Outer, {"count": 1})


@pytest.mark.parametrize("content", [None, [], "", 3])
def test_what_is_no_object_is_refused(content):
    with pytest.raises(ValueError, match="is an object"):
        restored(Outer, content)
