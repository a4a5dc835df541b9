"""Decisions: `colour:blue`."""

from sightline.targets import ClassScore, Target


def colour(text: str) -> Target | None:
    return ClassScore((text.removeprefix("colour:"),)) if text.startswith("colour:") else None
