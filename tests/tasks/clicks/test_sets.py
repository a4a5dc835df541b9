"""Fields with several categories in a cell: split, encoded, averaged by the network, explained as one field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sightline.tasks.clicks.data.encoder import EMPTY, NOTHING, UNSEEN, Encoder, Learner
from sightline.tasks.clicks.data.pieces import pieces
from sightline.tasks.clicks.data.prepare import encoder_of, encoder_record
from sightline.tasks.clicks.data.schema import Schema
from sightline.tasks.clicks.data.sets import SLOTS, tokens
from sightline.tasks.clicks.explain.run import explain_row
from sightline.tasks.clicks.network.network import ClickNet, ClickSpec
from sightline.tasks.clicks.recipe import ClickRecipe
from sightline.tasks.clicks.train.experiment import schema_of, train_clicks

CELLS = ["a|b", "", "c", " b |a|", "c|c|new"]


def learnt(path: Path, schema: Schema, rows: int = 10**9) -> Encoder:
    learner = Learner(Encoder(schema))
    for piece in pieces(path, schema):
        learner.see(piece, np.arange(len(piece)) < rows)
    return learner.learnt(1)


def log_of(path: Path, cells: list[str], name: str = "genres") -> Path:
    rows = [f"{number % 2},u{number},{cell}" for number, cell in enumerate(cells)]
    path.write_text("\n".join([f"click,user_id,{name}", *rows]) + "\n")
    return path


def test_cells_are_split_row_by_row() -> None:
    own = tokens(pa.array(CELLS), "|")
    words: list[list[str]] = [[] for _ in CELLS]
    for code, row in zip(own.codes, own.rows, strict=True):
        words[row].append(own.names[code])
    assert words == [["a", "b"], [], ["c"], ["b", "a"], ["c", "c", "new"]]
    assert own.slots.tolist() == [0, 1, 0, 0, 1, 0, 1, 2]
    assert tokens(pa.array(["x"] * 3).slice(1), "|").rows.tolist() == [0, 1]
    assert tokens(pa.array([["x", "y"], None, ["z"]]).slice(2), "").rows.tolist() == [0]
    assert len(tokens(pa.array(["t|" * (SLOTS + 5)]), "|").codes) == SLOTS


def test_tokens_become_rows_and_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    path = log_of(tmp_path / "log.csv", CELLS)
    schema = schema_of(path, ClickRecipe().data)
    assert [(own.name, own.kind, own.separator) for own in schema.fields][1] == ("genres", "set", "|")
    encoder = learnt(path, schema, rows=4)
    assert (encoder.slots, encoder.owners) == ({"genres": 3}, (1, 1))
    ids = encoder.ids(next(pieces(path, schema)))
    known = encoder.vocabularies["genres"]
    assert ids[:, 1].tolist() == [known["a"], EMPTY, known["c"], known["b"], known["c"]]
    assert ids[:, 2:].tolist() == [
        [known["b"], NOTHING],
        [NOTHING, NOTHING],
        [NOTHING, NOTHING],
        [known["a"], NOTHING],
        [known["c"], UNSEEN],
    ]
    assert encoder_of(encoder_record(encoder)) == encoder


@pytest.mark.parametrize("separator", ["|", "^", ";", " "])
def test_a_set_is_read_with_any_separator_where_it_is_named(separator: str, tmp_path: Path) -> None:
    path = log_of(tmp_path / "log.csv", [separator.join("abc"), "b", separator.join("ca")] * 5, name="tags")
    found = schema_of(path, ClickRecipe().data).fields[1]
    assert found.kind == ("set" if separator in "|^" else "category")
    named = schema_of(path, ClickRecipe().but(tokens=("tags",)).data)
    assert named.fields[1].separator == separator
    assert sorted(learnt(path, named).vocabularies["tags"]) == ["a", "b", "c"]
    plain = schema_of(path, ClickRecipe().but(category=("tags",)).data).fields[1]
    assert (plain.kind, plain.separator) == ("category", "")


def test_lists_of_parquet_are_sets_and_lists_of_decimals_are_left_out(tmp_path: Path) -> None:
    columns = {
        "click": [0, 1, 0],
        "tags": [[3, 1], [], [1]],
        "words": [["x"], ["y", "x"], None],
        "dense": [[0.5]] * 3,
    }
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table(columns), path)
    schema = schema_of(path, ClickRecipe().data)
    assert {own.name: own.kind for own in schema.fields} == {"tags": "set", "words": "set"}
    assert schema.left_out == {"dense": "a list of numbers in every row"}
    encoder = learnt(path, schema)
    ids, known = encoder.ids(next(pieces(path, schema))), encoder.vocabularies
    assert ids[:, 0].tolist() == [known["tags"]["3"], EMPTY, known["tags"]["1"]]
    assert ids[:, 2:].tolist() == [[known["tags"]["1"], NOTHING], [NOTHING, known["words"]["x"]], [NOTHING, NOTHING]]


@pytest.mark.parametrize("model", ["fwfm", "ffm", "lr", "sam3a"])
def test_a_set_s_embedding_is_the_mean_over_its_tokens(model: str) -> None:
    torch.manual_seed(0)
    net = ClickNet(ClickSpec(model=model, sizes=(5, 6, 4), width=3, owners=(1, 1))).double()
    if net.linear is not None:
        torch.nn.init.normal_(net.linear.weight)
    ids = torch.tensor([[0, 2, 1, 3, -1], [4, 5, 3, -1, -1], [1, 2, 0, 2, 5]])
    none = torch.zeros(3, 0, dtype=torch.double)
    starts = (0, 5, 11)
    tables = (net.embedding.weight, net.fields(ids, none)), (net.linear.weight, net.linear_terms(ids, none))
    for table, own in tables:
        for row, cells in enumerate(ids.tolist()):
            sets = ([cells[0]], [cells[1], *(token for token in cells[3:] if token >= 0)], [cells[2]])
            for place, rows in enumerate(sets):
                mean = torch.stack([table[starts[place] + token] for token in rows]).mean(0)
                assert own[row, place].detach().numpy() == pytest.approx(
                    mean.detach().numpy().reshape(own[row, place].shape), abs=1e-12
                )
    alone = replace(net.spec, owners=())
    plain = ClickNet(alone).double()
    plain.load_state_dict(net.state_dict())
    single = ids.clone()
    single[:, 3:] = -1
    assert torch.allclose(net(single, none), plain(ids[:, :3], none))


def test_a_log_with_genres_is_trained_predicted_and_explained(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    lines = ["click,user,genres"]
    for _ in range(900):
        genres = draw.choice(list("abcdef"), draw.integers(1, 4), replace=False)
        clicked = int(draw.random() < (0.9 if "a" in genres else 0.1))
        lines.append(f"{clicked},u{draw.integers(4)},{'|'.join(genres)}")
    path = tmp_path / "log.csv"
    path.write_text("\n".join(lines) + "\n")
    recipe = ClickRecipe().but(model="fm", epochs=6, width=4, batch_size=64, lr=0.03)
    own = train_clicks(path, tmp_path / "net.safetensors", recipe)
    assert own is not None
    assert own.auc > 0.75
    story, record = explain_row(path, tmp_path / "net.safetensors", 2, tmp_path / "row")
    assert set(record["main"]) == {"user", "genres"}
    assert abs(record["main"]["genres"]) > abs(record["main"]["user"])
    assert story.cells[1] == lines[2].split(",")[2]
