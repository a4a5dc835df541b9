"""The memory budget halves the chunk when memory runs out, and only then."""

from __future__ import annotations

import logging

import pytest
import torch

from sightline.common.chunks import in_chunks, out_of_memory
from sightline.errors import InputError


def test_chunks_cover_everything_in_order() -> None:
    assert [part for part, _ in in_chunks(lambda p: None, 7, 3)] == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert [part for part, _ in in_chunks(lambda p: None, 4)] == [slice(0, 4)]
    assert list(in_chunks(lambda p: None, 0)) == []


def test_memory_shortage_halves_the_chunk_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    tried = []

    def work(part: slice) -> int:
        tried.append(part.stop - part.start)
        if part.stop - part.start > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return part.stop - part.start

    with caplog.at_level(logging.WARNING):
        assert [size for _, size in in_chunks(work, 9)] == [2, 2, 2, 2, 1]
    assert tried[:3] == [9, 4, 2]
    assert "going on with 4 samples at a time" in caplog.text


def test_one_sample_that_does_not_fit_is_an_error() -> None:
    def work(part: slice) -> None:
        raise MemoryError

    with pytest.raises(InputError, match="single sample"):
        list(in_chunks(work, 2))


def test_other_errors_pass() -> None:
    def work(part: slice) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        list(in_chunks(work, 2))


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        list(in_chunks(lambda p: None, 2, 0))


@pytest.mark.parametrize(
    ("problem", "memory"),
    [
        (torch.OutOfMemoryError("x"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_memory_errors_are_told_from_others(problem: BaseException, memory: bool) -> None:
    assert out_of_memory(problem) is memory
