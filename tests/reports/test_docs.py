import re
from pathlib import Path

import pytest

from sightline.results import MEANING

PAGE = Path(__file__).parents[2] / "docs" / "reports.md"


def test_the_examples_of_the_how_to_run(tmp_path, monkeypatch):
    pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed (extra 'video')")
    monkeypatch.chdir(tmp_path)
    scope = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(code, scope)
    written = [*(f"goldfish.{e}" for e in ("gif", "html", "mp4", "pdf", "png")), "goldfish_moves.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == written
    assert scope["change"].shape == (12, 16)
    assert scope["picture"].shape == (96, 128, 3)


def test_every_status_is_explained_in_the_how_to():
    text = PAGE.read_text(encoding="utf-8")
    for status, meaning in MEANING.items():
        assert f"| `{status}` | {meaning}" in text
