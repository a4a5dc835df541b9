"""Judges of worlds: who is asked, and when nobody is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightline.compare import judges
from sightline.compare.judges import JUDGES, judging_of
from sightline.errors import DataError
from sightline.registry import Registry


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Two judges, of whom the second knows every folder; and what they were asked."""
    questions: list[tuple[str, str | None]] = []
    registry = Registry("judge", error=DataError)
    registry.add("first", lambda data, cue: questions.append(("first", cue)))
    registry.add("second", lambda data, cue: questions.append(("second", cue)) or "judging")
    monkeypatch.setattr(judges, "JUDGES", registry)
    return questions


def test_the_first_judge_who_knows_the_folder_decides(asked) -> None:
    assert judging_of(Path(), "wing") == "judging"
    assert asked == [("first", "wing"), ("second", "wing")]


def test_a_comparison_without_certificate_asks_nobody(asked) -> None:
    assert judging_of(Path(), "none") is None
    assert asked == []


def test_photos_are_judged_without_certificate_unless_a_cue_is_asked_for(tmp_path: Path) -> None:
    assert judging_of(tmp_path, None) is None
    with pytest.raises(DataError, match="not a rendered world"):
        judging_of(tmp_path, "wing")
    assert list(JUDGES) == ["aviary"]
