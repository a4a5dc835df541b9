"""One name for one option in every verb: what a shared name means, and which names a thing may have."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.renamed import NAMES, WORKING
from tests.terminal.test_help import VERBS, options

MEANINGS = {
    "--attribute-width": ("channels that attributes are read off", r"[Cc]hannels"),
    "--augment": ("changes of training pictures", r"none"),
    "--available": ("whether an alternative could be chosen", r"could be chosen"),
    "--batch-size": ("what goes through the network together", r"together|Most rows in one forward"),
    "--blocks": ("blocks of a network that is trained here", r"blocks"),
    "--budget": ("most work", r"^Most"),
    "--case": ("column of the choice", r"^Column that is the same for all rows of one choice"),
    "--config": ("TOML file of options", r"^TOML file"),
    "--count": ("how many photos, scenes or clips", r"^(Photos, drawn|Number of (scenes|clips)|Most (valid|pic))"),
    "--cue": ("what decides the class of a drawn scene", r"foreground"),
    "--data": ("the data set", r"Folder|Photos with attributes|^Log"),
    "--device": ("where it is computed", r"auto, cpu, cuda"),
    "--dropout": ("share of numbers that training drops", r"^Share .*(training drops|dropped in training)"),
    "--epochs": ("passes of training", r"^Passes"),
    "--features": ("features that were made before", r"[Ff]eatures"),
    "--format": ("kinds of files that are written", r"png"),
    "--frames": ("frames of a clip", r"Frames of a clip|Pictures of a scene"),
    "--gate": ("a gate's name", r"gates list"),
    "--group-by": ("column of groups that stay together", r"^Column .*group"),
    "--heads": ("attention heads", r"^Attention heads"),
    "--held-out": ("drawn scenes to measure on", r"^Number of scenes"),
    "--images": ("folder of photos", r"^Folder of the photos"),
    "--init": ("how random weights are drawn", r"drawn|Start of the weights"),
    "--json": ("result on standard output", r"JSON"),
    "--label-smoothing": ("label smoothing", r"^Label smoothing"),
    "--lambda": ("weight of the attribute loss", r"attribute loss"),
    "--layers": ("layers whose maps are made", r"(?i)layer"),
    "--lr": ("learning rate", r"earning rate"),
    "--method": ("explanation method", r"[Mm]ethod|are made|are found"),
    "--min-count": ("least number of occurrences", r"[Ll]e(ast|ss often)"),
    "--model": ("the network", r"resnet50|sightline models|^Interaction|any model"),
    "--model-arg": ("argument of the network's builder", r"NAME=VALUE .*builder"),
    "--monitor": ("figure that chooses the epoch", r"choose"),
    "--option": ("option of a method or searcher", r"NAME=VALUE"),
    "--out": ("where the result goes", r"older|Table|file|Weights|gets a folder"),
    "--pool": ("how places or fields are put together", r"together"),
    "--reduction": ("reduction of a gate's inner width", r"^Reduction"),
    "--scenes": ("drawn scenes to train or measure on", r"[Ss]cenes"),
    "--scheme": ("which blocks have a gate", r"[Ww]hich blocks"),
    "--black": ("value that is black", r"^Value that is black"),
    "--label-columns": ("columns that are labels of which a picture may have several", r"[Cc]olumns of"),
    "--seconds": ("length of a segment of sound", r"^Length of a segment of sound"),
    "--seed": ("seed", r"^Seed"),
    "--share": ("which blocks share a gate", r"^Which blocks share"),
    "--shown": ("how much a page shows", r"drawn|on the page"),
    "--size": ("sides of pictures in pixels", r"[Ss]ide|Input size"),
    "--target": ("class to explain", r"^A class"),
    "--test-share": ("share of the data to test on", r"^Share .*test"),
    "--validation-share": ("share of the data for validation", r"[Ss]hare .*(validation|thresholds)"),
    "--weight-decay": ("weight decay", r"^Weight decay"),
    "--weights": ("a network's weights", r"[Ww]eights|network|captioner"),
    "--white": ("value that is white", r"^Value that is white"),
    "--width": ("channels of tokens or embeddings", r"Channels|Numbers in"),
    "--workers": ("number of processes", r"[Pp]rocesses"),
}
"""Names that verbs share although their help differs: the one meaning, and what every help must say."""
NOUNS = {
    r"^(Most|Number of) (validation )?(photos|pictures|clips)": {"--count"},
    r"^(Photos|Pictures|Clips), drawn at random": {"--count"},
    r"^Number of .*\bscenes\b|^Training scenes": {"--count", "--scenes", "--held-out", "--random-scenes"},
    r"^(Short )?[Ss]ide of": {"--size"},
    r"`sightline models`|^Any classifier": {"--model"},
    r"^Share of (each class|the rows) .*validation": {"--validation-share"},
    r"^Share of (each class|the rows) .*test(ed)?\b": {"--test-share", "--validation-share"},
    r"(E|e)xplanation method|sightline methods": {"--method"},
    r"[Ww]eights (file|of a)|^Its weights": {"--weights", "--gated-weights", "--supernet"},
    r"^Label smoothing": {"--label-smoothing"},
    r"[Hh]ighest learning rate": {"--lr"},
    r"^Processes": {"--workers"},
    r"^Numbers in (an|the) embedding": {"--width"},
    r"^(Encoder|Interaction) (layers|blocks)": {"--blocks"},
    r"together in|^(Pictures|Rows) per step|Most rows": {"--batch-size"},
    r"standard output": {"--json"},
    r"sightline gates list": {"--gate"},
}
"""Words of a help, and the names that an option may have whose help says them."""


def helps() -> dict[str, dict[str, list[str]]]:
    """Verbs by option, by its help."""
    table: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for words, command in VERBS.items():
        for option in options(command):
            name = next(name for name in option.opts if name.startswith("--"))
            table[name][option.help or ""].append(" ".join(words))
    return table


HELPS = helps()


def test_a_shared_name_has_one_meaning():
    several = {name for name, texts in HELPS.items() if len(texts) > 1}
    assert several - set(MEANINGS) == set(), "write down what the name means in every verb, or choose another name"
    assert set(MEANINGS) - several == set(), "no verbs differ in these any more"
    wrong = [(name, text) for name in several for text in HELPS[name] if not re.search(MEANINGS[name][1], text)]
    assert not wrong, "the help says something else than the name means"


@pytest.mark.parametrize("noun", NOUNS)
def test_a_thing_has_one_name(noun):
    names = {name: texts for name, texts in HELPS.items() if any(re.search(noun, text) for text in texts)}
    assert set(names) <= NOUNS[noun], {name: list(names[name]) for name in set(names) - NOUNS[noun]}
    assert names, "no option says this any more"


def test_an_old_option_works_and_says_its_new_name():
    result = CliRunner().invoke(app, ["gates", "search", "--data", "nowhere", "--photos=0"])
    assert "the option --photos is called --count now" in result.output
    assert "--count" in result.output.rsplit("now", 1)[1], "its value is what is judged"


def test_old_options_that_work_have_one_new_name():
    assert all(len(NAMES[old]) == 1 for old in WORKING)
