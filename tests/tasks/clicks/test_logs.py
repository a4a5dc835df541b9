"""Logs in the formats that people have: recognised by reading, and refused in a sentence that names the line."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sightline.errors import DataError
from sightline.tasks.clicks.data.encoder import Encoder, Learner
from sightline.tasks.clicks.data.layouts import changed
from sightline.tasks.clicks.data.made import avazu_hour
from sightline.tasks.clicks.data.numbers import floats, labels, log2, signed_log, winner
from sightline.tasks.clicks.data.pieces import pieces
from sightline.tasks.clicks.data.prepare import Dealing, chance, encoder_of, encoder_record, prepare
from sightline.tasks.clicks.data.schema import Schema
from sightline.tasks.clicks.data.sniff import recognise
from tests.tasks.clicks.logs import criteo_rows, small_log, write_tsv

PACKED = {
    "clicks/frappe/frappe.validation.libfm": (57_722, 19_063, 10),
    "clicks/frappe/frappe.test.first60.libfm": (17_316, 5_726, 10),
    "clicks/criteo/train.tiny.csv": (1_999, 418, 39),
    "clicks/open_bandit/bts_all/all.csv": (10_000, 42, 89),
    "ctr/deepctr/avazu_sample.txt": (100, 20, 24),
    "ctr/deepctr/criteo_sample.txt": (200, 49, 39),
    "ctr/deepctr/movielens_sample.txt": (200, 113, 8),
    "ctr/fuxictr/tiny_csv/train_sample.csv": (100, 4, 17),
    "ctr/fuxictr/tiny_parquet/train.parquet": (100, 4, 14),
}
"""Rows, clicks and fields of the files of the pack, counted by hand from the files' own lines."""


def totals(path: Path, schema: Schema) -> tuple[int, int]:
    parts = [labels(piece, schema) for piece in pieces(path, schema)]
    return sum(map(len, parts)), int(sum(part.sum() for part in parts))


@pytest.mark.parametrize("name", PACKED)
def test_every_row_of_real_files_is_read(name: str, pack: Path) -> None:
    rows, clicks, fields = PACKED[name]
    schema = changed(recognise(pack / name), pack / name)
    assert (*totals(pack / name, schema), len(schema.fields)) == (rows, clicks, fields)


def test_a_log_without_a_header_asks_for_its_label(pack: Path) -> None:
    path = pack / "ctr/deepctr/byterec_sample.txt"
    with pytest.raises(DataError, match=r"which column of .* says whether it was clicked"):
        changed(recognise(path), path)
    assert totals(path, changed(recognise(path), path, label="c6")) == (200, 76)


def test_criteo_s_tsv_keeps_empty_cells_and_negative_numbers(tmp_path: Path) -> None:
    rows = criteo_rows()
    path = write_tsv(tmp_path / "train.txt", rows)
    schema = recognise(path)
    assert (schema.layout, len(schema.numbers), len(schema.fields)) == ("Criteo", 13, 39)
    (piece,) = pieces(path, schema)
    assert [list(row) for row in zip(*(piece.columns[n].to_pylist() for n in schema.columns), strict=True)] == rows
    want = [float(row[1]) if row[1] else np.nan for row in rows]
    assert np.array_equal(floats(piece, "I1"), want, equal_nan=True)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_delimiter_and_line_end_is_read(delimiter: str, end: str, tmp_path: Path) -> None:
    path = small_log(tmp_path / "log.csv", rows=20, delimiter=delimiter, end=end)
    schema = recognise(path)
    assert (schema.delimiter, schema.label, schema.group, schema.time) == (delimiter, "click", "user_id", "timestamp")
    assert schema.numbers == ("price",)
    assert totals(path, schema)[0] == 20


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_compressed_files_are_known_by_their_first_bytes(kind: str, tmp_path: Path) -> None:
    plain = small_log(tmp_path / "log.csv", rows=20)
    packed = tmp_path / "log.data"
    with pa.output_stream(str(packed), compression=kind) as file:
        file.write(plain.read_bytes())
    assert totals(packed, recognise(packed)) == totals(plain, recognise(plain))


def test_a_cut_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(small_log(tmp_path / "log.csv", rows=3_000).read_bytes())[:2_000])
    with pytest.raises(DataError, match="damaged"):
        totals(path, recognise(path))


def test_blank_lines_are_left_out_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("click,a\n1,x\n\n0,y\n\n\n7,z\n")
    schema = recognise(path)
    with pytest.raises(DataError, match=r"line 7: the label click is '7', not 0 or 1"):
        totals(path, schema)


def test_a_wrong_number_of_columns_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("click,a,b\n1,x,y\n0,x\n")
    with pytest.raises(DataError, match="line 3: expected 3 columns, found 2"):
        totals(path, recognise(path))
    path = tmp_path / "log.libsvm"
    path.write_text("1 3:1 4:1\n-1 3:1\n")
    with pytest.raises(DataError, match="line 2: expected 2 entries after the label, found 1"):
        totals(path, recognise(path))


def test_a_word_among_numbers_names_its_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("click,a,price\n1,x,0.5\n0,x,\n0,x,cheap\n")
    schema = changed(recognise(path), path, number=("price",))
    (piece,) = pieces(path, schema)
    with pytest.raises(DataError, match=r"line 4: price is 'cheap', which is not a number"):
        floats(piece, "price")


def test_libffm_has_its_fields_by_number_and_numbers_by_value(tmp_path: Path) -> None:
    path = tmp_path / "log.ffm"
    path.write_text("1 0:7:0.5 1:12:1\n0 0:7:2 1:15:1\n")
    schema = recognise(path)
    assert (schema.layout, schema.numbers, schema.names) == ("libffm", ("field_0",), ("field_0", "field_1"))
    (piece,) = pieces(path, schema)
    assert piece.columns["field_1"].to_pylist() == ["12", "15"]
    assert floats(piece, "field_0").tolist() == [0.5, 2]


def test_movielens_is_joined_with_its_users_and_items(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::10::5::978300760\n2::11::3::978302109\n9::10::4::978301968\n")
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    (tmp_path / "movies.dat").write_bytes("10::Caf\xe9 (1995)::Comedy|Drama\n11::Ran (1985)::War\n".encode("latin-1"))
    path = tmp_path / "ratings.dat"
    schema = recognise(path)
    (piece,) = pieces(path, schema)
    assert schema.layout == "MovieLens"
    assert labels(piece, schema).tolist() == [1, 0, 1]
    assert piece.columns["gender"].to_pylist() == ["F", "M", ""]
    assert piece.columns["genres"].to_pylist() == ["Comedy|Drama", "War", "Comedy|Drama"]
    (tmp_path / "u.data").write_text("196\t242\t3\t881250949\n186\t302\t4\t891717742\n")
    assert totals(tmp_path / "u.data", recognise(tmp_path / "u.data")) == (2, 1)


def test_recbole_s_header_says_what_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "ml.inter"
    path.write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t7\t4\t881250949\n2\t8\t3\t881250950\n"
    )
    (tmp_path / "ml.item").write_text("item_id:token\tclass:token_seq\tyear:float\n7\tWar Drama\t1995\n")
    schema = recognise(path)
    assert (schema.names, schema.numbers) == (("user_id", "item_id", "class", "year"), ("year",))
    (piece,) = pieces(path, schema)
    assert piece.columns["class"].to_pylist() == ["War Drama", ""]
    assert labels(piece, schema).tolist() == [1, 0]


def test_avazu_s_hour_is_taken_apart() -> None:
    time = avazu_hour("14102123")
    assert (time.hour, time.weekday(), time.day) == (23, 1, 21)
    with pytest.raises(DataError, match="not YYMMDDHH"):
        avazu_hour("2014-10-21")


def test_lists_of_decimals_in_parquet_are_left_out(tmp_path: Path) -> None:
    columns = {"label": [1, 0], "a": ["x", None], "p": [0.5, 1.0], "seq": [[1.5], [2]]}
    pq.write_table(pa.table(columns), tmp_path / "l")
    schema = recognise(tmp_path / "l")
    assert (schema.names, schema.numbers) == (("a", "p"), ("p",))
    assert schema.left_out == {"seq": "a list of numbers in every row"}


def test_named_transforms_are_the_published_rules() -> None:
    x = np.array([-3.0, 0.0, 1.0, 2.0, 3.0, 100.0])
    assert winner(x).tolist() == [-3, 0, 1, 2, 1, 21]  # floor(ln(3)^2) = 1, floor(ln(100)^2) = 21
    assert log2(x).tolist() == [1, 1, 1, 1, 1, 6]
    assert signed_log(x) == pytest.approx([-np.log(4), 0, np.log(2), np.log(3), np.log(4), np.log(101)])


@pytest.fixture
def learnt(tmp_path: Path) -> tuple[Path, Encoder]:
    path = small_log(tmp_path / "log.csv")
    encoder = Encoder(recognise(path))
    learner = Learner(encoder)
    for piece in pieces(path, encoder.schema):
        learner.see(piece, np.ones(len(piece), bool))
    return path, learner.learnt(1)


def test_what_training_never_showed_and_what_is_empty_have_rows_of_their_own(
    learnt: tuple[Path, Encoder], tmp_path: Path
) -> None:
    encoder = learnt[1]
    path = tmp_path / "other.csv"
    path.write_text("click,user_id,a,b,price,timestamp\n1,u1,x,new,,5\n0,u1,,z,0.5,6\n")
    (piece,) = pieces(path, encoder.schema)
    ids, values = encoder.ids(piece), encoder.values(piece)
    names = [own.name for own in encoder.fields]
    assert ids[0, names.index("b")] == 0
    assert ids[1, names.index("a")] == 1
    assert encoder.name(names.index("a"), int(ids[0, names.index("a")])) == "x"
    assert ids[:, names.index("price")].tolist() == [0, 1]
    mean, std = encoder.scales["price"]
    assert values[:, 0] == pytest.approx([1.0, (np.log(1.5) - mean) / std])


def test_an_encoder_survives_its_record(learnt: tuple[Path, Encoder]) -> None:
    assert encoder_of(encoder_record(learnt[1])) == learnt[1]


def test_hashing_needs_no_vocabulary_and_is_the_same_everywhere(learnt: tuple[Path, Encoder]) -> None:
    path, encoder = learnt
    hashing = Encoder(encoder.schema, "none", 32)
    (piece,) = pieces(path, encoder.schema)
    ids = hashing.ids(piece)
    assert ids[:, 1].max() < 34
    code = "from sightline.tasks.clicks.data.encoder import hashed; print(hashed('a=x') % 32 + 2)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(other) == ids[piece.columns["a"].to_pylist().index("x"), 1]


def test_a_column_of_times_is_shown_to_be_no_input_and_can_be_made_one(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv"
    path.write_text("case,cost,time,choice\n" + "".join(f"{n // 2},{n}.5,{30 + n},{n % 2}\n" for n in range(40)))
    schema = changed(recognise(path), path, label="choice")
    assert ("time", "time (no input; --number time makes it one)") in schema.rows()
    own = changed(recognise(path), path, label="choice", number=("time",))
    assert ("time", "time") in own.rows()
    assert "time" in own.numbers


def test_rows_are_dealt_out_by_chance_by_time_and_by_order(tmp_path: Path) -> None:
    path = small_log(tmp_path / "log.csv")
    schema = recognise(path)
    shares = chance(np.arange(20_000, dtype=np.uint64), 3)
    assert abs(shares.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(shares[1:], shares[:-1])[0, 1]) < 0.03
    assert abs(np.corrcoef(shares, chance(np.arange(20_000, dtype=np.uint64), 4))[0, 1]) < 0.03
    for split in ("random", "time", "order"):
        own = prepare(
            path,
            Encoder(schema),
            Dealing(split=split),
            tmp_path / split,
            test=None,
            min_count=2,
            report=lambda n: None,
        )
        assert sum(own.rows.values()) == 300
        if split != "random":
            tables = {part: pq.read_table(own.path(part))["row"].to_pylist() for part in own.rows}
            assert max(tables["train"]) < min(tables["validation"]) <= max(tables["validation"]) < min(tables["test"])


def test_the_vocabulary_is_of_training_rows_only_and_leaves_out_rare_ones(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [f"{n % 2},{'often' if n % 3 else f'once{n}'}" for n in range(200)]
    path.write_text("\n".join(["click,a", *rows, "1,last"]) + "\n")
    own = prepare(
        path,
        Encoder(recognise(path)),
        Dealing(split="order"),
        tmp_path / "out",
        test=None,
        min_count=2,
        report=lambda n: None,
    )
    assert own.encoder.vocabularies["a"] == {"often": 2}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "has no line"),
        ("only one column\n1\n", "one column only"),
        ("\0\1\2\3binary", "neither text nor Parquet"),
    ],
)
def test_what_is_not_a_log_is_refused(content: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(content)
    with pytest.raises(DataError, match=sentence):
        recognise(path)


def test_a_column_that_is_not_there_is_answered_with_near_names(tmp_path: Path) -> None:
    path = small_log(tmp_path / "log.csv", rows=5)
    with pytest.raises(DataError, match=r"no column 'prize' for --number; near names: 'price'"):
        changed(recognise(path), path, number=("prize",))
    with pytest.raises(DataError, match="no column left to predict a click from"):
        changed(recognise(path), path, drop=("user_id", "a", "b", "price"))


def test_reading_a_long_log_holds_little_of_it(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_bytes(b"click,a,b\n" + b"1,aaaaaaaaaaa,bbbbbbbbbbb\n" * 3_000_000)
    before, schema = pa.total_allocated_bytes(), recognise(path)
    rows, most = 0, 0
    for piece in pieces(path, schema):
        rows, most = rows + len(piece), max(most, pa.total_allocated_bytes() - before)
    assert rows == 3_000_000
    assert most < 64 * 2**20, "of 75 MB of text, which take more as columns"


def test_a_quote_that_nothing_closes_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('click,a\n1,x\n0,"open\n' + "1,y\n" * 40)
    with pytest.raises(DataError, match=r"line 3: a goes over several lines; close the quote"):
        totals(path, recognise(path))


def test_labels_may_be_true_and_false_and_other_words_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("click,a\nTrue,x\nfalse,y\nTRUE,x\n")
    assert totals(path, recognise(path)) == (3, 2)
    path.write_text("click,a\nTrue,x\nyes,y\n")
    with pytest.raises(DataError, match=r"line 3: the label click is 'yes', not 0 or 1"):
        totals(path, recognise(path))
    pq.write_table(pa.table({"click": [True, False], "a": ["x", "y"]}), tmp_path / "log.parquet")
    assert totals(tmp_path / "log.parquet", recognise(tmp_path / "log.parquet")) == (2, 1)


def test_one_odd_cell_among_decimals_is_noted_and_na_is_none(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("click,cost\n" + "1,0.5\n" * 30 + "0,NA\n")
    assert recognise(path).numbers == ("cost",)
    path.write_text("click,cost\n" + "1,0.5\n" * 30 + "0,cheap\n")
    assert recognise(path).notes == (
        "cost is read as a category, since a cell is 'cheap'; --number cost names its line",
    )
    assert changed(recognise(path), path, category=("cost",)).notes == ()


def test_a_header_without_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("click,a\n")
    with pytest.raises(DataError, match="has no row below its header"):
        prepare(
            path, Encoder(recognise(path)), Dealing(), tmp_path / "w", test=None, min_count=1, report=lambda n: None
        )
