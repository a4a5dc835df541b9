"""Captioners that an earlier version wrote give the words and regions that they gave then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sightline.tasks.captioning.explain.methods import Question, weights_of
from sightline.tasks.captioning.network.captioner import load_captioner
from sightline.tasks.captioning.network.decoding import Regions, greedy, word_logs

FILES = Path(__file__).parent / "files" / "captions"
NAMES = ("ng-san", "signed-sums", "batch-absolute")


def read(path: Path) -> dict[str, Any]:
    """What a weights file says of fixed regions."""
    net = load_captioner(path)
    features = torch.linspace(-2, 3, 4 * net.spec.features).reshape(1, 4, -1).sin()
    corner = torch.tensor([[[0.1, 0.1], [0.5, 0.2], [0.3, 0.6], [0.7, 0.7]]])
    regions = Regions(features, torch.cat([corner, corner + torch.tensor([[[0.2, 0.1]]])], -1))
    tokens = torch.tensor([[4, 6, 11, 5, 16, net.end]])
    question = Question(net, regions, tokens)
    with torch.no_grad():
        written, logs = greedy(net, regions), word_logs(net, regions, tokens)
    return {
        "words": list(net.spec.words),
        "regions": net.spec.regions,
        "written": written.tokens[0].tolist(),
        "logs": logs[0].tolist(),
        "left-out": weights_of(question, "left-out").flatten().tolist(),
        "rollout": weights_of(question, "rollout").flatten().tolist(),
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_captioner_of_former_days_says_what_it_said(name: str) -> None:
    expected, now = json.loads((FILES / "expected.json").read_text())[name], read(FILES / f"{name}.safetensors")
    assert now.keys() == expected.keys()
    for key, value in expected.items():
        exact = key in ("words", "regions", "written")
        assert now[key] == (value if exact else pytest.approx(value, rel=1e-3, abs=1e-5)), key
