"""`Probe`: a model as the metrics see it - inputs in, one score per row out, in bounded batches.

It must not know what a metric does with the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from sightline.common.chunks import in_chunks
from sightline.common.modes import evaluating
from sightline.errors import InputError, TargetError
from sightline.results.domains import IMAGE, Domain
from sightline.targets.base import class_logits
from sightline.targets.outputs import describe
from sightline.targets.select import select_output

CACHED = 4 * 3 * 224 * 224
"""Numbers of input whose activations a CPU's caches hold about: more rows at once make each of them dearer."""

Output = Literal["probability", "sigmoid", "logit"]
"""What is read of a class."""
Reader = Callable[[Tensor, Tensor], Tensor]
"""Reads scores `[r]` off a model's output, given the sample `[r]` that each row belongs to."""


@dataclass(frozen=True, eq=False)
class Probe:
    """The decision that is being judged.

    Args:
        model: a callable from inputs `[r, ...]` to class scores `[r, k]`. A module is put into evaluation mode for
            the time of a measurement and given back as it was.
        targets: a class per sample; or a `Reader`; or None for the class that the model itself prefers.
        output: `"probability"` reads soft-max probabilities, `"sigmoid"` those of labels that do not exclude each
            other, `"logit"` the raw output, which may be probabilities already.
        batch_size: rows per forward; None for as many as the CPU's caches hold (four pictures of 224 px, eight small
            ones), and 64 elsewhere. Halved, and
            logged, when the memory does not suffice.
        domain: what the maps lie over.
        grid: `"input"` enlarges a coarse map bilinearly and deletes single positions of the input; `"cells"` deletes
            the cells of the map itself, each as a block of the input.
        memory: inputs and their scores, where `remembering` has taken them already.
        beside: further inputs `[b, ...]` of the same samples, which stay as they are: the sound of a clip whose
            picture is judged.
        place: which argument of the model the judged input is; those of `beside` are the others, in their order.

    Example:
        >>> probe = Probe(lambda x: x.flatten(1), torch.tensor([2]), output="logit")
        >>> probe.scores(torch.eye(3)[None, None] * 5)[1]
        tensor([0.])
    """

    model: Callable[..., Tensor]
    targets: Int[Tensor, "b"] | Reader | None = None
    output: Output = "probability"
    batch_size: int | None = None
    domain: Domain = IMAGE
    grid: Literal["input", "cells"] = "input"
    memory: tuple[Tensor, Float[Tensor, "b"]] | None = None
    beside: tuple[Num[Tensor, "b ..."], ...] = ()
    place: int = 0

    def __post_init__(self) -> None:
        if self.output not in get_args(Output) or self.grid not in ("input", "cells"):
            raise InputError(
                "output is 'probability', 'sigmoid' or 'logit' and grid is 'input' or 'cells'; "
                f"got {self.output!r} and {self.grid!r}"
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size is the number of rows per forward and at least 1; got {self.batch_size}")
        if not 0 <= self.place <= len(self.beside):
            raise InputError(
                f"place is the number of the judged input among the model's {len(self.beside) + 1}; got {self.place}"
            )

    def scores(self, inputs: Num[Tensor, "b ..."]) -> tuple[Probe, Float[Tensor, "b"]]:
        """Scores of the inputs as they are, and this probe with its targets fixed; one forward per sample.

        Raises:
            TargetError: the targets do not fit the inputs or the model's output.
            InputError: an input beside them is of other samples.
        """
        if self.memory is not None and self.memory[0] is inputs:
            return self, self.memory[1]
        if any(len(other) != len(inputs) for other in self.beside):
            raise InputError(
                f"beside holds an input for each of the {len(inputs)} samples; got {[len(o) for o in self.beside]}"
            )
        sized = replace(self, batch_size=self.at_once(inputs))
        samples = torch.arange(len(inputs), device=inputs.device)
        if self.targets is not None:
            fixed = sized.fixed(inputs)
            return fixed, fixed.rows(samples, lambda rows: inputs[rows])
        both = sized._evaluate(samples, lambda rows: inputs[rows], _favourite(self.output))
        return replace(sized, targets=both[:, 0].long()), both[:, 1]

    def fixed(self, inputs: Num[Tensor, "b ..."]) -> Probe:
        """This probe with its given targets on the inputs' device, once they are seen to fit.

        Raises:
            TargetError: there is not one class per sample.
        """
        if not isinstance(self.targets, Tensor):
            return self
        if self.targets.shape != (len(inputs),):
            raise TargetError(
                f"one class per sample: got targets of shape {tuple(self.targets.shape)} for {len(inputs)} samples"
            )
        return replace(self, targets=self.targets.to(inputs.device))

    def remembering(self, inputs: Num[Tensor, "b ..."]) -> Probe:
        """This probe with its targets fixed, and remembering the scores of these very inputs.

        Metrics that are asked about many maps of the same inputs then score the inputs once, not once per map.

        Raises:
            TargetError: the targets do not fit the inputs or the model's output.
        """
        fixed, scores = self.scores(inputs)
        return replace(fixed, memory=(inputs, scores))

    def rows(self, samples: Int[Tensor, "r"], build: Callable[[slice], Tensor]) -> Float[Tensor, "r"]:
        """Scores of rows that are built when they are needed.

        Args:
            samples: the sample that each row is a variant of.
            build: makes the inputs of a slice of rows.

        Returns:
            One score per row, in fp32 (fp64 for models in fp64).
        """
        return self._evaluate(samples, build, self._read)

    def choices(self, samples: Int[Tensor, "r"], build: Callable[[slice], Tensor]) -> Int[Tensor, "r"]:
        """The class that the model prefers in each row."""
        return self._evaluate(samples, build, lambda output, _: _matrix(output).argmax(1))

    def at_once(self, inputs: Num[Tensor, "b ..."]) -> int:
        """Rows per forward for such inputs on their device."""
        if self.batch_size is not None or not len(inputs):
            return self.batch_size or 1
        return max(1, min(8, CACHED // inputs[0].numel())) if inputs.device.type == "cpu" else 64

    def _evaluate(self, samples: Tensor, build: Callable[[slice], Tensor], read: Reader) -> Tensor:
        if not len(samples):
            raise InputError("there is nothing to score: the batch is empty")
        with evaluating(self.model), torch.inference_mode():
            parts = in_chunks(
                lambda rows: read(self.model(*self._arguments(build(rows), samples[rows])), samples[rows]),
                len(samples),
                self.batch_size or (8 if samples.device.type == "cpu" else 64),
            )
            scores = torch.cat([scores for _, scores in parts])
        return scores.clone()

    def _arguments(self, judged: Tensor, samples: Tensor) -> tuple[Tensor, ...]:
        others = [other[samples] for other in self.beside]
        return (*others[: self.place], judged, *others[self.place :])

    def _read(self, output: Tensor, samples: Tensor) -> Tensor:
        if isinstance(self.targets, Tensor):
            chosen = self.targets[samples][:, None]
            return _scaled(_matrix(output), self.output).gather(1, chosen).squeeze(1)
        if self.targets is None:
            raise TargetError("this probe's targets are not fixed yet; use the probe that Probe.scores returns")
        scores = self.targets(output, samples)
        if scores.shape != samples.shape:
            raise TargetError(f"a reader gives one score per row; got {tuple(scores.shape)} for {len(samples)} rows")
        return _precise(scores)


def _favourite(output: Output) -> Reader:
    def read(logits: Tensor, _: Tensor) -> Tensor:
        best = _scaled(_matrix(logits), output).max(1)
        return torch.stack([best.indices.to(best.values.dtype), best.values], dim=1)

    return read


def _matrix(output: Any) -> Float[Tensor, "r k"]:
    try:
        return _precise(class_logits(select_output(output)))
    except TargetError as problem:
        raise TargetError(
            f"class targets are read off logits [rows, classes], but the model returned {describe(output)}. "
            "Try: a lambda that returns the logits, or a reader as targets"
        ) from problem


def _scaled(logits: Float[Tensor, "r k"], output: Output) -> Float[Tensor, "r k"]:
    if output != "probability":
        return logits.sigmoid() if output == "sigmoid" else logits
    if logits.shape[1] < 2:
        raise TargetError("the model has one class only, whose soft-max probability is always 1. Try: output='logit'")
    return logits.softmax(1)


def _precise(scores: Tensor) -> Tensor:
    return scores if scores.dtype == torch.float64 else scores.float()
