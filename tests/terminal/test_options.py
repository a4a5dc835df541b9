"""What is typed becomes values, or one sentence."""

import pytest

from sightline.errors import InputError
from sightline.terminal.options import arguments_of, listed, method_options, numbers_of, selection, size_of


def test_lists_may_be_repeated_and_hold_commas():
    assert listed(["a, b", "c", "a"]) == ["a", "b", "c"]
    assert listed(None) == []
    with pytest.raises(InputError, match="near names: 'html'"):
        selection(["htm"], ("html", "png"), option="--format")


@pytest.mark.parametrize(
    ("text", "size"), [("224", (224, 224)), ("64x96", (64, 96)), ("64×96", (64, 96)), (None, None)]
)
def test_sizes(text, size):
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "0", "x", "1x2x3", "-5", "3.5"])
def test_sizes_that_are_none(text):
    with pytest.raises(InputError, match="height x width"):
        size_of(text)


def test_numbers_are_one_per_channel():
    assert numbers_of("0.5", 3, option="--mean") == (0.5, 0.5, 0.5)
    assert numbers_of("1,2,3", 3, option="--mean") == (1, 2, 3)
    with pytest.raises(InputError, match="--mean has 2 numbers"):
        numbers_of("1,2", 3, option="--mean")


def test_model_arguments_are_python_values_where_they_read_as_such():
    pairs = ["num_classes=10", "pad_type=same", "img_size=(64, 96)", "pretrained_cfg=none", "flag=true", "rate=0.1"]
    assert arguments_of(pairs) == {
        "num_classes": 10,
        "pad_type": "same",
        "img_size": (64, 96),
        "pretrained_cfg": None,
        "flag": True,
        "rate": 0.1,
    }
    with pytest.raises(InputError, match="NAME=VALUE"):
        arguments_of(["same"])


@pytest.mark.parametrize(
    ("given", "methods", "options"),
    [
        (None, ["gradcam"], {}),
        (["groups=4"], ["scorecam"], {"scorecam": {"groups": 4}}),
        (["scorecam.groups=4", "occlusion.window=8"], ["scorecam", "occlusion"],
         {"scorecam": {"groups": 4}, "occlusion": {"window": 8}}),
        (["gradcam++.x=a"], ["gradcam++"], {"gradcam++": {"x": "a"}}),
    ],
)  # fmt: skip
def test_options_of_methods_are_read(given, methods, options):
    assert method_options(given, methods) == options


@pytest.mark.parametrize("given", ["groups=4", "scorecam.groups", "eigencam.groups=4", "scorecam.=4"])
def test_options_of_methods_that_are_not_understood(given):
    with pytest.raises(InputError, match=r"METHOD\.NAME=VALUE with one of the methods asked for: gradcam, scorecam"):
        method_options([given], ["gradcam", "scorecam"])
