"""`--set name=value`: a decision with a corrected attribute equals the network's own, or a sentence says why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import sightline
from sightline.api.intervention import intervened
from sightline.cli.app import app
from sightline.errors import ResultError, TargetError
from sightline.reports.page import page
from sightline.tasks.attributes.explain.intervention import plain, with_changes
from sightline.tasks.attributes.network.net import AttributeNet
from sightline.tasks.attributes.network.store import save_attribute_net
from tests.tasks.attributes.test_net import WORDS, net, pictures


@pytest.fixture(scope="module")
def bottleneck() -> AttributeNet:
    model = net(join="bottleneck", classes=("ant", "bee", "cow"))
    with torch.no_grad():
        model.class_head.of_attributes.weight.copy_(torch.randn(3, 5, generator=torch.Generator().manual_seed(2)) * 3)
    return model


def asked(model: AttributeNet, x: torch.Tensor, attributes: dict[int, float]) -> torch.Tensor:
    """The network itself, its attributes overwritten on their way into the class head."""
    out = []

    def overwrite(module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        a = arguments[1].clone()
        for at, value in attributes.items():
            a[:, at] = value
        return arguments[0], a

    hook = model.class_head.register_forward_pre_hook(overwrite)
    with torch.no_grad():
        out.append(model(x).softmax(1)[0])
    hook.remove()
    return out[0]


@pytest.mark.parametrize(
    ("changes", "attributes"),
    [
        (["crown=red"], {0: 1.0, 1: 0.0, 2: 0.0}),
        (["crown=Black", "striped=no"], {0: 0.0, 1: 0.0, 2: 1.0, 3: 0.0}),
        (["aquatic = yes"], {4: 1.0}),
    ],
)
def test_the_sentence_is_what_the_network_says_with_these_attributes(
    bottleneck: AttributeNet, changes: list[str], attributes: dict[int, float]
) -> None:
    x = pictures(1)
    before, after = (asked(bottleneck, x, own) for own in ({}, attributes))
    sentence = intervened(bottleneck, x, changes)
    top, former = int(after.argmax()), int(before.argmax())
    name = bottleneck.labels[top]
    ending = (
        f"stays {name}, {float(after[top]):.2f} instead of {float(before[top]):.2f}."
        if top == former
        else f"becomes {name} {float(after[top]):.2f}, from {bottleneck.labels[former]} {float(before[former]):.2f}."
    )
    assert sentence == f"With {', '.join(changes)} the decision {ending}"


def test_some_change_turns_the_decision(bottleneck: AttributeNet) -> None:
    changes = [["crown=red"], ["crown=blue"], ["crown=black"], ["striped=yes"], ["striped=no"]]
    assert any("becomes" in intervened(bottleneck, pictures(1), change) for change in changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["crown"], "write NAME=VALUE"),
        (["crwn=red"], "there is no attribute 'crwn'; near names: 'crown'"),
        (["crown=pink"], "'crown' has no value 'pink'"),
        (["crown=red", "crown=blue"], "is set twice"),
    ],
)
def test_what_is_not_understood_is_refused(change: list[str], message: str) -> None:
    with pytest.raises(TargetError, match=message):
        with_changes(torch.rand(5), WORDS, change)


@pytest.mark.parametrize("join", ["parallel", "fusion"])
def test_a_decision_that_does_not_go_through_attributes_alone_is_not_given_another(join: str) -> None:
    with pytest.raises(TargetError, match=f"join is '{join}'.*train with --join bottleneck"):
        intervened(net(join=join), pictures(1), ["crown=red"])
    with pytest.raises(TargetError, match="Linear reads no attributes"):
        intervened(torch.nn.Linear(2, 2), pictures(1), ["crown=red"])


def test_names_are_those_that_people_write() -> None:
    assert plain("has_bill_colour") == plain("Bill color")
    assert plain("has_wing_color::grey") == plain("wing color gray")


def test_the_command_line_says_it_of_each_photo(bottleneck: AttributeNet, tmp_path: Path) -> None:
    import sightline

    save_attribute_net(bottleneck, tmp_path / "net.safetensors")
    scene = Path(sightline.__file__).parent / "assets" / "scene.png"
    arguments = [
        "explain",
        scene,
        "--weights",
        tmp_path / "net.safetensors",
        "--method",
        "gradcam",
        "--format",
        "arrays",
    ]
    done = CliRunner().invoke(
        app, [*map(str, arguments), "--set", "crown=red", "--out", str(tmp_path / "o"), "--json"]
    )
    assert done.exit_code == 0, done.output
    item = json.loads(done.stdout)["photos"][0]["explanations"][0]
    assert item["sentences"][-1].startswith("With crown=red the decision ")


def test_what_a_page_carries_gives_the_networks_own_decisions(bottleneck: AttributeNet) -> None:
    x = pictures(1)
    own = sightline.explain(bottleneck, x)[0].corrections
    assert own is not None
    assert [one.name for one in own.questions] == ["crown", "striped", "aquatic"]
    shares, weights = (
        torch.tensor([row for one in own.questions for row in getattr(one, name)]) for name in ("shares", "weights")
    )
    for attributes in ({}, {0: 1.0, 1: 0.0, 2: 0.0}, {3: 0.0, 4: 1.0}):
        a = shares.clone()
        for at, value in attributes.items():
            a[at] = value
        scores = torch.tensor(own.scores) + (a - shares) @ weights
        assert torch.allclose(scores.softmax(0), asked(bottleneck, x, attributes), atol=1e-3)


@pytest.mark.parametrize("join", ["parallel", "fusion"])
def test_a_page_corrects_nothing_where_attributes_do_not_decide_alone(join: str) -> None:
    assert sightline.explain(net(join=join), pictures(1))[0].corrections is None


def test_corrections_are_saved_and_older_results_have_none(bottleneck: AttributeNet, tmp_path: Path) -> None:
    first = sightline.explain(bottleneck, pictures(1))[0]
    manifest = first.save(tmp_path / "new")
    again = sightline.load(tmp_path / "new")[0]
    assert again.corrections == first.corrections
    content = json.loads(manifest.read_text())
    del content["explanations"][0]["corrections"]
    manifest.write_text(json.dumps({**content, "schema": 5}))
    assert sightline.load(tmp_path / "new")[0].corrections is None
    manifest.write_text(json.dumps(content))
    with pytest.raises(ResultError, match="damaged"):
        sightline.load(tmp_path / "new")


def test_the_page_works_the_corrected_decision_out(bottleneck: AttributeNet, tmp_path: Path, browser: Any) -> None:
    x, file = pictures(1), tmp_path / "page.html"
    file.write_text(page(sightline.explain(bottleneck, x)))
    expected = asked(bottleneck, x, {0: 0.0, 1: 0.0, 2: 1.0, 3: 0.0})
    top = int(expected.argmax())
    view = browser.new_page()
    view.goto(file.as_uri())
    lists = view.locator("#correct select")
    lists.nth(0).select_option(label="black")
    lists.nth(1).select_option(label="no")
    assert f"{bottleneck.labels[top]}: {100 * expected[top]:.0f} %" in view.locator(".corrected").inner_text()
    view.locator("#correct button").click()
    assert "as the network read the picture" in view.locator(".corrected").inner_text()
    view.close()
