"""A segment is explained by the mean score of a class over a region."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sightline import targets
from sightline.errors import TargetError
from sightline.targets import parse_target

NAMES = ("ground", "cat", "dog")
# Rows of the 2x3 picture: ground ground cat / cat cat cat; never dog.
LOGITS = torch.tensor(
    [[[[2.0, 3.0, 0.0], [0.0, 0.0, 0.0]], [[1.0, 1.0, 4.0], [5.0, 6.0, 7.0]], [[0.5, 2.0, 1.0], [1.0, 1.0, 1.0]]]]
)
BOTH = torch.cat([LOGITS, LOGITS.flip(3)])


def read(target: Any, output: Any = LOGITS, labels: Any = NAMES) -> Any:
    return parse_target(target).on((2, 3)).read(output, labels)


def test_its_own_region_is_where_the_class_is_the_highest() -> None:
    readout = read(targets.segment(["cat", "ground"]))
    assert readout.scores.tolist() == [[(4 + 5 + 6 + 7) / 4, 2.5]]
    assert readout.labels == (("cat", "ground"),)
    assert readout.indices.tolist() == [[1, 0]]


def test_a_mask_and_the_whole_picture_are_regions_too() -> None:
    mask = torch.tensor([[True, False, True], [False, False, False]])
    for region in (mask, mask.numpy(), mask[None], mask.tolist()):
        assert read(targets.segment("cat", region=region)).scores.tolist() == [[2.5]]
    assert read(targets.segment(2, region="all")).scores.tolist() == [[pytest.approx(6.5 / 6)]]


def test_a_mask_is_brought_to_the_size_of_the_logits_by_area() -> None:
    mask = torch.zeros(8, 12)
    mask[:4, 8:] = 1  # the place (0, 2)
    mask[4:, 0:2] = 1  # half of the place (1, 0)
    target = targets.segment("cat", region=mask).on((8, 12))
    assert target.read(LOGITS, NAMES).scores.tolist() == [[pytest.approx((4 * 1 + 5 * 0.5) / 1.5)]]


def test_without_a_class_those_that_cover_most_are_taken() -> None:
    for target in (targets.segment(), "segment:top1", targets.segment("top")):
        assert read(target).labels == (("cat",),)
    assert read("segment:top2").labels == (("cat", "ground"),)
    assert read("segment:dog", BOTH).indices.tolist() == [[2], [2]]


def test_an_empty_region_scores_zero_and_says_what_there_is() -> None:
    logits = LOGITS.clone().requires_grad_()
    readout = read("segment:dog", logits)
    assert readout.scores.tolist() == [[0.0]]
    assert readout.labels == (("dog (nowhere; there is cat, ground)",),)
    (gradient,) = torch.autograd.grad(readout.scores.sum(), logits)
    assert not gradient.any()


def test_a_frozen_target_asks_about_the_same_places() -> None:
    target = targets.segment("top1").frozen(BOTH, NAMES)
    changed = BOTH.flip(1) * 2  # another class is the highest everywhere
    expected = [2 * LOGITS[0, 1][LOGITS[0].argmax(0) == 1].mean().item()] * 2
    assert target.read(changed.flip(1), NAMES).scores.flatten().tolist() == pytest.approx(expected)
    assert target.rows([1, 0, 0]).read(BOTH[[1, 0, 0]], NAMES).scores.flatten().tolist() == [5.5] * 3
    swapped = target.rows([1]).read(BOTH[:1], NAMES)  # the flipped region on the unflipped picture
    assert swapped.scores.tolist() == [[pytest.approx((1 + 5 + 6 + 7) / 4)]]


def test_masks_of_each_picture_go_with_it() -> None:
    masks = torch.zeros(2, 2, 3)
    masks[0, 0, 0] = masks[1, 1, 2] = 1
    target = targets.segment("cat", region=masks)
    assert target.read(BOTH, NAMES).scores.flatten().tolist() == [1.0, 5.0]
    assert target.rows(slice(1, 2)).read(BOTH[1:], NAMES).scores.tolist() == [[5.0]]
    with pytest.raises(TargetError, match="masks of 2 pictures were given for a batch of 1"):
        target.read(LOGITS, NAMES)


def test_the_readout_holds_the_region_of_a_picture_and_none_for_all_of_it() -> None:
    regions = read(targets.segment("cat")).regions
    assert torch.equal(regions[:, 0], (LOGITS.argmax(1) == NAMES.index("cat")).float())
    assert read(targets.segment("cat", region="all")).regions is None
    assert read(targets.segment(0), torch.randn(1, 3, 9), None).regions.shape == (1, 1, 9)
    assert read(targets.segment(0), torch.randn(1, 3, 4, 5, 6), None).regions is None


def test_a_contrast_takes_the_other_class_over_the_same_region_off() -> None:
    cat, dog = LOGITS[0, 1], LOGITS[0, 2]
    inside = LOGITS[0].argmax(0) == 1
    expected = (cat - dog)[inside].mean().item()
    for target in (
        targets.segment("cat", contrast="dog"),
        parse_target("segment:cat", contrast="dog"),
        targets.segment("cat", contrast="runner-up"),
    ):
        readout = read(target)
        assert readout.scores.tolist() == [[pytest.approx(expected)]]
        assert readout.labels == (("cat rather than dog",),)
        assert readout.against.tolist() == [[2]]
    fixed = targets.segment("cat", contrast="runner-up").frozen(LOGITS, NAMES)
    assert fixed.read(LOGITS.flip(1), NAMES).against.tolist() == [[2]]


def test_a_single_output_covers_where_it_is_positive() -> None:
    logits = torch.tensor([[[[-1.0, 2.0, 4.0], [-3.0, -1.0, 0.0]]]])
    assert read("segment:0", logits, None).scores.tolist() == [[3.0]]
    assert read(targets.segment(), logits, ("background", "tumour")).labels == (("tumour",),)
    assert read("segment:tumour", -logits.abs(), ("tumour",)).labels == (("tumour (nowhere; there is nothing)",),)
    with pytest.raises(TargetError, match="this model has one output"):
        read(targets.segment(0, contrast=0), logits, None)


def test_signals_and_volumes_have_segments() -> None:
    assert targets.segment(1).on((3,)).read(LOGITS[:, :, 1], None).scores.tolist() == [[6.0]]
    volume = LOGITS[:, :, None].expand(-1, -1, 4, -1, -1)
    assert targets.segment(1).on((4, 2, 3)).read(volume, None).scores.tolist() == [[5.5]]


def test_half_precision_does_not_overflow() -> None:
    logits = torch.full((1, 2, 400, 400), 3.0, dtype=torch.float16)
    assert targets.segment(0, region="all").read(logits, None).scores.tolist() == [[3.0]]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: targets.segment("cat", region="mine"), "a region is 'own', 'all' or a mask"),
        (lambda: targets.segment("cat", region=object()), "a region is 'own', 'all' or a mask"),
        (lambda: targets.segment("cat", region=torch.zeros(2, 3)), "holds no place"),
        (lambda: targets.segment("cat", region=torch.eye(2)[None].repeat(2, 1, 1) * torch.tensor([1, 0])[:, None, None]), "holds no place"),  # noqa: E501
        (lambda: targets.segment("cat", region=-torch.ones(2, 3)), "numbers below 0"),
        (lambda: targets.segment("cat", region=torch.ones(3, 2)).on((2, 3)), "has shape (3, 2), but the input has"),
        (lambda: targets.segment([]), "no class was asked for"),
        (lambda: targets.segment("top0").check(None, None), "ask for at least 1"),
        (lambda: read("segment:top4"), "this model has 3 classes"),
        (lambda: targets.segment("cot").check(None, NAMES), "near names: 'cat'"),
        (lambda: targets.segment("cat", contrast="dgo").check(None, NAMES), "near names: 'dog'"),
        (lambda: targets.segment("cat").check(None, None), "has no labels"),
        (lambda: read("segment:7", labels=None), "the classes of this model are 0 to 2"),
        (lambda: read("segment:cat", labels=("cat", "dog")), "there are 2 labels, but the model has 3 outputs"),
        (lambda: read("segment:cat", torch.zeros(1, 3)), "a segment needs logits of shape"),
        (lambda: read("segment:cat", torch.zeros(1, 3, 2, 3, dtype=torch.long)), "a segment needs logits of shape"),
        (lambda: parse_target("segment:cat", score="log-softmax"), "a log-softmax is taken of classes"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(call: Any, sentence: str) -> None:
    with pytest.raises(TargetError) as problem:
        call()
    assert sentence in str(problem.value)
