"""Likeness of an image to a sentence: every kind of two-tower model, against a plain PyTorch computation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import sightline
from sightline import targets
from sightline.errors import SightlineError, TargetError
from tests.towers import BODY, SIDE, TOWERS, WIDTH, Visual, build, pictures, tokenizer_of, tokens_of

CAT, DOG = "a photo of a cat", "the dog"
METHODS = ("gradcam", "layercam", "hirescam", "gradxact", "eigencam", "scorecam", "ablationcam", "gaussian")
FAST = {"scorecam": {"groups": 3}, "ablationcam": {"groups": 3}}


def vector_of(model: Any, sentence: str) -> Tensor:
    with torch.no_grad():
        return model.read(tokens_of([sentence]))[0]


def body_and_embedding(model: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    A = model.visual.body(x)
    return A, model.visual.projection(A.mean((2, 3)))


def explain(name: str, target: Any, method: Any = "gradcam", **options: Any) -> Any:
    model = options.pop("model", None) or build(name)
    return sightline.explain(
        model, options.pop("x", pictures()), target=target, method=method, layers=[BODY], **options
    )


@pytest.mark.parametrize("norm", ["frozen", "free"])
@pytest.mark.parametrize("contrast", [None, DOG])
@pytest.mark.parametrize("name", TOWERS)
def test_gradcam_of_a_sentence_is_that_of_plain_pytorch(name: str, contrast: str | None, norm: str) -> None:
    model, x = build(name), pictures()
    A, e = body_and_embedding(model, x)
    length = e.norm(dim=1).detach() if norm == "frozen" else e.norm(dim=1)
    cosine = lambda r: (e @ r / (length * r.norm()))[0]  # noqa: E731
    score = cosine(vector_of(model, CAT)) - (0 if contrast is None else cosine(vector_of(model, contrast)))
    (G,) = torch.autograd.grad(score, A)
    expected = (G.mean((2, 3), keepdim=True) * A).sum(1).relu()[0].detach()
    assert expected.max() > 0
    target = targets.text(CAT, contrast=contrast, tokenizer=tokenizer_of(name), freeze_norm=norm == "frozen")
    item = explain(name, target).one()
    assert item.decision.score == pytest.approx(score.item(), abs=1e-6)
    assert torch.allclose(item.flow[-1].values, expected, atol=1e-6 * float(expected.max()))
    assert item.decision.label == (f'"{CAT}"' if contrast is None else f'"{CAT}" rather than "{DOG}"')


@pytest.mark.parametrize("name", TOWERS)
def test_ablationcam_of_a_sentence_is_that_of_plain_pytorch(name: str) -> None:
    model, x = build(name), pictures()
    with torch.no_grad():
        A = body_and_embedding(model, x)[0]
        r = vector_of(model, CAT)
        score = lambda a: F.cosine_similarity(model.visual.projection(a.mean((2, 3))), r[None])[0]  # noqa: E731
        whole, weights = score(A), []
        for c in range(A.shape[1]):
            without = A.clone()
            without[:, c] = 0
            weights.append((whole - score(without)) / whole.abs())
        expected = (torch.stack(weights)[None, :, None, None] * A).sum(1).relu()[0]
    target = targets.text(CAT, tokenizer=tokenizer_of(name))
    item = explain(name, target, "ablationcam", options={"groups": 0}).one()
    assert torch.allclose(item.flow[-1].values, expected, atol=1e-4 * float(expected.max()))


@pytest.mark.parametrize("name", TOWERS)
def test_the_lrp_flow_of_a_sentence_conserves_its_cosine_without_biases(name: str) -> None:
    model = build(name)
    with torch.no_grad():
        for module in model.visual.modules():
            if getattr(module, "bias", None) is not None:
                module.bias.zero_()
    item = explain(name, targets.text(CAT, tokenizer=tokenizer_of(name)), "lrp", model=model).one()
    assert float(item.flow[-1].values.sum()) == pytest.approx(item.decision.score, rel=1e-3)


@pytest.mark.parametrize("name", TOWERS)
def test_every_method_answers_several_sentences_and_a_batch_gives_what_single_pictures_give(name: str) -> None:
    x, target = pictures(2), targets.text([CAT, DOG], tokenizer=tokenizer_of(name))
    together = explain(name, target, METHODS, x=x, options=FAST)
    apart = [item for i in range(2) for item in explain(name, target, METHODS, x=x[i : i + 1], options=FAST)]
    assert len(together) == len(apart) == 2 * 2 * len(METHODS)
    for one, other in zip(together, apart, strict=True):
        assert one.decision.label == other.decision.label
        assert one.decision.score == pytest.approx(other.decision.score, rel=1e-4)
        if one.method in ("scorecam", "ablationcam"):  # how channels are grouped may turn on the last digit
            continue
        left, right = one.flow[-1].values, other.flow[-1].values
        assert (left - right).abs().max() <= 1e-4 * right.abs().max() + 1e-9, one.method


def test_probabilities_are_those_that_the_model_was_trained_with() -> None:
    x, scale = pictures(), torch.tensor(2.0).exp()
    for name in ("open_clip", "siglip"):
        model = build(name)
        e = body_and_embedding(model, x)[1].detach()
        cosines = torch.stack([F.cosine_similarity(e, vector_of(model, one)[None]) for one in (CAT, DOG)], 1)[0]
        items = explain(name, targets.text([CAT, DOG], tokenizer=tokenizer_of(name)))
        expected = (cosines * scale - 1.5).sigmoid() if name == "siglip" else (cosines * scale).softmax(0)
        assert [item.decision.probability for item in items] == pytest.approx(expected.tolist(), abs=1e-6)
        scaled = explain(name, targets.text(CAT, tokenizer=tokenizer_of(name), scaled=True)).one()
        assert scaled.decision.score == pytest.approx(float(cosines[0] * scale), rel=1e-5)
    assert explain("open_clip", targets.text(CAT, tokenizer=tokens_of)).one().decision.probability is None
    contrast = targets.text([CAT, DOG], contrast="the bird", tokenizer=tokens_of)
    assert explain("open_clip", contrast)[0].decision.probability is None


@pytest.mark.parametrize("name", TOWERS)
def test_the_text_tower_runs_once_and_the_model_comes_back_as_it_was(name: str) -> None:
    model, reads = build(name).train(), []
    model.visual.eval()
    model.mixed.register_forward_hook(lambda *_: reads.append(1))
    state = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    target = targets.text(CAT, contrast=DOG, tokenizer=tokenizer_of(name))
    once = explain(name, target, model=model, x=pictures(3), batch_size=1)
    assert len(reads) == 1
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    again = explain(name, target, x=pictures(3))
    assert [item.decision.score for item in once] == pytest.approx([item.decision.score for item in again], rel=1e-5)


@pytest.mark.parametrize("model", [build("open_clip"), Visual().eval()], ids=["two towers", "an image tower alone"])
def test_an_image_is_compared_with_any_embedding(model: Any) -> None:
    x, r = pictures(2), torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(0))
    visual = getattr(model, "visual", model)
    with torch.no_grad():
        expected = F.cosine_similarity(visual(x)[:, None], r[None], dim=2)
    layers = [BODY if visual is not model else "body"]
    items = sightline.explain(
        model, x, target=targets.text(r, name=["mine", "yours"]), method="gradcam", layers=layers
    )
    assert [item.decision.score for item in items] == pytest.approx(expected.flatten().tolist(), abs=1e-6)
    assert [item.decision.label for item in items[:2]] == ["likeness to mine", "likeness to yours"]
    rather = targets.text(r[0], contrast=r[1])
    item = sightline.explain(model, x[:1], target=rather, method="gradcam", layers=layers).one()
    assert item.decision.score == pytest.approx(float(expected[0, 0] - expected[0, 1]), abs=1e-6)


def test_a_model_inside_another_and_a_tokenizer_that_it_brings_are_found() -> None:
    class Lightning(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.clip = build("hugging")

        def forward(self, batch: Any) -> Any:
            raise AssertionError("not called")

    own = build("hugging")
    own.tokenizer = tokenizer_of("hugging")
    brought = explain("hugging", targets.text(CAT), model=own).one()
    inner = explain("hugging", targets.text(CAT, tokenizer=tokenizer_of("hugging")), model=Lightning().eval()).one()
    assert brought.decision.score == pytest.approx(inner.decision.score)
    assert torch.equal(brought.flow[-1].values, inner.flow[-1].values)


def test_a_contrast_is_asked_for_in_every_way() -> None:
    asks = (
        lambda: explain("open_clip", targets.text(CAT, contrast=DOG, tokenizer=tokens_of)),
        lambda: explain("open_clip", targets.text(CAT, tokenizer=tokens_of), contrast=DOG),
    )
    one, other = (ask().one() for ask in asks)
    assert one.decision.label == other.decision.label == f'"{CAT}" rather than "{DOG}"'
    assert torch.equal(one.flow[-1].values, other.flow[-1].values)


class Deaf(Visual):
    pass


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: targets.text(""), "no sentence was given"),
        (lambda: targets.text([]), "no sentence was given"),
        (lambda: targets.text([CAT, 3]), "no sentence was given"),
        (lambda: targets.text(torch.ones(1, 2, 3)), "embeddings must have shape"),
        (lambda: targets.text(torch.ones(2, 3), name=["a", "b", "c"]), "2 embeddings came with 3 names"),
        (lambda: targets.text(CAT, contrast=torch.ones(2, 3)), "the contrast must be one embedding"),
        (lambda: targets.text(CAT).read(torch.ones(1, 3), None), "has no embedding yet"),
        (lambda: explain("open_clip", targets.text(CAT)), "no tokenizer was found with OpenClip"),
        (lambda: explain("open_clip", targets.text(CAT), model=Deaf().eval()), "Deaf has no text tower"),
        (lambda: explain("open_clip", targets.text(torch.ones(3))), "the reference has 3 numbers, but"),
        (lambda: explain("open_clip", targets.text(CAT, tokenizer=lambda s: torch.full((1, 3), 99))), "failed on the tokens"),  # noqa: E501
        (lambda: explain("open_clip", targets.text(CAT, tokenizer=lambda s: torch.zeros(2, 3).long())), "one vector for each"),  # noqa: E501
        (lambda: explain("open_clip", targets.text(torch.zeros(WIDTH))), "is zero, so it has no direction"),
        (lambda: sightline.explain(Visual().eval(), pictures(), target=targets.text(torch.ones(WIDTH), scaled=True), layers=["body"]), "no logit_scale"),  # noqa: E501
        (lambda: explain("open_clip", targets.text(CAT, tokenizer=tokens_of), score="log-softmax"), "a log-softmax"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(call: Any, sentence: str) -> None:
    with pytest.raises(SightlineError) as problem:
        call()
    assert sentence in str(problem.value)


def test_a_sentence_that_is_too_long_is_refused() -> None:
    model = build("hugging")
    model.config = type("Config", (), {"text_config": type("Text", (), {"max_position_embeddings": 6})()})()
    explain("hugging", targets.text("a photo of", tokenizer=tokenizer_of("hugging")), model=model)
    with pytest.raises(TargetError, match="has 7 tokens, but the text tower takes 6"):
        explain("hugging", targets.text(CAT, tokenizer=tokenizer_of("hugging")), model=model)


def test_pictures_are_any_that_the_tower_takes() -> None:
    wide = torch.rand(1, 3, SIDE, 2 * SIDE)
    item = explain("open_clip", targets.text(CAT, tokenizer=tokens_of), x=wide).one()
    assert item.flow[-1].values.shape == (SIDE // 4, SIDE // 2)
