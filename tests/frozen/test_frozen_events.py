"""Networks of events that an earlier version trained give the maps and answers that they gave then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sightline.tasks.audiovisual.network.store import load_net

FILES = Path(__file__).parent / "files" / "events"


@torch.no_grad()
def read(path: Path) -> dict[str, Any]:
    """What a weights file says of a fixed input."""
    net = load_net(path)
    ramp = torch.linspace(0, 1, 6 * 3 * 24 * 24).reshape(1, 6, 3, 24, 24)
    sound = torch.linspace(-4, 2, 6 * 20 * 64).reshape(1, 6, 20, 64).sin()
    attended = net.attend(ramp, sound)
    return {
        "classes": list(net.spec.classes),
        "form": net.spec.form,
        "logits": attended.logits[0].tolist(),
        "when": attended.when(2)[0].tolist(),
        "where": attended.where(2)[0].flatten()[::37].tolist(),
    }


@pytest.mark.parametrize("name", ["joint", "avel", "patch"])
def test_a_network_of_events_of_former_days_says_what_it_said(name: str) -> None:
    expected, now = json.loads((FILES / "expected.json").read_text())[name], read(FILES / f"{name}.safetensors")
    assert now.keys() == expected.keys()
    for key, value in expected.items():
        assert now[key] == (value if key in ("classes", "form") else pytest.approx(value, rel=1e-3, abs=1e-5)), key
