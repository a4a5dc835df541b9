"""Input-level methods that captum does well, behind `explain`: same targets, same results, same state guard."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.capture.cut import check_uncut
from sightline.capture.engine import Plan
from sightline.capture.forward import run_forward
from sightline.capture.probe import ForwardProbe
from sightline.common.chunks import out_of_memory
from sightline.common.modes import leave_as_found
from sightline.common.randomness import seeded
from sightline.errors import MethodError, MissingExtraError, ModelError, TargetError
from sightline.explainers.method import METHODS, LayerMaps, Method, Outcome, Request
from sightline.explainers.places import channels_second, spans
from sightline.models.adapter.layers import without_input
from sightline.targets import Readout

Attribute = Callable[[Any, nn.Module, Request, int], Float[Tensor, "b c h w"]]
"""From captum.attr, the scoring module, the request and a target number to per-pixel attributions."""


class Scorer(nn.Module):
    """A model that answers with the decision's scores `[b, k]`; captum explains column by column.

    Captum repeats the batch, so a decision whose classes differ by sample is asked for by sample.
    """

    def __init__(self, probe: ForwardProbe) -> None:
        super().__init__()
        self.model = probe.adapter.model
        self._probe = probe
        self.adapter = probe.adapter
        self._dtype = probe.inputs.dtype

    def forward(self, inputs: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Scores of a batch that is the original one, repeated sample by sample or whole."""
        # Captum's noise is of torch's default precision, and so is what it is added to.
        raw = run_forward(self.adapter, inputs.to(self._dtype))
        return self._probe.plan.read(raw, len(inputs)).scores


class ScorerInBatch(Scorer):
    """The same for a callable that reads a sample by its place in the batch: each input takes its sample's place."""

    def __init__(self, probe: ForwardProbe, place: int) -> None:
        super().__init__(probe)
        self._place = place

    def forward(self, inputs: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Scores of one sample of the batch, changed in turn; the others stay as they are."""
        batch, i = self._probe.inputs, self._place
        filled = (torch.cat([batch[:i], one[None], batch[i + 1 :]]) for one in inputs)
        return torch.stack([super(ScorerInBatch, self).forward(whole)[i] for whole in filled])


def _run(attribute: Attribute, signed: bool) -> Callable[[Request], Outcome]:
    """A run that explains each sample and target by one captum call."""

    def run(request: Request) -> Outcome:
        if find_spec("captum") is None:
            raise MissingExtraError("captum", "captum", "this method")
        if not without_input(request.layers)[0] and request.layers not in (None, "last", "all"):
            raise MethodError(f"this method explains the input, not the layer {request.layers!r}; leave layers out")
        import captum.attr

        readouts, maps = [], []
        for i in range(len(request.inputs)):
            readout, attributions = _one_sample(attribute, captum.attr, request, i)
            readouts.append(readout)
            maps.append(_over_places(request, attributions, signed))
        return Outcome(_joint_readout(readouts), (LayerMaps("input", torch.cat(maps)),))

    return run


def _over_places(request: Request, attributions: Float[Tensor, "1 k ..."], signed: bool) -> Float[Tensor, "1 k *p"]:
    """Attributions summed over channels, or the largest of them, whichever axis holds the channels."""
    each = channels_second(request.adapter.structure(request.inputs), attributions[0])
    return (each.sum(1) if signed else each.abs().amax(1))[None]


def _one_sample(
    attribute: Attribute, attr: Any, request: Request, i: int
) -> tuple[Readout, Float[Tensor, "1 k c h w"]]:
    """Attributions of one sample for each of its k decisions."""
    readout, scorer = _scorer(request, i)
    with leave_as_found(request.adapter.model):
        # Cloned inside: under the caller's inference_mode too the clone can be differentiated.
        one = _sample_request(request, request.inputs[i : i + 1])
        each = [_explained(attribute, attr, scorer, one, k) for k in range(readout.scores.shape[1])]
    return readout, torch.stack(each, 1)


def _scorer(request: Request, i: int) -> tuple[Readout, Scorer]:
    """The scores of one sample, and what gives them for others in its place.

    A callable may read a sample by its place in the batch. Whether it does is seen by its score: where the sample
    alone has another, or none, it is left among the others.
    """
    plan = Plan(request.target.rows(slice(i, i + 1)), output=request.output, labels=request.labels)
    if request.target.reads_rows or len(request.inputs) == 1:
        readout, probe = ForwardProbe(request.adapter.rows(slice(i, i + 1)), request.inputs[i : i + 1], plan).decide()
        return readout, Scorer(probe)
    whole, among = ForwardProbe(request.adapter, request.inputs, replace(plan, target=request.target)).decide()
    own = replace(whole, scores=whole.scores[i : i + 1], labels=whole.labels[i : i + 1])
    try:
        alone, probe = ForwardProbe(request.adapter.rows(slice(i, i + 1)), request.inputs[i : i + 1], plan).decide()
    except TargetError:
        return own, ScorerInBatch(among, i)
    same = alone.scores.shape == own.scores.shape and torch.allclose(alone.scores, own.scores, 1e-4, 1e-6)
    return (alone, Scorer(probe)) if same else (own, ScorerInBatch(among, i))


def _explained(attribute: Attribute, attr: Any, scorer: Scorer, request: Request, k: int) -> Tensor:
    """Attributions of one decision, or a sentence on why there are none.

    Raises:
        MethodError: the model cuts the graph, or captum fails on it.
    """
    try:
        return _seeded(attribute, attr, scorer, request, k)
    except (ModelError, RuntimeError, AttributeError, AssertionError, TypeError) as problem:
        if out_of_memory(problem):
            raise
        check_uncut(scorer.adapter, request.inputs, "the input")
        if isinstance(problem, ModelError):
            raise
        reason = next(iter(str(problem).splitlines()), "") or type(problem).__name__
        raise MethodError(
            f"captum failed on {type(scorer.model).__name__}: {reason}; ask for another method"
        ) from problem


def _seeded(attribute: Attribute, attr: Any, scorer: nn.Module, request: Request, k: int) -> Tensor:
    """Attributions of one decision; each sees the same noise. Captum's remarks on our inputs are no news."""
    with seeded(request.seed), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="captum")
        return attribute(attr, scorer, request, k).detach().float()


def _sample_request(request: Request, inputs: Tensor) -> Request:
    return Request(
        request.adapter, inputs.detach().clone(), request.target, seed=request.seed, options=request.options,
        batch_size=request.batch_size,
    )  # fmt: skip


def _joint_readout(readouts: list[Readout]) -> Readout:
    indices = [r.indices for r in readouts if r.indices is not None]
    chances = [r.probabilities for r in readouts if r.probabilities is not None]
    others = [r.against for r in readouts if r.against is not None]
    return Readout(
        torch.cat([r.scores for r in readouts]),
        tuple(names for r in readouts for names in r.labels),
        torch.cat(indices) if len(indices) == len(readouts) else None,
        torch.cat(chances) if len(chances) == len(readouts) else None,
        torch.cat(others) if len(others) == len(readouts) else None,
    )


def _saliency(attr: Any, scorer: nn.Module, request: Request, k: int) -> Tensor:
    return _tensor(attr.Saliency(scorer).attribute(request.inputs, target=k, abs=False))


def _integrated_gradients(attr: Any, scorer: nn.Module, request: Request, k: int) -> Tensor:
    steps = request.count("steps", 50)
    method = attr.IntegratedGradients(scorer, multiply_by_inputs=True)
    return _tensor(
        method.attribute(request.inputs, target=k, n_steps=steps, internal_batch_size=request.batch_size or 16)
    )


def _smoothgrad(attr: Any, scorer: nn.Module, request: Request, k: int) -> Tensor:
    """Captum draws on the inputs' device, where a seed is other noise; this is the same noise everywhere."""
    samples, noise = request.count("samples", 16), request.number("noise", 0.15)
    spread = float(request.inputs.max() - request.inputs.min())
    gradient, still = attr.Saliency(scorer), request.inputs.detach().to("cpu", torch.get_default_dtype())
    total = torch.zeros_like(request.inputs)
    for start in range(0, samples, 8):
        part = min(8, samples - start)
        noisy = torch.normal(still.repeat_interleave(part, 0), noise * spread).to(request.inputs)
        slopes = _tensor(gradient.attribute(noisy.requires_grad_(), target=k, abs=False))
        total += slopes.reshape(len(still), part, *still.shape[1:]).sum(1)
    return total / samples


def _guided(attr: Any, scorer: nn.Module, request: Request, k: int) -> Tensor:
    """The gradient with what is negative stopped at each ReLU; captum's own refuses ReLUs beside the input's path."""
    relus = [part for part in scorer.modules() if isinstance(part, nn.ReLU)]
    hooks = [part.register_forward_pre_hook(_stop_negative) for part in relus]
    try:
        return _tensor(attr.Saliency(scorer).attribute(request.inputs, target=k, abs=False))
    finally:
        for hook in hooks:
            hook.remove()


def _stop_negative(relu: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    """A copy of what a ReLU reads, through which only positive gradients come back."""
    if not inputs or not inputs[0].requires_grad:
        return None
    copy = inputs[0].clone()  # others may read the tensor too, and their gradients are not stopped
    copy.register_hook(torch.relu)  # type: ignore[no-untyped-call]
    return copy, *inputs[1:]


def _occlusion(attr: Any, scorer: nn.Module, request: Request, k: int) -> Tensor:
    structure = request.adapter.structure(request.inputs)
    windows = _windows(structure.places, request.count("window", 1) if "window" in request.options else None)
    channels = math.prod(structure.shape) // math.prod(structure.places)
    method = attr.Occlusion(scorer)
    with torch.no_grad():
        attributions = method.attribute(
            request.inputs,
            target=k,
            sliding_window_shapes=spans(structure, windows),
            strides=spans(structure, tuple(_stride(window, len(windows)) for window in windows)),
            perturbations_per_eval=request.batch_size or 8,
        )
    return _tensor(attributions) / channels


def _windows(sides: Sequence[int], wanted: int | None) -> tuple[int, ...]:
    """Sides of the occluding window, none longer than the input; None takes a part of each side.

    On a picture it is a square. The axes of a clip are not alike, so that each has a part of its own; and the windows
    of three axes are larger, because their number grows with the third power.
    """
    if len(sides) == 2:
        window = max(1, round(min(sides) / 7)) if wanted is None else wanted
        return (max(1, min(window, *sides)),) * 2
    part = 7 if len(sides) == 1 else 4
    return tuple(max(1, min(round(side / part) if wanted is None else wanted, side)) for side in sides)


def _stride(window: int, axes: int) -> int:
    """Half a window; over three axes rounded up, since the number of windows grows with the third power."""
    return max(1, (window + 1) // 2 if axes > 2 else window // 2)


def _tensor(attributions: Any) -> Tensor:
    if not isinstance(attributions, Tensor):
        raise MethodError(f"captum returned {type(attributions).__name__} where attributions were expected")
    return attributions


def _add(attribute: Attribute, **facts: Any) -> None:
    signed = bool(facts.get("signed", False))
    METHODS.add(
        facts["name"],
        Method(run=_run(attribute, signed), family="Input (captum)", needs="captum", layers="input", **facts),
    )


_add(
    _saliency,
    name="saliency",
    title="Gradient saliency",
    equation="max_c | dy/dx[c,i] |",
    source="simonyan2014deep",
    cost="1 forward + 1 backward per target",
)
_add(
    _integrated_gradients,
    name="integrated_gradients",
    title="Integrated gradients",
    equation="sum_c x[c,i] * mean_t dy/dx[c,i] at t x,  t in 0..1",
    source="sundararajan2017axiomatic",
    cost="2 x steps per target",
    signed=True,
    options={"steps": "points on the path from zero, 50 by default"},
)
_add(
    _smoothgrad,
    name="smoothgrad",
    title="SmoothGrad",
    equation="max_c | mean over noise e of dy/dx[c,i] at x + e |",
    source="smilkov2017smoothgrad",
    cost="2 x samples per target",
    options={
        "samples": "noisy copies, 16 by default",
        "noise": "standard deviation as a share of the input's range, 0.15 by default",
    },
)
_add(
    _guided,
    name="guided_backprop",
    title="Guided backpropagation",
    equation="sum_c dy/dx[c,i], negative gradients stopped at each ReLU",
    source="springenberg2015striving",
    cost="1 forward + 1 backward per target",
    signed=True,
    models="with nn.ReLU",
)
_add(
    _occlusion,
    name="occlusion",
    title="Occlusion",
    equation="mean over windows w over i of ( y - y with w zeroed )",
    source="zeiler2014visualizing",
    cost="1 + (2 side / window)^2 per target",
    signed=True,
    options={
        "window": "side of the window in pixels; by default a seventh of a picture's shorter side or of a signal, "
        "a quarter of each axis of a volume or clip"
    },
)
