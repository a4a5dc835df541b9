"""Decisions of detectors: every kind of output, every kind of question, against a plain PyTorch computation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline import targets
from sightline.errors import SightlineError, TargetError
from tests.detectors import BODY, CLASSES, DETECTORS, SIDE, build, pictures

NAMES = ("background", "cat", "dog", "owl", "ant")[: CLASSES + 1]
QUESTIONS: dict[str, Callable[[], Any]] = {
    "top": lambda: None,
    "top2": lambda: "top2",
    "a box": lambda: (4, 4, 28, 28),
    "two boxes": lambda: [(0, 0, 20, 20), (10, 10, 32, 32)],
    "a box over the edge": lambda: (-10, 8, 20, 50),
}
FAST = {"scorecam": {"groups": 3}, "ablationcam": {"groups": 3}, "occlusion": {"window": 16}}
RUN = ("gradcam", "layercam", "hirescam", "gradxact", "eigencam", "scorecam", "ablationcam", "gaussian", "edges")


def plain_detections(name: str, output: Any) -> list[list[tuple[list[float], Tensor, float, int]]]:
    """By picture: box, score, probability and class of every proposal, written down from the papers' conventions."""
    pictures: list[Any] = []
    if name == "detr":
        for logits, boxes in zip(output["pred_logits"], output["pred_boxes"], strict=True):
            rows = []
            for row, (x, y, w, h) in zip(logits, (boxes * SIDE).tolist(), strict=True):
                chances = row.softmax(0)
                corners = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
                rows += [(corners, row[c], float(chances[c]), c) for c in range(len(row) - 1)]
            pictures.append(rows)
        return pictures
    if isinstance(output, dict):
        count = len(output["scores"])
        output = [{key: value[i] for key, value in output.items()} for i in range(count)]
    for one in output:
        each = zip(one["boxes"].tolist(), one["scores"], one["labels"].tolist(), strict=True)
        pictures.append([(box, score, float(score.detach()), label) for box, score, label in each])
    return pictures


def iou(a: Any, b: Any) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return wide * high / (both - wide * high)


def plain_score(name: str, output: Any, box: Any, wanted: int) -> Tensor:
    """The first picture's score of a class in a box."""
    fits = [(iou(row[0], box) * row[2], row[1]) for row in plain_detections(name, output)[0] if row[3] == wanted]
    best = max(fits, key=lambda pair: pair[0], default=(0.0, torch.zeros(())))
    return best[1] if best[0] > 0 else torch.zeros(())


def body_of(model: nn.Module, x: Tensor, change: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Any]:
    """Activation of the body, and what the model returns."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        kept.append(output if change is None else change(output))
        return kept[0]

    handle = model.get_submodule(BODY).register_forward_hook(keep)
    try:
        raw = model(x)
        return kept[0], raw
    finally:
        handle.remove()


@pytest.mark.parametrize("box", [(4, 4, 28, 28), (-10, 8, 20, 50)])
@pytest.mark.parametrize("name", DETECTORS)
def test_gradcam_of_a_box_is_that_of_plain_pytorch(name: str, box: Any) -> None:
    model, x = build(name), pictures()
    A, raw = body_of(model, x)
    score = plain_score(name, raw, box, 1)
    assert float(score.detach()) != 0
    (G,) = torch.autograd.grad(score, A)
    expected = (G.mean((2, 3), keepdim=True) * A).sum(1).relu()[0].detach()
    item = sightline.explain(model, x, target=targets.box(box, 1), method="gradcam", layers=[BODY]).one()
    assert item.decision.score == pytest.approx(float(score))
    assert torch.allclose(item.flow[-1].values, expected, atol=1e-6 * float(expected.abs().max()) + 1e-12)


@pytest.mark.parametrize("name", DETECTORS)
def test_ablationcam_of_a_box_is_that_of_plain_pytorch(name: str) -> None:
    model, x, box = build(name), pictures(), (4, 4, 28, 28)
    with torch.no_grad():
        A, raw = body_of(model, x)
        whole = plain_score(name, raw, box, 1)
        weights = []
        for c in range(A.shape[1]):
            keep = torch.ones(A.shape[1]).index_fill(0, torch.tensor([c]), 0.0)[None, :, None, None]
            weights.append((whole - plain_score(name, body_of(model, x, keep.mul)[1], box, 1)) / whole.abs())
        expected = (torch.stack(weights)[None, :, None, None] * A).sum(1).relu()[0]
    item = sightline.explain(
        model, x, target=targets.box(box, 1), method="ablationcam", layers=[BODY], options={"groups": 0}
    ).one()
    assert torch.allclose(item.flow[-1].values, expected, atol=1e-5 * float(expected.max()))


@pytest.mark.parametrize("name", DETECTORS)
def test_occlusion_of_a_box_is_that_of_plain_pytorch(name: str) -> None:
    model, x, box = build(name), pictures(), (4, 4, 28, 28)
    with torch.no_grad():
        whole, total, times = plain_score(name, model(x), box, 1), torch.zeros(SIDE, SIDE), torch.zeros(SIDE, SIDE)
        for top in (0, 8, 16):
            for left in (0, 8, 16):
                window = (slice(top, top + 16), slice(left, left + 16))
                hidden = x.clone()
                hidden[0, :, *window] = 0
                total[window] += whole - plain_score(name, model(hidden), box, 1)
                times[window] += 1
    item = sightline.explain(model, x, target=targets.box(box, 1), method="occlusion", options={"window": 16}).one()
    assert torch.allclose(item.flow[-1].values, total / times, atol=1e-5)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", DETECTORS)
def test_every_method_answers_every_question_and_a_batch_gives_what_single_pictures_give(
    name: str, question: str
) -> None:
    model, x = build(name), pictures(2)

    def ask(inputs: Tensor) -> Any:
        target = targets.box(QUESTIONS[question]())
        own = {m: FAST[m] for m in RUN if m in FAST}
        return sightline.explain(model, inputs, target=target, method=RUN, layers=[BODY], options=own)

    together, apart = ask(x), [*ask(x[:1]), *ask(x[1:])]
    assert len(together) == len(apart) > 0
    for one, other in zip(together, apart, strict=True):
        assert one.decision.label == other.decision.label
        assert one.decision.score == pytest.approx(other.decision.score, rel=1e-4)
        if one.method in ("scorecam", "ablationcam"):  # how channels are grouped may turn on the last digit
            continue
        left, right = one.flow[-1].values, other.flow[-1].values
        assert (left - right).abs().max() <= 1e-4 * right.abs().max() + 1e-9, one.method


def test_the_lrp_flow_of_a_box_conserves_its_logit_without_biases() -> None:
    model = build("detr")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or name == "queries":
                parameter.zero_()
    item = sightline.explain(model, pictures(), target=targets.box((4, 4, 28, 28), 1), method="lrp").one()
    assert float(item.flow[-1].values.sum()) == pytest.approx(item.decision.score, rel=1e-3)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", DETECTORS)
def test_the_default_flow_follows_every_detector(name: str, count: int) -> None:
    target = targets.box((4, 4, 28, 28), 1)
    items = sightline.explain(build(name), pictures(count), target=target)
    assert {item.method for item in items} == {"lrp"}
    assert all(item.flow[0].layer.startswith("backbone") and item.flow[0].status == "ok" for item in items)
    assert not any("No rule" in remark for remark in items[0].flow.remarks if name != "fcos")


@pytest.mark.parametrize("name", ["faster_rcnn", "retinanet"])
def test_without_gamma_the_flow_through_a_detector_is_gradient_x_activation(name: str) -> None:
    model, target = build(name), targets.box((4, 4, 28, 28), 1)
    ask = lambda method, **options: sightline.explain(  # noqa: E731
        model, pictures(2), target=target, method=method, layers=[BODY], options=options
    )
    for flow, plain in zip(ask("lrp", gamma=0), ask("gradxact"), strict=True):
        left, right = flow.flow[-1].values, plain.flow[-1].values
        assert float(right.abs().max()) > 0
        assert torch.allclose(left, right, atol=1e-5 * float(right.abs().max()))


@pytest.mark.parametrize("name", ["faster_rcnn", "retinanet", "fcos"])
def test_no_detection_at_all_is_a_map_of_zeros(name: str) -> None:
    model = build(name, threshold=0.999)
    assert not len(model(pictures())[0]["scores"])
    for question in QUESTIONS.values():
        items = sightline.explain(
            model, pictures(), target=targets.box(question()), method=["gradcam", "scorecam"], layers=[BODY],
            options={"scorecam": FAST["scorecam"]},
        )  # fmt: skip
        assert {item.decision.score for item in items} == {0.0}
        assert all("no " in item.decision.label for item in items)
        assert all(item.flow[-1].status == "zero" for item in items if item.method == "gradcam")


def test_pictures_with_different_numbers_of_detections_share_a_batch() -> None:
    model = build("faster_rcnn")
    scores = sorted((one["scores"].tolist() for one in model(pictures(2))), key=lambda row: row[1])
    model.roi_heads.score_thresh = (scores[0][1] + scores[1][1]) / 2  # the second best of one picture only
    assert sorted(min(len(one["scores"]), 2) for one in model(pictures(2))) in ([0, 2], [1, 2])
    items = sightline.explain(model, pictures(2), target=targets.box("top2"), method="gradcam", layers=[BODY])
    assert [item.decision.label == "no such detection" for item in items].count(True) in (1, 2)
    for i in range(2):
        alone = sightline.explain(
            model, pictures(2)[i : i + 1], target=targets.box("top2"), method="gradcam", layers=[BODY]
        )
        for one, other in zip(items[2 * i : 2 * i + 2], alone, strict=True):
            assert torch.allclose(one.flow[-1].values, other.flow[-1].values, atol=1e-6)


@pytest.mark.parametrize("name", DETECTORS)
def test_classes_are_asked_for_by_name_and_wrong_ones_answered_in_a_sentence(name: str) -> None:
    model, x = build(name), pictures()
    ask = lambda what, **more: sightline.explain(  # noqa: E731
        model, x, target=targets.box((4, 4, 28, 28), what), method="gradcam", layers=[BODY], labels=NAMES, **more
    ).one()
    assert ask("cat").decision.label == "cat at 4,4,28,28"
    assert ask("cat").decision.index == 1
    assert ask("cat", contrast="dog").decision.label == "cat rather than dog at 4,4,28,28"
    with pytest.raises(TargetError, match="near names: 'dog'"):
        ask("dgo")
    with pytest.raises(SightlineError, match="lies outside the input"):
        sightline.explain(model, x, target=targets.box((40, 4, 50, 28)), method="gradcam", layers=[BODY])


@pytest.mark.parametrize("name", DETECTORS)
def test_several_boxes_share_one_forward(name: str) -> None:
    model, calls = build(name), []
    sightline.explain(model, pictures(), target=targets.box(), method="gradcam", layers=[BODY])  # reads the structure
    model.register_forward_hook(lambda *_: calls.append(1))
    boxes = [(0, 0, 20, 20), (10, 10, 32, 32), (4, 4, 28, 28)]
    together = sightline.explain(model, pictures(), target=targets.box(boxes), method="gradcam", layers=[BODY])
    assert len(calls) == 1
    for box, item in zip(boxes, together, strict=True):
        alone = sightline.explain(model, pictures(), target=targets.box(box), method="gradcam", layers=[BODY]).one()
        assert torch.allclose(item.flow[-1].values, alone.flow[-1].values, atol=1e-6)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_that_is_asked_for_a_class_says_how_it_is_asked(name: str) -> None:
    with pytest.raises(TargetError, match=r"targets\.box"):
        sightline.explain(build(name), pictures(), method="gradcam", layers=[BODY])
