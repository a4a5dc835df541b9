"""Tables hold the numbers of every layer and of every cell."""

from __future__ import annotations

import math

import pytest
import torch

from sightline.errors import ResultError
from sightline.results import AttentionMap, Decision, Domain, Explanation, Explanations, Flow
from sightline.results.concentration import half_share
from sightline.results.tables import columns_of, frame_of

GRID = torch.tensor([[4.0, -1.0, 0.0], [3.0, 2.0, 1.0]])


def explanations() -> Explanations:
    flow = Flow((AttentionMap(GRID, "conv", signed=True), AttentionMap(torch.zeros(1, 2), "last")), "gradcam")
    words = Flow((AttentionMap(torch.tensor([2.0, float("inf")]), "text", Domain("words", ("a", "bird"))),), "lrp")
    return Explanations(
        (Explanation(flow, Decision("cat", 2.5, 7, 0.25), source="a.jpg"), Explanation(words, Decision("dog", 1.0)))
    )


def test_there_is_a_row_for_each_layer_and_method() -> None:
    table = columns_of(explanations())
    assert table["method"] == ["gradcam", "gradcam", "lrp"]
    assert table["layer"] == ["conv", "last", "text"]
    assert table["place"] == [0, 1, 0]
    assert table["grid"] == ["2x3", "1x2", "2"]
    assert table["status"] == ["ok", "zero", "nan"]
    assert (table["source"][0], table["label"][0], table["class_index"][0], table["probability"][0]) == (
        "a.jpg",
        "cat",
        7,
        0.25,
    )
    assert (table["min"][0], table["max"][0], table["sum"][0]) == (-1.0, 4.0, 9.0)
    assert table["half_cells"][0] == half_share(GRID)
    assert len({len(column) for column in table.values()}) == 1


def test_there_is_a_row_for_each_cell() -> None:
    table = columns_of(explanations(), cells=True)
    rows = list(zip(table["layer"], table["h"], table["w"], table["n"], table["name"], table["value"], strict=True))
    assert rows[:6] == [("conv", y, x, None, None, float(GRID[y, x])) for y in range(2) for x in range(3)]
    assert rows[8] == ("text", None, None, 0, "a", 2.0)
    assert math.isnan(rows[9][-1])
    assert list(table)[-1] == "value"


def test_layers_narrow_the_table() -> None:
    assert columns_of(explanations(), layers="last")["layer"] == ["last", "text"]


@pytest.mark.parametrize(("library", "rows"), [("pandas", "shape"), ("polars", "shape")])
def test_pandas_and_polars_take_the_table(library: str, rows: str) -> None:
    pytest.importorskip(library)
    items = explanations()
    frame = getattr(items, f"to_{library}")()
    assert getattr(frame, rows) == (3, 17)
    assert list(frame["layer"]) == ["conv", "last", "text"]
    assert len(getattr(items[0].flow[0], f"to_{library}")(cells=True)) == 6


def test_a_library_that_is_not_installed_is_named() -> None:
    with pytest.raises(ResultError, match=r"to_nolibrary\(\) needs the package 'nolibrary'. Try: pip install"):
        frame_of(explanations(), "nolibrary")


@pytest.mark.parametrize("seed", range(4))
def test_half_of_the_evidence_lies_in_the_fewest_cells(seed: int) -> None:
    """Naive oracle: strongest cells are added up one by one, in hundredths."""
    values = torch.randn(5, 6, generator=torch.Generator().manual_seed(seed))
    cells = sorted((max(0.0, value) for value in values.flatten().tolist()), reverse=True)
    half, held, count = sum(cells) / 2, 0.0, 0.0
    for cell in cells:
        if held + cell >= half:
            count += (half - held) / cell
            break
        held, count = held + cell, count + 1.0
    assert half_share(values) == pytest.approx(count / len(cells))


def test_half_of_the_evidence_of_odd_maps() -> None:
    assert half_share(torch.full((3, 3), 2.0)) == pytest.approx(0.5)
    assert half_share(torch.tensor([[-1.0, 0.0]])) == pytest.approx(0.25)
    assert half_share(torch.tensor([[5.0, float("nan")]])) == pytest.approx(0.25)
    assert math.isnan(half_share(torch.zeros(2, 2)))
