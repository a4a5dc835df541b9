"""Pairs of pictures: two flows from one question, for every method, and what cannot be compared is told."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import sightline
from sightline.api.embed import embed
from sightline.api.explain_pair import explain_pair, side_by_side
from sightline.errors import InputError, ModelError, ResultError, SightlineError, TargetError
from sightline.explainers import METHODS
from sightline.targets import CosineSimilarity, InfoNCE, NearestNeighbours, Prototypes, Target
from tests.batteries.test_model_comes_back import FAST
from tests.tiny import build, picture

A, B = picture(2), picture(4)[2:].flip(-1)


def name_of(method: str) -> str:
    return "vit_token" if METHODS[method].needs == "attention" else "plain_inplace"


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
def test_a_pair_gives_a_flow_over_each_picture(similarity: str) -> None:
    model = build("residual")
    found = explain_pair(model, A, B, similarity=similarity, sources=(("p", "q"), ("r", "s")))
    assert [item.source for item in found] == ["p", "r", "q", "s"]
    assert found[0].decision.score == pytest.approx(found[1].decision.score, rel=1e-4)
    assert found[0].decision.label.endswith(" to r")
    assert found[1].decision.label.endswith(" to p")
    assert found[0].provenance["embedding"] == "input of 'fc'"
    alone = sightline.explain(model, B, target=None, method="gradcam")
    assert found[1].flow.layers == alone[0].flow.layers


def test_the_score_is_the_similarity_of_the_embeddings() -> None:
    model = build("residual")
    e, r = embed(model, A), embed(model, B)
    found = explain_pair(model, A, B)
    wanted = torch.cosine_similarity(e, r)
    assert [found[0].decision.score, found[2].decision.score] == pytest.approx(wanted.tolist(), rel=1e-4)


def test_norm_frozen_evidence_of_a_linear_read_out_sums_to_the_cosine() -> None:
    """HiResCAM before the pooling: sum over places of G x A is the cosine, which only the frozen norm gives."""
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x, reference = picture(2), embed(model, picture(3)[2:])[0]
    for freeze, share in ((True, 1.0), (False, 0.0)):
        target = CosineSimilarity(reference, freeze_norm=freeze)
        found = sightline.explain(model, x, target=target, method="gradxact", layers="1")
        sums = [float(item.flow[-1].values.sum()) for item in found]
        assert sums == pytest.approx([share * item.decision.score for item in found], abs=1e-5)


def targets() -> dict[str, Target]:
    model = build("plain_inplace")
    bank = embed(model, picture(6))
    return {
        "cosine": CosineSimilarity(bank[:2]),
        "prototypes": Prototypes(bank[:3]),
        "infonce": InfoNCE(bank, torch.tensor([1, 4])),
        "neighbours": NearestNeighbours(bank, torch.arange(6) % 2, k=3),
    }


@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_a_pair(method: str) -> None:
    model = build(name_of(method))
    found = explain_pair(model, A, B, method=method, options=FAST.get(method), batch_size=3)
    whole = explain_pair(model, A, B, method=method, options=FAST.get(method))
    assert len(found) == 4
    for item, same in zip(found, whole, strict=True):
        assert item.decision.score == pytest.approx(same.decision.score, rel=1e-4)
        for left, right in zip(item.flow.maps, same.flow.maps, strict=True):
            assert left.values.isfinite().all()
            assert (left.values - right.values).abs().max() <= 1e-4 * right.values.abs().max() + 1e-6


@pytest.mark.parametrize("kind", ["cosine", "prototypes", "infonce", "neighbours"])
@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].needs != "attention"])
def test_every_method_takes_every_similarity(method: str, kind: str) -> None:
    model, target = build("plain_inplace"), targets()[kind]
    found = sightline.explain(model, A, target=target, method=method, options=FAST.get(method))
    apart = sightline.explain(model, A, target=target, method=method, options=FAST.get(method), batch_size=1)
    assert [i.decision.label for i in found] == [i.decision.label for i in apart]
    assert [i.decision.score for i in found] == pytest.approx([i.decision.score for i in apart], rel=1e-4)
    assert all(map_.values.isfinite().all() for item in found for map_ in item.flow.maps)


@pytest.mark.parametrize("method", ["gradcam", "scorecam", "saliency", "occlusion"])
def test_a_class_for_each_sample_holds_in_whatever_chunks(method: str) -> None:
    if METHODS[method].needs == "captum":
        pytest.importorskip("captum")
    model, classes = build("plain_inplace"), torch.tensor([3, 1])
    found = sightline.explain(model, A, target=classes, method=method, options=FAST.get(method), batch_size=1)
    assert [item.decision.index for item in found] == [3, 1]


def test_two_flows_are_drawn_as_one() -> None:
    found = explain_pair(build("residual"), A[:1], B[:1], images=(A[:1].sigmoid(), B[:1].sigmoid()))
    both = side_by_side(*found)
    assert both.image.shape == (3, 16, 32)
    assert both.decision.label == "cosine similarity of a and b"
    for one, other, joined in zip(found[0].flow.maps, found[1].flow.maps, both.flow.maps, strict=True):
        assert torch.equal(joined.values, torch.cat([one.values, other.values], 1))
    with pytest.raises(ResultError, match="cannot be drawn as one"):
        side_by_side(found[0], explain_pair(build("residual"), A[:1], B[:1], method="layercam")[1])


def test_the_model_comes_back_as_it_was() -> None:
    model = build("residual").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    explain_pair(model, A, B)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    ("kind", "text", "call"),
    [
        (InputError, "compared at one size", lambda m: explain_pair(m, A, torch.rand(2, 3, 20, 20))),
        (InputError, "2 pictures came with 1", lambda m: explain_pair(m, A, B[:1])),
        (InputError, "a pair is two tensors", lambda m: explain_pair(m, A[0], B[0])),
        (InputError, "2 pairs came with 3 sources", lambda m: explain_pair(m, A, B, sources=(("a", "b"), ("c",)))),
        (TargetError, "no similarity 'cos'", lambda m: explain_pair(m, A, B, similarity="cos")),
        (ModelError, "has no module 'nowhere'", lambda m: explain_pair(m, A, B, embedding="nowhere")),
        (TargetError, "needs an embedding of shape", lambda m: explain_pair(m, A, B, embedding="layers")),
        (TargetError, "needs an embedding of shape", lambda m: explain_pair(nn.Conv2d(3, 4, 3), A, B)),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_sentence(kind: type[SightlineError], text: str, call) -> None:
    with pytest.raises(kind, match=text):
        call(build("residual"))
