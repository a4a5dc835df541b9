"""BLEU, ROUGE-L and CIDEr-D against values that pycocoevalcap 1.2 printed for sentences of ours."""

from __future__ import annotations

import json
import math
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from sightline.errors import InputError
from sightline.tasks.captioning.metrics.bleu import bleu, bleu_each
from sightline.tasks.captioning.metrics.cider import CiderD, cider_d
from sightline.tasks.captioning.metrics.rouge import common_length, rouge_l
from sightline.tasks.captioning.metrics.scores import caption_scores

FIXTURE: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "pycocoevalcap.json").read_text("utf-8"))
REFERENCES = [[sentence.split() for sentence in own] for own in FIXTURE["references"].values()]


@pytest.fixture(params=FIXTURE["cases"])
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    own = FIXTURE["cases"][request.param]
    return {**own, "words": [own["candidates"][key].split() for key in FIXTURE["references"]]}


def test_bleu_of_a_set_and_of_each_caption_is_that_of_pycocoevalcap(case: dict[str, Any]) -> None:
    assert bleu(case["words"], REFERENCES) == pytest.approx(case["bleu"], abs=1e-12)
    each = list(map(list, zip(*bleu_each(case["words"], REFERENCES), strict=True)))
    for own, theirs in zip(each, case["bleu_each"], strict=True):
        assert own == pytest.approx(theirs, abs=1e-12)


def test_rouge_is_that_of_pycocoevalcap(case: dict[str, Any]) -> None:
    assert rouge_l(case["words"], REFERENCES) == pytest.approx(case["rouge_each"], abs=1e-12)


def test_cider_is_that_of_pycocoevalcap(case: dict[str, Any]) -> None:
    assert cider_d(case["words"], REFERENCES) == pytest.approx(case["cider_each"], abs=1e-9)


def test_all_of_them_together_with_intervals(case: dict[str, Any]) -> None:
    scores = caption_scores(case["words"], REFERENCES)
    assert scores.row()["cider_d"] == pytest.approx(case["cider"], abs=1e-9)
    assert scores.row()["rouge_l"] == pytest.approx(case["rouge"], abs=1e-12)
    assert scores.row()["bleu4"] == pytest.approx(case["bleu"][3], abs=1e-12)
    assert scores.cider.low <= scores.cider.mean <= scores.cider.high


def test_the_longest_common_subsequence_is_that_of_trying_all() -> None:
    a, b = ["a", "b", "c", "a", "b", "d"], ["b", "a", "c", "b", "a", "d"]
    tries = {n for n in range(7) for part in combinations(a, n) if part in set(combinations(b, n))}
    assert common_length(a, b) == max(tries)


def test_a_reference_is_weighed_once_and_scores_do_not_depend_on_earlier_calls() -> None:
    collection = CiderD(REFERENCES)
    first = collection.score(["a", "red", "circle"], REFERENCES[0])
    collection.score(["a", "ring"], REFERENCES[4])
    assert collection.score(["a", "red", "circle"], REFERENCES[0]) == first
    assert math.isfinite(first)


def test_an_image_without_references_and_unequal_numbers_are_refused() -> None:
    with pytest.raises(InputError, match=r"image 1 has no reference caption \(1 of 2 have none\)"):
        bleu([["a"], ["b"]], [[["a"]], []])
    with pytest.raises(InputError, match="1 captions came with references of 2 images"):
        rouge_l([["a"]], [[["a"]], [["b"]]])


def test_an_empty_caption_scores_nothing() -> None:
    words = [[], *([["a"]] * 5)]
    assert rouge_l(words, REFERENCES)[0] == 0
    assert cider_d(words, REFERENCES)[0] == 0
    assert math.isfinite(bleu(words, REFERENCES)[3])
