"""Help and option names: the same in every verb, in panels, flags without a type."""

import re
from collections import Counter

import pytest
import typer
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.terminal.flatten import SHORT

MOST = 12
"""Options under one heading."""


def verbs(command, path=()):
    """Every verb that does something, by its words."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name in children:
        yield from verbs(children[name], (*path, name))


VERBS = dict(verbs(typer.main.get_command(app)))


def options(command):
    return [parameter for parameter in command.params if parameter.param_type_name == "option"]


@pytest.fixture(params=VERBS, ids=" ".join)
def verb(request):
    return VERBS[request.param]


def test_a_panel_has_at_most_a_dozen_options(verb):
    panels = Counter(getattr(option, "rich_help_panel", None) for option in options(verb))
    assert max(panels.values(), default=0) <= MOST


def test_a_short_name_means_the_same_everywhere(verb):
    for option in options(verb):
        for name in option.opts:
            if name in SHORT:
                assert SHORT[name] in option.opts, name
            elif len(name) == 2:
                assert set(option.opts) & set(SHORT), name


def test_every_verb_has_json(verb):
    assert any("--json" in option.opts for option in options(verb))


def test_out_has_a_default_everywhere(verb):
    for option in options(verb):
        if "--out" in option.opts:
            assert not option.required
            assert option.default is not None


@pytest.mark.parametrize("words", [(), ("world",), *VERBS], ids=" ".join)
def test_flags_show_no_type_and_values_a_plain_one(words):
    text = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"}, terminal_width=200).output
    assert "--help" in text
    assert "bool" not in text
    assert not re.search(r"<(str|int|float|list|float range|int range)", text)
