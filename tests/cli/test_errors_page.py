"""The page of errors and the texts in the code say the same."""

import ast
import re
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


def trees():
    for path in sorted(HOUSE.rglob("*.py")):
        yield path.relative_to(HOUSE).as_posix(), ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def headings():
    return re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def says(text, heading):
    """Whether the heading's fixed words stand in the text, in their order."""
    parts = [re.escape(part.strip()) for part in heading.split("…") if part.strip(" ()")]
    return re.search(".*".join(parts), text, re.DOTALL) is not None


def test_every_error_text_has_a_heading():
    known = headings()
    raised = [
        (file, node.lineno, words(node.exc.args[0]))
        for file, nodes in trees()
        for node in nodes
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in OURS
        and node.exc.args
    ]
    assert len(raised) > 100
    missing = [
        f"{file}:{line}: {text}"
        for file, line, text in raised
        if text is not None and text.strip("… ") and not any(says(text, heading) for heading in known)
    ]
    assert not missing, "docs/errors.md has no heading for:\n" + "\n".join(missing)


def test_no_heading_is_left_over():
    texts = [text for _, nodes in trees() for node in nodes if (text := words(node)) is not None]
    texts.append(FROM_REGISTRY)
    stale = [heading for heading in headings() if not any(says(text, heading) for text in texts)]
    assert not stale, "docs/errors.md has headings for texts that nobody raises: " + "; ".join(stale)


def test_every_heading_has_a_cause_or_a_fix():
    parts = re.split(r"^#+ .+$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    titles = re.findall(r"^(#+) (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    bare = [
        title for (level, title), body in zip(titles, parts[1:], strict=True) if level == "###" and not body.strip()
    ]
    assert not bare
