"""Results keep raw values, say what they are, and come back from disk as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sightline.errors import ResultError
from sightline.results import (
    AttentionMap,
    Decision,
    Domain,
    Explanation,
    Explanations,
    Flow,
    Phrase,
    Status,
    status_of,
)


def an_explanation() -> Explanation:
    values = torch.arange(6.0).reshape(2, 3)
    maps = (
        AttentionMap(values, "early", signed=True, notes={"grouping_error": 0.25}),
        AttentionMap(torch.zeros(2, 2), "late"),
        AttentionMap(torch.tensor([1.0, float("nan")]), "words", Domain("words", ("a", "bird"))),
    )
    phrase = Phrase("red crown", 0.9, 0.4, AttentionMap(values, "input"), (0.1, 0.2, 0.3, 0.4))
    shares = {"energy": 0.75, "object_area": 0.25, "object_others": 0.4}
    doubt = Phrase("no map", role="doubt", note="associated", said=(0, 8, 14), **shares)
    return Explanation(
        flow=Flow(maps, "gradxact"),
        decision=Decision("zebra <b>", 3.5, 7, 0.25, 3),
        image=torch.rand(3, 4, 5),
        source="photo é.jpg",
        phrases=(phrase, doubt),
        provenance={"model": "tiny", "options": {"steps": 3}},
        sentences=("This is no map.", "It is unusual."),
    )


@pytest.mark.parametrize(
    ("values", "status"),
    [
        (torch.tensor([[0.0, 1.0]]), Status.OK),
        (torch.zeros(2, 2), Status.ZERO),
        (torch.full((2, 2), -3.0), Status.FLAT),
        (torch.tensor([[1.0, 1.0 + 1e-7]]), Status.FLAT),
        (torch.tensor([[1.0, float("inf")]]), Status.NAN),
        (torch.tensor([[0.0, float("nan")]]), Status.NAN),
        (torch.tensor([[1e-30, 2e-30]]), Status.OK),
    ],
)
def test_the_status_says_whether_a_map_can_be_drawn(values: torch.Tensor, status: Status) -> None:
    assert status_of(values) is status
    assert AttentionMap(values, "s").status == status.value


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    given = Explanations((an_explanation(), an_explanation()))
    given.save(tmp_path / "new folder" / "result")
    loaded = Explanations.load(tmp_path / "new folder" / "result")
    for one, other in zip(given, loaded, strict=True):
        assert other.decision == one.decision
        assert (other.source, other.provenance, other.method) == (one.source, one.provenance, one.method)
        assert torch.equal(other.image, one.image)
        for left, right in zip(one.flow.maps, other.flow.maps, strict=True):
            assert torch.equal(left.values.nan_to_num(9), right.values.nan_to_num(9))
            assert (left.layer, left.domain, left.signed, left.notes) == (
                right.layer,
                right.domain,
                right.signed,
                right.notes,
            )
        assert other.sentences == one.sentences
        assert [vars(replace(phrase, map=None)) for phrase in other.phrases] == [
            vars(replace(phrase, map=None)) for phrase in one.phrases
        ]
        assert torch.equal(other.phrases[0].map.values, one.phrases[0].map.values)


def test_a_result_of_the_first_schema_is_still_read(tmp_path: Path) -> None:
    manifest = an_explanation().save(tmp_path)
    content = json.loads(manifest.read_text())
    content["schema"] = 1
    for record in content["explanations"]:
        del record["sentences"], record["rate"], record["decision"]["against"]
        for phrase in record["phrases"]:
            for name in ("role", "energy", "object_area", "object_others", "note", "said"):
                del phrase[name]
    manifest.write_text(json.dumps(content))
    read = Explanations.load(tmp_path).one()
    assert (read.sentences, read.decision.against) == ((), None)
    assert [(phrase.text, phrase.role, phrase.said) for phrase in read.phrases] == [
        ("red crown", "", None),
        ("no map", "", None),
    ]


def test_a_record_of_this_schema_without_its_rate_is_damaged_and_one_of_the_schema_before_is_read(
    tmp_path: Path,
) -> None:
    manifest = an_explanation().save(tmp_path)
    content = json.loads(manifest.read_text())
    for record in content["explanations"]:
        del record["rate"]
    manifest.write_text(json.dumps(content))
    with pytest.raises(ResultError, match="damaged"):
        Explanations.load(tmp_path)
    content["schema"] = 2
    manifest.write_text(json.dumps(content))
    assert Explanations.load(tmp_path).one().rate is None


def test_phrases_of_the_schema_before_are_read_without_an_area_and_those_of_this_one_need_it(tmp_path: Path) -> None:
    manifest = an_explanation().save(tmp_path)
    content = json.loads(manifest.read_text())
    for record in content["explanations"]:
        for phrase in record["phrases"]:
            del phrase["object_area"]
    manifest.write_text(json.dumps(content))
    with pytest.raises(ResultError, match="damaged: 'object_area'"):
        Explanations.load(tmp_path)
    content["schema"] = 6
    manifest.write_text(json.dumps(content))
    read = Explanations.load(tmp_path).one().phrases
    assert [(phrase.energy, phrase.object_area) for phrase in read] == [(None, None), (0.75, None)]


def test_phrases_of_the_schema_before_lack_the_other_pictures_maps_and_those_of_this_one_need_them(
    tmp_path: Path,
) -> None:
    manifest = an_explanation().save(tmp_path)
    assert [phrase.object_others for phrase in Explanations.load(tmp_path).one().phrases] == [None, 0.4]
    content = json.loads(manifest.read_text())
    for record in content["explanations"]:
        for phrase in record["phrases"]:
            del phrase["object_others"]
    manifest.write_text(json.dumps(content))
    with pytest.raises(ResultError, match="damaged: 'object_others'"):
        Explanations.load(tmp_path)
    content["schema"] = 7
    manifest.write_text(json.dumps(content))
    assert [phrase.object_others for phrase in Explanations.load(tmp_path).one().phrases] == [None, None]


PLACES = {"signal": ((9,), "t"), "volume": ((4, 5, 6), "z"), "space-time": ((3, 5, 6), "t"), "image": ((5, 6), "h")}


def over(kind: str, *, rate: float | None = None, sides: tuple[int, ...] | None = None) -> Explanation:
    sides = sides or PLACES[kind][0]
    flow = Flow(tuple(AttentionMap(torch.rand(sides), name, Domain(kind)) for name in ("a", "b")), "gradcam")
    return Explanation(flow, Decision("beat", 1.0), torch.randn(3, *(2 * side for side in sides)), rate=rate)


@pytest.mark.parametrize("kind", list(PLACES))
def test_every_domain_of_places_comes_back_from_disk(kind: str, tmp_path: Path) -> None:
    one = over(kind, rate=None if kind == "image" else 250.0)
    one.save(tmp_path)
    other = Explanations.load(tmp_path).one()
    assert other.rate == one.rate
    assert torch.equal(other.image, one.image)
    for mine, theirs in zip(one.flow.maps, other.flow.maps, strict=True):
        assert theirs.domain == mine.domain
        assert torch.equal(theirs.values, mine.values)
    assert Domain(kind).axes[0] == PLACES[kind][1]
    assert Domain(kind).over_places


@pytest.mark.parametrize("kind", list(PLACES))
def test_what_was_kept_has_the_axes_of_the_maps(kind: str, tmp_path: Path) -> None:
    one = over(kind)
    replace(one, image=torch.rand(3, *[2] * (2 + len(PLACES[kind][0])))).save(tmp_path)
    with pytest.raises(ResultError, match="its picture has the shape"):
        Explanations.load(tmp_path)


@pytest.mark.parametrize("rate", [-1.0, 0.0, "fast"])
def test_a_damaged_rate_is_refused(rate: object, tmp_path: Path) -> None:
    manifest = over("signal").save(tmp_path)
    content = json.loads(manifest.read_text())
    content["explanations"][0]["rate"] = rate
    manifest.write_text(json.dumps(content))
    with pytest.raises(ResultError, match="damaged"):
        Explanations.load(tmp_path)


def test_a_domain_is_known_by_the_place_axes_of_an_input() -> None:
    assert [Domain.over(axes).kind for axes in ("yx", "t", "zyx", "tyx")] == [
        "image",
        "signal",
        "volume",
        "space-time",
    ]
    with pytest.raises(ResultError, match="no map lies over the axes 'y t'"):
        Domain.over(("y", "t"))


def test_the_manifest_is_written_last_and_a_folder_without_it_is_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sightline.results.store as store

    monkeypatch.setattr(store, "write_text", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        an_explanation().save(tmp_path)
    assert not (tmp_path / "manifest.json").exists()
    with pytest.raises(ResultError, match="saving was interrupted"):
        Explanations.load(tmp_path)


def test_an_older_result_survives_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import safetensors.torch

    an_explanation().save(tmp_path)
    monkeypatch.setattr(safetensors.torch, "save", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(ResultError, match="No space left"):
        an_explanation().save(tmp_path)
    assert len(Explanations.load(tmp_path)) == 1


@pytest.mark.parametrize("damage", ["schema", "json", "arrays", "key"])
def test_damaged_results_are_refused(tmp_path: Path, damage: str) -> None:
    manifest = an_explanation().save(tmp_path)
    content = json.loads(manifest.read_text())
    if damage == "schema":
        content["schema"] = 99
    if damage == "key":
        content["explanations"][0]["maps"][0]["key"] = "elsewhere"
    manifest.write_text("{" if damage == "json" else json.dumps(content))
    if damage == "arrays":
        (tmp_path / "arrays.safetensors").write_bytes(b"\0" * 9)
    with pytest.raises(ResultError):
        Explanations.load(tmp_path)


def test_an_unwritable_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot write to"):
        an_explanation().save(tmp_path / "file" / "below")


def test_a_flow_is_keyed_by_stage_in_forward_order() -> None:
    flow = an_explanation().flow
    assert list(flow) == ["early", "late", "words"]
    assert flow["late"] is flow[1] is flow[-2]
    assert flow.statuses == {"early": "ok", "late": "zero", "words": "nan"}
    with pytest.raises(ResultError, match="near names: 'early'"):
        flow["erly"]
    with pytest.raises(ResultError, match="must differ"):
        Flow((flow[0], flow[0]), "x")


def test_maps_must_have_the_axes_of_their_domain() -> None:
    with pytest.raises(ResultError, match=r"axes h w.*\(2, 2, 2\)"):
        AttentionMap(torch.zeros(2, 2, 2), "s")
    with pytest.raises(ResultError, match="no domain"):
        Domain("smell")  # type: ignore[arg-type]


def test_statistics_leave_out_what_is_not_finite() -> None:
    numbers = AttentionMap(torch.tensor([[1.0, float("nan"), 3.0]]), "s").statistics()
    assert numbers == {"min": 1.0, "max": 3.0, "mean": 2.0, "sum": 4.0}


def test_the_repr_fits_on_a_screen() -> None:
    maps = tuple(AttentionMap(torch.eye(2), f"layer{i}") for i in range(200))
    text = repr(Explanation(Flow(maps, "gradcam"), Decision("zebra", 1.0)))
    assert len(text.splitlines()) < 30
    assert "178 more" in text
    assert len(repr(Explanations((an_explanation(),) * 100)).splitlines()) < 30


def test_explanations_are_narrowed_and_counted() -> None:
    many = Explanations((an_explanation(), an_explanation()))
    assert len(many.of(method="gradxact", label="zebra <b>", source="photo é.jpg")) == 2
    assert len(many[:1]) == 1
    assert many[:1].one().method == "gradxact"
    with pytest.raises(ResultError, match="there are 2"):
        many.one()
