"""A ranking says what the numbers say: paired, with controls, and no winner inside the noise."""

from __future__ import annotations

import pytest
import torch

from sightline.compare import Row, rank
from sightline.errors import DataError

N = 40


def rows(values: dict[str, torch.Tensor], metric: str = "energy-in-mask") -> list[Row]:
    return [
        Row(f"{i:02d}", method, "late", "layer4", metric, float(value), "ok" if value == value else "zero")
        for method, column in values.items()
        for i, value in enumerate(column)
    ]


def columns(**means: float) -> dict[str, torch.Tensor]:
    """A column per method around its mean; the samples differ much more than the methods, alike for all."""
    generator = torch.Generator().manual_seed(0)
    sample = torch.rand(N, generator=generator) * 0.5
    return {
        name.replace("plus", "++"): mean + sample + 0.01 * torch.randn(N, generator=generator)
        for name, mean in means.items()
    }


def standing(answer: object, method: str) -> object:
    return next(s for s in answer.standings if s.method == method)


def test_paired_differences_tell_methods_apart_that_plain_intervals_cannot() -> None:
    answer = rank(rows(columns(gradcam=0.25, layercam=0.2, uniform=0.1, random=0.1)))
    best, second = standing(answer, "gradcam"), standing(answer, "layercam")
    assert best.interval.low < second.interval.high
    assert (best.level, second.level) == (True, False)
    assert best.beats_controls
    assert second.beats_controls
    assert answer.verdict.startswith("gradcam is with the best")
    assert "in 1 of 1 comparisons" in answer.verdict


def test_methods_inside_the_noise_are_level_with_each_other() -> None:
    answer = rank(rows(columns(gradcam=0.2, layercam=0.2, uniform=0.1)))
    assert standing(answer, "gradcam").level
    assert standing(answer, "layercam").level
    assert "are level with each other" in answer.verdict
    assert answer.wins == {"gradcam": (1, 1), "layercam": (1, 1)}


def test_what_does_not_beat_the_nulls_wins_nothing() -> None:
    answer = rank(rows(columns(gradcam=0.1, uniform=0.1, gaussian=0.3)))
    assert not standing(answer, "gradcam").beats_controls
    assert answer.wins == {"gradcam": (0, 1)}
    assert "No method beats the controls" in answer.verdict


def test_lower_is_better_where_the_metric_says_so() -> None:
    answer = rank(rows(columns(gradcam=0.1, layercam=0.3, uniform=0.5), "deletion"))
    assert [s.method for s in answer.standings] == ["gradcam", "layercam", "uniform"]
    assert standing(answer, "gradcam").level
    assert not standing(answer, "layercam").level


def test_skipped_samples_are_counted_and_not_averaged_in() -> None:
    values = columns(gradcam=0.3, uniform=0.1)
    values["gradcam"][:5] = float("nan")
    values["layercam"] = torch.full((N,), float("nan"))
    answer = rank(rows(values))
    found = standing(answer, "gradcam")
    assert found.interval.n == N - 5
    assert found.skipped == {"zero": 5}
    assert found.interval.mean == pytest.approx(float(values["gradcam"][5:].double().mean()))
    assert standing(answer, "layercam").interval is None
    assert not standing(answer, "layercam").level


def test_how_sparse_a_map_is_is_no_merit() -> None:
    assert rank(rows(columns(gradcam=0.3, uniform=0.1), "sparseness")).wins == {}


def test_nothing_to_rank_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to rank"):
        rank([])
