"""Targets read the scalars that they promise, in words that a person understands."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch

from sightline.errors import TargetError
from sightline.targets import (
    ClassScore,
    Contrast,
    Custom,
    TopClasses,
    class_index,
    parse,
    parse_target,
    select_output,
)

LABELS = ("goldfish", "tench, Tinca tinca", "crane", "crane", "great_white shark")
LOGITS = torch.tensor([[1.0, 5.0, 2.0, 0.0, 4.0], [9.0, 1.0, 8.0, 0.0, 7.0]])


def test_class_scores_are_the_logits() -> None:
    readout = ClassScore((4, "goldfish")).read(LOGITS, LABELS)
    assert readout.scores.tolist() == [[4.0, 1.0], [7.0, 9.0]]
    assert readout.labels[0] == ("great_white shark", "goldfish")
    assert torch.allclose(readout.probabilities, LOGITS.softmax(1)[:, [4, 0]])


def test_the_top_classes_differ_by_sample() -> None:
    readout = TopClasses(2).read(LOGITS, None)
    assert readout.indices.tolist() == [[1, 4], [0, 2]]
    assert readout.labels[1] == ("class 0", "class 2")


@pytest.mark.parametrize(
    ("this", "other", "scores", "label"),
    [
        (0, 1, [-4.0, 8.0], "goldfish rather than tench, Tinca tinca"),
        (None, None, [1.0, 1.0], "tench, Tinca tinca rather than great_white shark"),
        (2, None, [-3.0, -1.0], "crane rather than tench, Tinca tinca"),
        (None, 1, [-1.0, 8.0], "great_white shark rather than tench, Tinca tinca"),
    ],
)
def test_a_contrast_is_the_difference_of_two_logits(this: Any, other: Any, scores: list[float], label: str) -> None:
    readout = Contrast(this, other).read(LOGITS, LABELS)
    assert readout.scores[:, 0].tolist() == scores
    assert readout.labels[0] == (label,)
    difference = LOGITS.gather(1, readout.indices) - LOGITS.gather(1, readout.against)
    assert torch.equal(difference, readout.scores)
    assert TopClasses(1).read(LOGITS, LABELS).against is None


def test_frozen_targets_keep_their_classes_on_other_logits() -> None:
    turned = LOGITS.flip(1)
    assert TopClasses(1).frozen(LOGITS, None).read(turned, None).indices.tolist() == [[1], [0]]
    assert Contrast().frozen(LOGITS, None).read(LOGITS * 2, None).scores.tolist() == [[2.0], [2.0]]
    assert ClassScore((3,)).frozen(LOGITS, None) == ClassScore((3,))


@pytest.mark.parametrize(
    ("name", "index"), [(2, 2), ("3", 3), ("Tinca_tinca", 1), ("TENCH", 1), ("great white  shark", 4)]
)
def test_classes_are_found_by_index_and_by_any_form_of_their_name(name: Any, index: int) -> None:
    assert class_index(name, LABELS) == index


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("crane", "belongs to classes 2, 3"),
        ("goldfisch", "near names: 'goldfish'"),
        (5, "0 to 4"),
        (-1, "-1"),
        ("7", "0 to 4"),
    ],
)
def test_names_that_do_not_lead_to_one_class_are_refused(name: Any, text: str) -> None:
    with pytest.raises(TargetError, match=text):
        class_index(name, LABELS)


def test_a_name_without_labels_is_refused() -> None:
    with pytest.raises(TargetError, match="has no labels"):
        class_index("zebra", None)


@pytest.mark.parametrize(
    ("what", "contrast", "kind"),
    [
        (None, None, TopClasses(1)),
        ("top3", None, TopClasses(3)),
        (7, None, ClassScore((7,))),
        ("zebra", None, ClassScore(("zebra",))),
        (["zebra", 3], None, ClassScore(("zebra", 3))),
        ("zebra", "horse", Contrast("zebra", "horse")),
        (None, "horse", Contrast(None, "horse")),
        ("top1", "runner-up", Contrast(None, None)),
        ("top", None, TopClasses(1)),
        ("top", 3, Contrast(None, 3)),
    ],
)
def test_what_users_say_becomes_a_target(what: Any, contrast: Any, kind: Any) -> None:
    assert parse_target(what, contrast=contrast) == kind


@pytest.mark.parametrize(
    ("what", "contrast"), [(True, None), (3.5, None), ([], "a"), (["a", "b"], "c"), ("top3", "a"), (2.5, "a")]
)
def test_what_is_no_target_is_refused(what: Any, contrast: Any) -> None:
    with pytest.raises(TargetError):
        parse_target(what, contrast=contrast).check(5, LABELS)


def test_a_task_adds_its_own_form_and_a_contrast_is_still_between_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    last = ClassScore((4,))
    monkeypatch.setitem(parse.FORMS._items, "last", lambda text: last if text == "last" else None)
    assert parse_target("last") is last
    assert parse_target("lasting") == ClassScore(("lasting",))
    with pytest.raises(TargetError, match="the target is 'last'"):
        parse_target("last", contrast="zebra")


def test_any_callable_is_a_target_and_its_shape_is_checked() -> None:
    readout = parse_target(lambda out: out["logits"].sum(1)).read({"logits": LOGITS}, None)
    assert readout.scores[:, 0].tolist() == [12.0, 25.0]
    assert Custom(lambda out: out, ("a", "b", "c", "d", "e")).read(LOGITS, None).labels[0][4] == "e"
    with pytest.raises(TargetError, match=r"\[batch\] or \[batch, k\]"):
        Custom(lambda out: out.sum()).read(LOGITS, None)
    with pytest.raises(TargetError, match="5 scores per sample but has 2 labels"):
        Custom(lambda out: out, ("a", "b")).read(LOGITS, None)


class Named(NamedTuple):
    logits: torch.Tensor
    aux: torch.Tensor


@pytest.mark.parametrize(
    ("output", "selector"),
    [
        (LOGITS, None),
        ({"logits": LOGITS, "x": LOGITS * 2}, None),
        ({"out": LOGITS}, None),
        (Named(LOGITS, LOGITS * 2), None),
        ((LOGITS,), None),
        ([LOGITS, "text"], None),
        ((1, LOGITS), 1),
        ({"a": {"b": LOGITS}}, lambda out: out["a"]["b"]),
        (Named(LOGITS * 2, LOGITS), "aux"),
    ],
)
def test_logits_are_found_in_outputs_of_many_shapes(output: Any, selector: Any) -> None:
    assert select_output(output, selector) is LOGITS


@pytest.mark.parametrize(
    ("output", "selector", "text"),
    [
        ((LOGITS, LOGITS), None, "output=<key"),
        ({"a": LOGITS}, "b", "no part 'b'"),
        ((LOGITS,), 3, "no part 3"),
        ("nothing", None, "str"),
        ({"a": 1}, "a", "gave int"),
    ],
)
def test_outputs_without_clear_logits_are_refused_with_what_they_hold(output: Any, selector: Any, text: str) -> None:
    with pytest.raises(TargetError, match=text):
        select_output(output, selector)


def test_outputs_of_other_shapes_are_refused() -> None:
    with pytest.raises(TargetError, match=r"\(2, 5, 4, 4\)"):
        TopClasses(1).read(torch.zeros(2, 5, 4, 4), None)
    assert TopClasses(1).read(torch.zeros(2), None).scores.shape == (2, 1)
