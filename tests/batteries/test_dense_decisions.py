"""Decisions of segmenters: every kind of output and region, against a plain PyTorch computation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import sightline
from sightline import targets
from sightline.errors import TargetError
from tests.segmenters import BODY, CLASSES, SEGMENTERS, SIDE, build, pictures

METHODS = ("gradcam", "layercam", "hirescam", "gradxact", "eigencam", "scorecam", "ablationcam", "gaussian")
FAST = {"scorecam": {"groups": 3}, "ablationcam": {"groups": 3}}
MASK = torch.zeros(SIDE, SIDE)
MASK[4:17, 2:15] = 1
QUESTIONS: dict[str, Callable[[], Any]] = {
    "the largest": targets.segment,
    "a class where it is": lambda: targets.segment(0),
    "a class in a mask": lambda: targets.segment(0, region=MASK),
    "a class everywhere": lambda: targets.segment(0, region="all"),
}


def logits_of(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output["out"] if isinstance(output, dict) else output.logits


def own_region(y: Tensor, index: int) -> Tensor:
    return (y[:, 0] > 0 if y.shape[1] == 1 else y.argmax(1) == index)[0]


def plain_score(output: Any, index: int, region: Tensor) -> Tensor:
    """Mean over a region of the logits' size, by a loop over places."""
    y = logits_of(output)[0, index]
    rows = [region[i, j] * y[i, j] for i in range(y.shape[0]) for j in range(y.shape[1]) if region[i, j] > 0]
    return torch.stack(rows).sum() / region.sum()


def mask_of(y: Tensor) -> Tensor:
    """The mask's share of each place of the logits."""
    f = SIDE // y.shape[2]
    return torch.stack([torch.stack([MASK[i : i + f, j : j + f].mean() for j in range(0, SIDE, f)])
                        for i in range(0, SIDE, f)])  # fmt: skip


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


@pytest.mark.parametrize("region", ["own", "mask"])
@pytest.mark.parametrize("name", SEGMENTERS)
def test_gradcam_of_a_segment_is_that_of_plain_pytorch(name: str, region: str) -> None:
    model, x = build(name), pictures()
    A, raw = body_of(model, x)
    y = logits_of(raw)
    index = int(y.argmax(1).flatten().bincount().argmax())
    score = plain_score(raw, index, own_region(y, index).float() if region == "own" else mask_of(y))
    (G,) = torch.autograd.grad(score, A)
    expected = (G.mean((2, 3), keepdim=True) * A).sum(1).relu()[0].detach()
    target = targets.segment(index, region="own" if region == "own" else MASK)
    item = sightline.explain(model, x, target=target, method="gradcam", layers=[BODY]).one()
    assert item.decision.score == pytest.approx(score.item(), rel=1e-4)
    assert torch.allclose(item.flow[-1].values, expected, atol=1e-5 * float(expected.abs().max()) + 1e-12)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_ablationcam_of_a_segment_is_that_of_plain_pytorch_over_the_region_of_the_whole_network(name: str) -> None:
    model, x = build(name), pictures()
    with torch.no_grad():
        A, raw = body_of(model, x)
        y = logits_of(raw)
        index = int(y.argmax(1).flatten().bincount().argmax())
        region = own_region(y, index).float()
        whole = plain_score(raw, index, region)
        weights = []
        for c in range(A.shape[1]):
            keep = torch.ones(A.shape[1]).index_fill(0, torch.tensor([c]), 0.0)[None, :, None, None]
            weights.append((whole - plain_score(body_of(model, x, keep.mul)[1], index, region)) / whole.abs())
        expected = (torch.stack(weights)[None, :, None, None] * A).sum(1).relu()[0]
    item = sightline.explain(
        model, x, target=targets.segment(index), method="ablationcam", layers=[BODY], options={"groups": 0}
    ).one()
    assert torch.allclose(item.flow[-1].values, expected, atol=1e-4 * float(expected.max()) + 1e-9)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", SEGMENTERS)
def test_every_method_answers_every_question_and_a_batch_gives_what_single_pictures_give(
    name: str, question: str
) -> None:
    model, x = build(name), pictures(2)

    def ask(inputs: Tensor) -> Any:
        return sightline.explain(
            model, inputs, target=QUESTIONS[question](), method=METHODS, layers=[BODY], options=FAST
        )

    together, apart = ask(x), [*ask(x[:1]), *ask(x[1:])]
    assert len(together) == len(apart) == 2 * len(METHODS)
    for one, other in zip(together, apart, strict=True):
        assert one.decision.label == other.decision.label
        assert one.decision.score == pytest.approx(other.decision.score, rel=1e-4)
        if one.method in ("scorecam", "ablationcam"):  # how channels are grouped may turn on the last digit
            continue
        left, right = one.flow[-1].values, other.flow[-1].values
        assert (left - right).abs().max() <= 1e-4 * right.abs().max() + 1e-9, one.method


@pytest.mark.parametrize("name", SEGMENTERS)
def test_the_lrp_flow_of_a_segment_conserves_its_score_without_biases(name: str) -> None:
    model = build(name)
    with torch.no_grad():
        for module in model.modules():
            if getattr(module, "bias", None) is not None:
                module.bias.zero_()
    item = sightline.explain(model, pictures(), target=targets.segment(), method="lrp", layers=[BODY]).one()
    assert float(item.flow[-1].values.sum()) == pytest.approx(item.decision.score, rel=2e-3)


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "occlusion", "naflow", "scorecam"])
def test_methods_with_a_pass_of_their_own_answer(method: str) -> None:
    options = {"integrated_gradients": {"steps": 4}, "occlusion": {"window": 12}, "scorecam": {"groups": 2}}
    items = sightline.explain(
        build("deeplab"), pictures(2), target=targets.segment(), method=method, options=options.get(method)
    )
    assert {item.flow[0].status for item in items} == {"ok"}


@pytest.mark.parametrize("name", [name for name in SEGMENTERS if name != "one"])
def test_classes_are_asked_for_by_name_and_a_class_that_is_nowhere_scores_zero(name: str) -> None:
    model, x = build(name), pictures()
    with torch.no_grad():
        y = logits_of(model(x))
    areas = y.argmax(1).flatten().bincount(minlength=CLASSES).tolist()
    names = [f"thing {i}" for i in range(CLASSES)]
    for index, area in enumerate(areas):
        item = sightline.explain(
            model, x, target=targets.segment(f"thing {index}"), method="gradcam", layers=[BODY], labels=names
        ).one()
        assert item.decision.index == index
        assert (item.decision.score == 0.0) == (not area) == ("nowhere" in item.decision.label)
        assert (item.flow[-1].status == "zero") or area
    with pytest.raises(TargetError, match="near names: 'thing 0'"):
        sightline.explain(model, x, target=targets.segment("thin 0"), layers=[BODY], labels=names)
    with pytest.raises(TargetError, match=r"targets\.segment"):
        sightline.explain(model, x, method="gradcam", layers=[BODY])


@pytest.mark.parametrize("name", SEGMENTERS)
def test_several_classes_share_one_forward(name: str) -> None:
    model, calls = build(name), []
    sightline.explain(
        model, pictures(), target=targets.segment(), method="gradcam", layers=[BODY]
    )  # reads the structure
    model.register_forward_hook(lambda *_: calls.append(1))
    count = 1 if name == "one" else CLASSES
    target = targets.segment(list(range(count)), region=MASK)
    together = sightline.explain(model, pictures(), target=target, method="gradcam", layers=[BODY])
    assert len(together) == count
    assert len(calls) == 1
    for index, item in enumerate(together):
        alone = sightline.explain(
            model, pictures(), target=targets.segment(index, region=MASK), method="gradcam", layers=[BODY]
        ).one()
        assert torch.allclose(item.flow[-1].values, alone.flow[-1].values, atol=1e-6)


def test_logits_at_another_size_than_the_picture_take_the_mask_by_area() -> None:
    x = pictures()
    fine, coarse = build("plain")(x), build("quarter")(x).logits
    assert (fine.shape[2], coarse.shape[2]) == (SIDE, SIDE // 4)
    assert torch.allclose(mask_of(coarse), F.avg_pool2d(MASK[None, None], 4)[0, 0])
