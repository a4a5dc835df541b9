"""The evidence page's tables are made from a comparison's own record."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from sightline.compare import Sample, Settings, compare, with_controls
from sightline.models.load import LoadedModel
from sightline.models.preprocess import Preprocess
from tests.tiny import build

pytest.importorskip("pyarrow", reason="comparisons are written with pyarrow: pip install 'sightline[audit]'")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import evidence


def test_a_section_has_the_command_and_every_method_beside_the_nulls(tmp_path: Path) -> None:
    samples = []
    for i in range(3):
        Image.effect_noise((24, 24), 20 + i).convert("RGB").save(tmp_path / f"{i}.png")
        samples.append(Sample(tmp_path / f"{i}.png", boxes=((2.0, 2.0, 10.0, 10.0),)))
    loaded = LoadedModel(build("residual"), "tiny", None, Preprocess((16, 16)), {"model": "torchvision:tiny"})
    settings = Settings(
        with_controls(["gradcam"]), ("energy-in-mask", "deletion"), options={"deletion": {"steps": 3}}, seed=5
    )
    answer = compare(loaded, samples, settings, folder=tmp_path / "out")
    text = evidence.section(tmp_path / "out", "photos")
    joined = text.replace(" \\\n    ", " ")
    assert (
        "sightline evaluate photos --model tiny --method gradcam --metric energy-in-mask,deletion "
        "--steps 3 --count 3 --seed 5" in joined
    )
    best = next(s for s in answer.standings if (s.method, s.place, s.metric) == ("gradcam", "late", "energy-in-mask"))
    assert f"{best.interval.mean:.3f} ({best.interval.low:.3f} to {best.interval.high:.3f})" in text
    assert "| *uniform* | not scored | not scored | not scored |" in text
    assert text.count("| *random* |") == 2
    assert answer.verdict in text
