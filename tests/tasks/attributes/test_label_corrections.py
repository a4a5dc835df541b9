"""Attributes corrected in the page of a network that finds several labels: which of them cross their thresholds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import sightline
from sightline.errors import ResultError
from sightline.reports.page import page
from tests.tasks.attributes.test_eat_labels import known
from tests.tasks.attributes.test_net import pictures


def test_the_page_works_out_which_labels_cross_their_thresholds(tmp_path: Path, browser: Any) -> None:
    model = known("bottleneck", 0.3, 0.5, 0.9)
    with torch.no_grad():
        model.class_head.of_attributes.weight.zero_()
        model.class_head.of_attributes.bias.copy_(torch.tensor([-3.0, -3.0, 3.0]))
        model.class_head.of_attributes.weight[0, 4] = 9.0
        model.class_head.of_attributes.weight[2, 4] = -1.5
        model.attribute_head.what.weight[4].zero_()
        model.attribute_head.what.bias[4] = -20.0
    x, file = pictures(1), tmp_path / "page.html"
    explained = sightline.explain(model, x)
    own = explained[0].corrections
    assert own is not None
    assert own.thresholds == (0.3, 0.5, 0.9)
    assert torch.tensor(own.scores).sigmoid().tolist() == pytest.approx([0.047, 0.047, 0.953], abs=1e-3)
    file.write_text(page(explained))
    view = browser.new_page()
    view.goto(file.as_uri())
    sentence = view.locator(".corrected")
    assert sentence.inner_text() == "cow, 95 %: as the network read the picture."
    view.locator("#correct select").last.select_option(label="yes")
    found = "ant is found (100 % instead of 4.7 %, found from 30 %)"
    assert sentence.inner_text() == f"{found}; cow is found no more (82 % instead of 95 %, found from 90 %)."
    assert view.locator(".class-bars .top .name").all_inner_texts() == ["ant"]
    view.locator("#correct select").last.select_option(label="no")
    assert "No label crosses its threshold" in sentence.inner_text()


def test_results_from_before_labels_could_be_corrected_are_read(tmp_path: Path) -> None:
    manifest = sightline.explain(known("bottleneck", 0.5, 0.5, 0.5), pictures(1))[0].save(tmp_path / "new")
    content = json.loads(manifest.read_text())
    del content["explanations"][0]["corrections"]["thresholds"]
    manifest.write_text(json.dumps({**content, "schema": 7}))
    own = sightline.load(tmp_path / "new")[0].corrections
    assert own is not None
    assert own.thresholds is None
    manifest.write_text(json.dumps(content))
    with pytest.raises(ResultError, match="damaged"):
        sightline.load(tmp_path / "new")
