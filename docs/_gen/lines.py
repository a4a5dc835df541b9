"""Lines of code of the packages of `sightline`, counted: `python docs/_gen/lines.py [SRC]`."""

from __future__ import annotations

import ast
import sys
import tokenize
from collections import Counter
from pathlib import Path

BLANK = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
SCOPES = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_lines(path: Path) -> int:
    """Lines that hold code: no comment, no blank, no docstring."""
    with tokenize.open(path) as file:
        tokens = [token for token in tokenize.generate_tokens(file.readline) if token.type not in BLANK]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, SCOPES) and ast.get_docstring(node, clean=False) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def main() -> None:
    """Print the number of files and of lines of code, and how many lines each package has."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "src"
    packages: Counter[str] = Counter()
    files = sorted((root / "sightline").rglob("*.py"))
    for path in files:
        packages[path.relative_to(root / "sightline").parts[0]] += code_lines(path)
    print(f"{len(files)} files, {packages.total()} lines of code")
    print(", ".join(f"{name} {count}" for name, count in packages.most_common(20)))


if __name__ == "__main__":
    main()
