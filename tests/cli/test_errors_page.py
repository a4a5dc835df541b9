"""The page of errors and the texts in the code say the same."""

import ast
import re
from functools import cache
from pathlib import Path

import sightline

HOUSE = Path(sightline.__file__).parent
PAGE = HOUSE.parents[1] / "docs" / "errors.md"
FROM_REGISTRY = "there is no method …"
"""A registry puts its kind into its text."""
OURS = {
    "InputError",
    "DataError",
    "ModelError",
    "UnfollowedError",
    "LayerError",
    "TargetError",
    "MethodError",
    "ResultError",
    "TrainingError",
    "GateError",
}


def words(node):
    """A text's fixed words, with … where something varies; None for what is no text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(words(part) or "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (words(node.left) or "…") + (words(node.right) or "…")
    return None


@cache
def texts():
    """Every text of the code with the place where it is raised, if it is: `{text: places}`."""
    places = {FROM_REGISTRY: []}
    for path in sorted(HOUSE.rglob("*.py")):
        file = path.relative_to(HOUSE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (text := words(node)) is not None:
                places.setdefault(text, [])
            if is_raise(node) and (text := words(node.exc.args[0])) is not None:
                places.setdefault(text, []).append(f"{file}:{node.lineno}")
    return places


def is_raise(node):
    return (
        isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in OURS
        and bool(node.exc.args)
    )


def headings():
    return re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def says(text, heading):
    """Whether the heading's fixed words stand in the text, in their order."""
    at = 0
    for part in parts(heading):
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


@cache
def parts(heading):
    """The fixed words of a heading."""
    return [part.strip() for part in heading.split("…") if part.strip(" ()")]


def test_every_error_text_has_a_heading():
    known = headings()
    raised = {text: places for text, places in texts().items() if places}
    assert len(raised) > 100
    missing = [
        f"{', '.join(places)}: {text}"
        for text, places in raised.items()
        if text.strip("… ") and not any(says(text, heading) for heading in known)
    ]
    assert not missing, "docs/errors.md has no heading for:\n" + "\n".join(missing)


def test_no_heading_is_left_over():
    whole = "\0".join(texts())
    stale = [heading for heading in headings() if not re.search("[^\0]*".join(map(re.escape, parts(heading))), whole)]
    assert not stale, "docs/errors.md has headings for texts that nobody raises: " + "; ".join(stale)


def test_every_heading_has_a_cause_or_a_fix():
    bodies = re.split(r"^#+ .+$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    titles = re.findall(r"^(#+) (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    bare = [
        title for (level, title), body in zip(titles, bodies[1:], strict=True) if level == "###" and not body.strip()
    ]
    assert not bare
