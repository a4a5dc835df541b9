"""`Score`: what a scheme is worth before its size is weighed - here, accuracy of a supernet that uses it.

A searcher sees a function from schemes to numbers and nothing of what is behind it, so it also runs on a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightline.common.modes import evaluating
from sightline.errors import GateError
from sightline.gates.scheme import Scheme
from sightline.tasks.gate_search.network import scheme_in_use

Score = Callable[[Scheme], float]
"""What a scheme reaches; higher is better, in whatever unit."""

Batches = Iterable[Any]
"""Batches that can be gone through again and again: `(inputs, labels)`, or `inputs` where labels are not needed."""


def recalibrate(model: nn.Module, batches: Batches) -> nn.Module:
    """Estimate the running statistics of all batch norms anew, in place, as the mean over batches of one size.

    A supernet's statistics are a mixture over all masks of its training and fit no single scheme. Weights, mode and
    momentum stay; only batch norms run in training mode meanwhile, so dropout draws nothing.

    Args:
        model: any module; without batch norms nothing happens.
        batches: batches of training pictures.

    Raises:
        GateError: there is no batch.
    """
    norms = [part for part in model.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
    if not norms:
        return model
    passes = 0
    with evaluating(model, buffers=False, randomness=False), torch.no_grad():
        for norm in norms:
            norm.reset_running_stats()
            # Without a momentum torch takes the plain mean over all batches.
            norm.momentum, norm.training = None, True
        for batch in batches:
            model(_inputs(batch))
            passes += 1
    if not passes:
        raise GateError("batch norms were to be estimated anew, but there is no batch; hand in a list of batches")
    return model


class Accuracy:
    """Share of pictures that a supernet classifies rightly while it uses a scheme; the model is left as it was.

    Args:
        model: a supernet, on the device of the batches.
        batches: validation pictures with labels; gone through once per scheme.
        calibration: training pictures, to estimate batch norms anew for every scheme (`recalibrate`); None takes
            the supernet's statistics, as published.

    Raises:
        GateError: nothing is plugged, or, when called, there is no picture.
    """

    def __init__(self, model: nn.Module, batches: Batches, *, calibration: Batches | None = None) -> None:
        with scheme_in_use(model):
            pass
        self._model = model
        self._batches = batches
        self._calibration = calibration

    def __call__(self, scheme: Scheme) -> float:
        """Accuracy between 0 and 1."""
        with scheme_in_use(self._model, scheme), evaluating(self._model, randomness=False):
            if self._calibration is not None:
                recalibrate(self._model, self._calibration)
            right, total = _count(self._model, self._batches)
        if not total:
            raise GateError("the accuracy of a scheme needs validation pictures, but there is no batch")
        return right / total


def _count(model: nn.Module, batches: Batches) -> tuple[int, int]:
    right, total = 0, 0
    with torch.no_grad():
        for inputs, labels in batches:
            right += int((model(inputs).argmax(1) == labels).sum())
            total += len(labels)
    return right, total


def _inputs(batch: Any) -> Tensor:
    inputs: Tensor = batch[0] if isinstance(batch, list | tuple) else batch
    return inputs
