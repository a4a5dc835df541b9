"""The README's commands are those that `.ci/run` executes, and the ones that are shown exist."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
from readme_command import readme_command

from sightline.cli.app import app
from tests.docs.conftest import ROOT

MAIN = ".venv/bin/sightline explain docs/tutorials/photos/cat.jpg"
RUN = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "last"),
    [("explain", MAIN), ("test", ".venv/bin/pytest")],
)
def test_a_command_of_the_readme_sets_up_and_runs(name, last):
    setup, install, main = readme_command(name).split(" && ")
    assert setup == "python3 -m venv .venv"
    assert install.startswith(".venv/bin/pip install -c constraints.txt ")
    assert main == last
    assert all((ROOT / word).is_file() for word in main.split() if word.startswith("docs/"))


def test_the_main_command_installs_the_network_for_photos():
    assert "'.[imagenet]'" in readme_command("explain")


def test_the_check_runs_both_commands_of_the_readme_and_writes_neither_itself():
    assert re.findall(r"command=\$\(readme (\w+)\)", RUN) == ["test", "explain"]
    assert "pip install" not in RUN
    assert not re.search(r"/pytest\b(?!\.log)", RUN)


def test_the_check_is_a_valid_program():
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    assert "set -euo pipefail" in RUN
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)


def test_every_verb_and_option_that_the_pages_show_exists():
    import typer.main

    root = typer.main.get_command(app)
    unknown = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for line in _commands(page.read_text(encoding="utf-8")):
            problem = _unknown(root, shlex.split(line, comments=True)[1:])
            if problem:
                unknown.append(f"{page.name}: {line}: {problem}")
    assert not unknown


def test_every_block_of_the_pages_says_what_it_holds():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    untyped = []
    for page in pages:
        marks = re.findall(r"^[ >]*```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        untyped += [page.name for start in marks[::2] if not start.strip()]
    assert not untyped, "a block of commands without a type is not run; write bash, text or json behind the marks"


def test_the_page_of_the_command_line_lists_every_verb():
    import typer.main

    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    listed = {words[1] for line in text.split("```")[1].splitlines() if len(words := line.split()) > 1}
    assert listed == set(typer.main.get_command(app).commands)


def _commands(text: str) -> list[str]:
    """Lines of bash blocks that begin with `sightline`, with continued lines joined and pipes cut off."""
    found = []
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            match = re.match(r"\$? *(sightline .*?)(?: [|&>].*)?$", line)
            if match:
                found.append(match[1])
    return found


def _unknown(command, words: list[str]) -> str:
    while words and getattr(command, "commands", None):
        if words[0].startswith("-"):
            break
        if words[0] not in command.commands:
            return f"no verb {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    further = getattr(command, "further", {})  # of a verb that has verbs of its own: `explain clicks`
    if words and words[0] in further:
        command, words = further[words[0]], words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"--help", "-h"}
    return ", ".join(word for word in words if word.startswith("-") and word.partition("=")[0] not in known)
