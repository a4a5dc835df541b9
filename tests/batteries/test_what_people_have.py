"""What is passed may be what people have: modules as layers, names in any spelling, methods that do not fit."""

from __future__ import annotations

import copy
import logging

import pytest
import torch
from torch import nn

import sightline
from sightline.errors import LayerError, MethodError
from sightline.explainers import METHODS
from tests.tiny import build
from tests.tiny import picture as batch


def picture():
    return batch(1)


def same(one: sightline.Explanations, other: sightline.Explanations) -> bool:
    pairs = zip(one, other, strict=True)
    return all(
        a.flow.layers == b.flow.layers
        and all(torch.equal(m.values, n.values) for m, n in zip(a.flow.maps, b.flow.maps, strict=True))
        for a, b in pairs
    )


# --- modules as layers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", ["plain", "DataParallel", "compiled"])
@pytest.mark.parametrize("pick", [lambda net: [net.layers[1]], lambda net: net.layers[1], lambda net: ["layers.1"]])
def test_a_module_is_the_layer_of_its_path(wrapped, pick):
    net = build("residual")
    model = {"plain": net, "DataParallel": nn.DataParallel(net), "compiled": torch.compile(net)}[wrapped]
    by_name = sightline.explain(net, picture(), method="gradcam", layers="layers.1")
    assert same(sightline.explain(model, picture(), method="gradcam", layers=pick(net)), by_name)


def test_modules_and_names_stand_beside_each_other_in_forward_order():
    net = build("residual")
    flow = sightline.explain(net, picture(), method="gradcam", layers=[net.layers[2], "stem", net.layers[0]])[0].flow
    assert flow.layers == ("stem", "layers.0", "layers.2")


def test_a_list_of_modules_stands_for_its_members():
    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.steps = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
            self.ends = nn.ModuleDict({"a": nn.Conv2d(3, 4, 1)})

        def forward(self, x):
            for step in self.steps:
                x = step(x).relu()
            return self.ends["a"](x).mean((2, 3))

    net = Stack()
    flow = sightline.explain(net, picture(), method="gradcam", layers=[net.steps, net.ends])[0].flow
    assert flow.layers == ("steps.0", "steps.1", "steps.2", "ends.a")


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        (lambda net: [copy.deepcopy(net).layers[0]], "not part of this Residual (a copy"),
        (lambda net: [nn.Conv2d(1, 1, 1)], "its own modules of that kind: .*'"),
        (lambda net: [net], "is the model"),
        (lambda net: net, "is the model"),
        (lambda net: [3], "not int; pass model.layer4"),
        (lambda net: 3, "names or modules of the model, not int"),
        (lambda net: [net.layers[0].conv1.weight], "not Parameter"),
    ],
    ids=["of a copy", "a stranger", "the model", "the model alone", "a number", "no list", "a weight"],
)
def test_what_is_no_layer_of_the_model_is_refused_in_a_sentence(layers, says):
    net = build("residual")
    with pytest.raises(LayerError, match=says.replace("(", r"\(")):
        sightline.explain(net, picture(), layers=layers(net))


# --- names of methods ---------------------------------------------------------------------------------------


def spellings():
    for name, method in METHODS.items():
        words = method.title.replace("-", " ").split()
        for form in (
            name.upper(),
            method.title,
            method.title.lower(),
            "_".join(words),
            "-".join(words),
            "".join(words),
        ):
            yield pytest.param(form, name, id=f"{name}<-{form}")


@pytest.mark.parametrize(("form", "name"), spellings())
def test_a_method_answers_to_any_spelling(form, name):
    assert METHODS.name_of(form) == name
    assert METHODS[form] is METHODS[name]


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("GradCAM", "gradcam"),
        ("grad_cam", "gradcam"),
        ("GradCAMPlusPlus", "gradcam++"),
        ("GradCAMpp", "gradcam++"),
        ("XGradCAM", "xgradcam"),
        ("IntegratedGradients", "integrated_gradients"),
        ("GuidedBackprop", "guided_backprop"),
        ("score-cam", "scorecam"),
    ],
)
def test_names_of_other_packages_are_understood(form, name):
    assert METHODS.name_of(form) == name


def test_every_spelling_is_of_one_method():
    from sightline.registry import spelling

    names = [{spelling(name), spelling(method.title)} for name, method in METHODS.items()]
    assert sum(map(len, names)) == len(set().union(*names))


def test_two_spellings_of_one_method_are_one_answer_with_its_options():
    found = sightline.explain(
        build("residual"), picture(), method=["Score-CAM", "scorecam"], options={"ScoreCAM": {"groups": 2}}
    )
    assert [one.method for one in found] == ["scorecam"]
    assert found[0].provenance["options"] == {"scorecam": {"groups": 2}}


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("Relevance", "called 'lrp' now"),
        ("gradcamm", "near names: 'gradcam'"),
        ([], "no method was asked for"),
        ("", "there is no method ''"),
        ("++", "there is no method"),
        ([sightline], "not by module"),
        (3, "not by int"),
    ],
    ids=repr,
)
def test_what_is_no_method_is_refused_in_a_sentence(method, says):
    with pytest.raises(MethodError, match=says):
        sightline.explain(build("residual"), picture(), method=method)


# --- methods that do not fit --------------------------------------------------------------------------------


def test_a_method_that_does_not_fit_is_left_out_and_the_others_go_on(caplog):
    net = build("residual")
    with caplog.at_level(logging.WARNING):
        found = sightline.explain(net, picture(), method=["gradcam", "rollout", "lrp"])
    assert [one.method for one in found] == ["gradcam", "lrp"]
    assert all("attention" in one.provenance["left_out"]["rollout"] for one in found)
    assert [record.message for record in caplog.records if "rollout was left out" in record.message]
    assert same(found, sightline.explain(net, picture(), method=["gradcam", "lrp"]))


def test_a_method_is_left_out_of_every_chunk_alike():
    found = sightline.explain(
        build("residual"), picture().repeat(5, 1, 1, 1), method=["rollout", "gradcam"], batch_size=2
    )
    assert [one.method for one in found] == ["gradcam"] * 5
    assert all("rollout" in one.provenance["left_out"] for one in found)


def test_a_shared_pass_that_fails_is_asked_method_by_method():
    class Cut(nn.Module):
        """No gradient reaches its convolution."""

        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

        def forward(self, x):
            return self.fc(self.conv(x).relu().mean((2, 3)).detach())

    found = sightline.explain(Cut(), picture(), method=["gradcam", "eigencam", "scorecam"])
    assert [one.method for one in found] == ["eigencam", "scorecam"]
    assert "gradcam" in found[0].provenance["left_out"]


def test_where_none_fits_each_says_why():
    with pytest.raises(LayerError, match="attention"):
        sightline.explain(build("residual"), picture(), method=["rollout", "gradrollout"])


def test_a_method_alone_that_does_not_fit_is_an_error():
    with pytest.raises(LayerError, match="attention"):
        sightline.explain(build("residual"), picture(), method="rollout")


def test_what_is_wrong_with_all_methods_is_an_error():
    with pytest.raises(LayerError, match="no layer 'nowhere'"):
        sightline.explain(build("residual"), picture(), method=["gradcam", "lrp"], layers="nowhere")
    with pytest.raises(sightline.SightlineError, match="class index 99"):
        sightline.explain(build("residual"), picture(), method=["gradcam", "lrp"], target=99)


# --- the user's own default ---------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("SIGHTLINE_METHOD", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "sightline").mkdir()
    return tmp_path / "sightline" / "config.toml"


def default():
    return sightline.explain(build("residual"), picture())[0]


def test_the_default_is_the_lrp_flow_where_nothing_is_set(home):
    assert default().method == "lrp"
    assert "LRP flow" in default().provenance["why"]


def test_a_variable_sets_the_default_and_the_result_says_so(home, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_METHOD", "Layer-CAM")
    assert default().method == "layercam"
    assert "the variable SIGHTLINE_METHOD sets it" in default().provenance["why"]


def test_a_line_in_the_users_file_sets_it_and_the_variable_goes_before(home, monkeypatch):
    home.write_text('method = "GradCAM, xgradcam"\n')
    assert [one.method for one in sightline.explain(build("residual"), picture())] == ["gradcam", "xgradcam"]
    assert "config.toml' sets it" in default().provenance["why"]
    monkeypatch.setenv("SIGHTLINE_METHOD", "eigencam")
    assert default().method == "eigencam"


def test_a_method_that_is_named_in_the_call_goes_before_both(home, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_METHOD", "eigencam")
    found = sightline.explain(build("residual"), picture(), method="gradcam")[0]
    assert found.method == "gradcam"
    assert "why" not in found.provenance


def test_a_file_that_changed_is_read_anew(home):
    home.write_text('method = "gradcam"\n')
    assert default().method == "gradcam"
    home.write_text('method = "hirescam"\n')
    import os

    os.utime(home, ns=(1, 1))
    assert default().method == "hirescam"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('method = "gradcamm"', "near names: 'gradcam'.*config.toml"),
        ("method = 3", "write it in quotes"),
        ('metod = "gradcam"', "near names: 'method'"),
        ("method gradcam", "not in TOML"),
    ],
)
def test_a_setting_that_cannot_be_followed_says_where_it_is(home, text, says):
    home.write_text(text)
    with pytest.raises(sightline.SightlineError, match=says):
        default()
