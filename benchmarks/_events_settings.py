"""What `events.py` varies: worlds, networks, weights of the match and lengths of the training."""

from __future__ import annotations

from typing import Any

HARDER = {
    "shapes": 3,
    "tones": 3,
    "noise": 0.12,
    "sound_noise": 0.05,
    "lag": 1,
    "frames": 8,
    "reach": 2,
    "epochs": 36,
}
"""It is learned three times as long: after 12 epochs the networks have only begun to learn."""
LARGE = {**HARDER, "side": 112, "patch": 16}
"""The harder world at 112 px, for a GPU (`--device cuda`); about as many patches as at 24 px."""
WORLDS: dict[str, dict[str, Any]] = {"drawn": {}, "harder": HARDER, "112 px": LARGE}
NETWORKS: dict[str, dict[str, Any]] = {
    "factorised": {"form": "factorised"},
    "AVEL": {"form": "avel"},
    "shared queries": {"queries": "shared"},
    "wide field": {"field": "wide"},
    "self-attention": {"mixing": "pre"},
    "no match of scores": {"match_weight": 0.0},
    "match weight 0.3": {"match_weight": 0.3},
    "24 epochs": {"epochs": 24},
    "modality dropout": {"modality_dropout": 0.1, "missing_steps": 0},
}
"""Networks of the same training as that of `drawn`, and what is different."""
COLUMNS = {"where": "strict", "pixel": "on its pixels", "mass": "mass", "when": "when"}
"""Figures of the tables of ways."""
JUDGED = 200
"""Scenes of deletion, insertion and randomisation."""
WEIGHTS = (0.1, 0.3, 1.0, 3.0)
"""Weights of the match that are chosen from."""
EPOCHS = (12, 24)
"""Lengths of the training that are chosen from."""
CHOOSING = 100
"""The first seed of the networks that settings are chosen by; none of them is judged otherwise."""
