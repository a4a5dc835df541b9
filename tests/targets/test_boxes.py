"""A box is explained by the score of what the detector finds where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from sightline import targets
from sightline.errors import TargetError
from sightline.targets import parse_target

NAMES = ("nothing", "cat", "dog")
CORNERS = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 20.0], [30.0, 30.0, 40.0, 40.0]])
FOUND = [
    {"boxes": CORNERS, "scores": torch.tensor([0.2, 0.9, 0.5]), "labels": torch.tensor([1, 1, 2])},
    {"boxes": CORNERS[2:], "scores": torch.tensor([0.7]), "labels": torch.tensor([1])},
]
NONE = {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0, dtype=torch.long)}


def read(target: Any, output: Any = FOUND, labels: Any = NAMES, size: tuple[int, int] = (50, 50)) -> Any:
    return parse_target(target).on(size).read(output, labels)


def test_the_proposal_maximises_overlap_times_probability() -> None:
    # The first fits the box exactly (1 x 0.2), the second by half (0.5 x 0.9): the second it is.
    readout = read(targets.box((0, 0, 10, 10), "cat"))
    assert readout.scores.tolist() == [[pytest.approx(0.9)], [0.0]]
    assert readout.labels == (("cat at 0,0,10,10",), ("cat at 0,0,10,10 (no such detection)",))
    assert readout.probabilities.tolist() == [[pytest.approx(0.9)], [0.0]]
    assert readout.indices.tolist() == [[1], [1]]


def test_without_a_class_the_best_fitting_one_is_taken_for_each_picture() -> None:
    readout = read(targets.box((30, 30, 40, 42)))
    assert readout.labels == (("dog at 30,30,40,42",), ("cat at 30,30,40,42",))
    assert readout.scores.flatten().tolist() == pytest.approx([0.5, 0.7])
    lost = read(targets.box((45, 0, 50, 5)))
    assert lost.labels[0] == ("no detection at 45,0,50,5",)
    assert lost.scores.tolist() == [[0.0], [0.0]]


def test_several_boxes_are_several_decisions_with_classes_of_their_own() -> None:
    readout = read(targets.box([(0, 0, 10, 10), (30, 30, 40, 40)], ["cat", 2]))
    assert readout.scores[0].tolist() == pytest.approx([0.9, 0.5])
    assert readout.labels[0] == ("cat at 0,0,10,10", "dog at 30,30,40,40")


def test_the_detectors_own_detections_are_the_most_probable_ones() -> None:
    for form in ("box:top2", targets.box("top2")):
        readout = read(form)
        assert readout.labels[0] == ("cat at 0,0,10,20", "dog at 30,30,40,40")
        assert readout.labels[1] == ("cat at 30,30,40,40", "no such detection")
        assert readout.scores.flatten().tolist() == pytest.approx([0.9, 0.5, 0.7, 0.0])
    assert read(targets.box()).labels[0] == ("cat at 0,0,10,20",)


def test_boxes_of_no_area_are_no_detections() -> None:
    flat = {"boxes": torch.tensor([[3.0, 0, 9, 0], [1, 1, 4, 4]]), "scores": torch.tensor([0.9, 0.1])}
    assert read("box:top1", [flat]).labels == (("nothing at 1,1,4,4",),)


def test_a_frozen_target_keeps_boxes_and_classes_but_matches_anew() -> None:
    target = targets.box("top1").on((50, 50)).frozen(FOUND, NAMES)
    moved = [{**FOUND[0], "scores": torch.tensor([0.8, 0.1, 0.95])}, FOUND[1]]
    readout = target.read(moved, NAMES)
    assert readout.labels == (("cat at 0,0,10,20",), ("cat at 30,30,40,40",))
    assert readout.scores.flatten().tolist() == pytest.approx([0.8, 0.7])
    chosen = targets.box((30, 30, 40, 40)).on((50, 50)).frozen(FOUND, NAMES)
    assert chosen.read(FOUND[::-1], NAMES).scores.flatten().tolist() == [0.0, 0.0]
    assert target.rows(slice(1, 2)).read(FOUND[1:], NAMES).labels == (("cat at 30,30,40,40",),)


def test_boxes_of_each_picture_go_with_it() -> None:
    target = targets.box(torch.tensor([[[0.0, 0, 10, 20]], [[30, 30, 40, 40]]])).on((50, 50))
    assert target.read(FOUND, NAMES).scores.flatten().tolist() == pytest.approx([0.9, 0.7])
    assert target.rows(slice(1, 2)).read(FOUND[1:], NAMES).scores.tolist() == [[pytest.approx(0.7)]]
    with pytest.raises(TargetError, match="boxes of 2 pictures were given for a batch of 3"):
        target.read([*FOUND, NONE], NAMES)


def test_a_contrast_takes_the_other_class_in_the_same_box_off() -> None:
    found = [{"boxes": CORNERS[[0, 0]], "scores": torch.tensor([0.6, 0.25]), "labels": torch.tensor([1, 2])}]
    for target in (
        targets.box((0, 0, 10, 10), "cat", contrast="dog"),
        parse_target("box:0,0,10,10,cat", contrast="dog"),
        parse_target(targets.box((0, 0, 10, 10), "cat"), contrast=2),
    ):
        readout = read(target, found)
        assert readout.scores.tolist() == [[pytest.approx(0.35)]]
        assert readout.labels == (("cat rather than dog at 0,0,10,10",),)
        assert readout.against.tolist() == [[2]]


def test_no_detection_at_all_is_a_score_of_zero_with_a_gradient_of_zero() -> None:
    scores = torch.zeros(5, requires_grad=True)
    nothing = {**NONE, "scores": (scores * 2)[:0]}
    readout = read("box:top1", [nothing])
    assert readout.scores.tolist() == [[0.0]]
    (gradient,) = torch.autograd.grad(readout.scores.sum(), scores)
    assert gradient.tolist() == [0.0] * 5


def detr(logits: Tensor, boxes: Tensor) -> dict[str, Tensor]:
    return {"pred_logits": logits, "pred_boxes": boxes}


LOGITS = torch.tensor([[[2.0, 0.0, 1.0, 0.5], [0.0, 3.0, 0.0, 5.0]]], requires_grad=True)
SHARES = torch.tensor([[[0.25, 0.5, 0.5, 1.0], [0.75, 0.5, 0.5, 1.0]]])


def test_detr_boxes_are_shares_of_the_picture_and_its_last_class_is_no_object() -> None:
    readout = read(targets.box((40, 0, 80, 20)), detr(LOGITS, SHARES), size=(20, 80))
    assert readout.labels == (("cat at 40,0,80,20",),)
    assert readout.scores.tolist() == [[3.0]]
    assert readout.probabilities[0, 0] == pytest.approx(float(LOGITS.detach()[0, 1].softmax(0)[1]))
    (gradient,) = torch.autograd.grad(readout.scores.sum(), LOGITS)
    assert gradient.nonzero().tolist() == [[0, 1, 1]]
    assert read("box:top1", detr(LOGITS, SHARES), size=(20, 80)).labels == (("nothing at 0,0,40,20",),)


def test_with_a_sigmoid_every_class_of_a_logit_is_a_class() -> None:
    readout = read(targets.box("top1", probabilities="sigmoid"), detr(LOGITS, SHARES), labels=None, size=(20, 80))
    assert readout.labels == (("class 3 at 40,0,80,20",),)
    assert readout.probabilities[0, 0] == pytest.approx(float(LOGITS.detach()[0, 1, 3].sigmoid()))


@dataclass
class DetrObjectDetectionOutput:
    logits: Tensor
    pred_boxes: Tensor


@dataclass
class RTDetrObjectDetectionOutput(DetrObjectDetectionOutput):
    pass


@pytest.mark.parametrize(
    ("kind", "label"), [(DetrObjectDetectionOutput, "class 0"), (RTDetrObjectDetectionOutput, "class 3")]
)
def test_hugging_face_outputs_say_by_their_class_what_their_logits_are(kind: Any, label: str) -> None:
    assert read("box:top1", kind(LOGITS, SHARES), labels=None).labels[0][0].startswith(label)


def test_a_reader_brings_other_outputs_into_form() -> None:
    raw = torch.tensor([[0.0, 0.0, 10.0, 10.0, 0.3, 0.6]])  # corners, and a score for each of two classes
    reader = lambda x: [{"boxes": x[:, :4], "scores": x[:, 4:]}]  # noqa: E731
    assert read(targets.box((0, 0, 9, 9), 1, reader=reader), raw).scores.tolist() == [[pytest.approx(0.6)]]


def test_three_tensors_with_a_batch_axis_are_read_too() -> None:
    output = {"boxes": CORNERS[None], "scores": torch.tensor([[0.2, 0.9, 0.5]]), "labels": torch.tensor([[1, 1, 2]])}
    assert read("box:top1", output).labels == (("cat at 0,0,10,20",),)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: targets.box("10,20,30"), "the box '10,20,30' is not understood; a box is x0,y0,x1,y1"),
        (lambda: targets.box("a,b,c,d"), "is not understood"),
        (lambda: targets.box("1,2,nan,4"), "is not understood"),
        (lambda: targets.box("1,2,3,4,"), "is not understood"),
        (lambda: targets.box("1,2,3,4,cat", "dog"), "names a class, and 'dog' was named besides"),
        (lambda: targets.box((1, 2, 3)), "is not understood"),
        (lambda: targets.box(["cat"]), "is not understood"),
        (lambda: targets.box([]), "is not understood"),
        (lambda: targets.box((10, 20, 5, 30)), "ends before it begins"),
        (lambda: targets.box((0.1, 0.1, 0.5, 0.5)), "lies within one pixel"),
        (lambda: targets.box([(1, 2, 3, 4)], ["cat", "dog"]), "1 boxes came with 2 classes"),
        (lambda: targets.box("top3", "cat"), "have their own classes"),
        (lambda: targets.box("top0").check(None, None), "ask for at least 1"),
        (lambda: targets.box((60, 0, 70, 10)).on((50, 50)), "the box 60,0,70,10 lies outside the input, which is 50"),
        (lambda: targets.box((-9, 0, 0, 10)).on((50, 50)), "lies outside the input"),
        (lambda: targets.box((0, 0, 9, 9)).on((50,)), "boxes lie in pictures"),
        (lambda: targets.box((0, 0, 9, 9), "cot").check(None, NAMES), "near names: 'cat'"),
        (lambda: targets.box((0, 0, 9, 9), "cat").check(None, None), "has no labels"),
        (lambda: read(targets.box((0, 0, 9, 9), 3), detr(LOGITS, SHARES), None), "classes are 0 to 2"),
        (lambda: targets.box("top1").read(detr(LOGITS, SHARES), None), "shares of the picture"),
        (lambda: read("box:top1", torch.zeros(1, 5)), "no boxes were found in the model's output"),
        (lambda: read("box:top1", {"logits": torch.zeros(1, 5)}), "no boxes were found"),
        (lambda: read("box:top1", []), "no boxes were found"),
        (lambda: parse_target(targets.box("top1"), score="log-softmax"), "a log-softmax is taken of classes"),
    ],
)
def test_what_cannot_be_is_said(call: Any, sentence: str) -> None:
    with pytest.raises(TargetError) as problem:
        call()
    assert sentence in str(problem.value)


def test_a_decision_says_its_box_as_shares_of_the_input_cut_at_the_edges() -> None:
    from sightline.api.decision import decisions_of

    readout = read(targets.box((10, 20, 30, 80), "cat"), size=(40, 50))
    assert readout.boxes.tolist() == [[[pytest.approx(0.2), 0.5, pytest.approx(0.4), 0.5]]] * 2
    assert decisions_of(readout)[0][0].box == pytest.approx((0.2, 0.5, 0.4, 0.5))
    nothing = read(targets.box("top1"), [NONE, NONE])
    assert [row[0].box for row in decisions_of(nothing)] == [None, None]
