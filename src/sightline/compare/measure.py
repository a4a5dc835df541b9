"""Measuring: methods x places in the network x metrics, on one batch of samples after the other.

Every method is judged on the same samples, the same decision and the same places, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.api.explain import explain
from sightline.compare.samples import Batch
from sightline.errors import MethodError
from sightline.explainers import METHODS
from sightline.metrics import METRICS, MetricSpec, Probe, Scores, on_grid
from sightline.metrics.probe import Output
from sightline.metrics.scores import map_check
from sightline.models import adapt
from sightline.models.logits import logits_of
from sightline.models.outputs import chances_of, declarations_of
from sightline.results import Explanations

PLACES = ("early", "middle", "late")
WITHOUT_LOCATION = ("deletion", "insertion", "average-drop", "sparseness")
WITH_LOCATION = ("energy-in-mask", "concentration", "pointing-game", "iou-best", *WITHOUT_LOCATION)
OUTPUTS: dict[str, Output] = {"softmax": "probability", "exp": "probability", "sigmoid": "sigmoid", "given": "logit"}
"""What the outputs mean, and how the metrics read them; a soft-max of log-probabilities gives the probabilities."""
USABLE = {"probe", "inputs", "maps", "masks"}


@dataclass(frozen=True)
class Settings:
    """What is compared.

    Args:
        methods: registry names; the controls are always among them.
        metrics: registry names.
        places: some of `PLACES`; methods with one map only (of the input, say) are judged at `late`.
        options: options of each metric.
        seed: seed of everything random.
        batch_size: most rows in one forward; None is what suits the device.
        fused: run the metrics' forwards through a quicker copy of the model where one is as good as the model; see
            `sightline.metrics.inference_copy`. The explanations themselves always come from the model.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    places: tuple[str, ...] = PLACES
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int = 0
    batch_size: int | None = None
    fused: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "methods", tuple(METHODS.name_of(name) for name in self.methods))
        for name in self.metrics:
            if not set(METRICS[name].needs) <= USABLE:
                possible = ", ".join(n for n in METRICS if set(METRICS[n].needs) <= USABLE)
                raise MethodError(
                    f"the metric {name!r} needs {', '.join(METRICS[name].needs)}, which photos and masks alone "
                    f"do not give; possible here: {possible}"
                )
        unknown = set(self.places) - set(PLACES)
        if unknown:
            raise MethodError(f"there is no place {sorted(unknown)}; known places: {', '.join(PLACES)}")


@dataclass(frozen=True)
class Row:
    """One number: what a metric says of one map."""

    sample: str
    method: str
    place: str
    layer: str
    metric: str
    value: float
    status: str


def with_controls(methods: Sequence[str]) -> tuple[str, ...]:
    """The methods, and all controls behind them."""
    controls = [name for name, method in METHODS.items() if method.family == "Controls"]
    return tuple(dict.fromkeys((*map(METHODS.name_of, methods), *controls)))


def forwards_per_sample(settings: Settings) -> int:
    """Model forwards that judging one sample costs, not counting the explanations themselves."""
    maps = len(settings.methods) * len(settings.places)
    costs = [METRICS[name].forwards(**settings.options.get(name, {})) for name in settings.metrics]
    return maps * sum(costs)


def measure(
    model: nn.Module,
    batch: Batch,
    names: Sequence[str],
    settings: Settings,
    *,
    judge: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[Row]:
    """Every number of one batch.

    Args:
        model: network in any state; it is left as it was.
        batch: inputs and masks.
        names: a name for each sample.
        settings: what is compared.
        judge: what the metrics' forwards are run through; None is the model.
    """
    explanations = explain(model, batch.inputs, method=settings.methods, sources=names, seed=settings.seed)
    classes = torch.tensor([item.decision.index for item in explanations.of(method=settings.methods[0])])
    probe = Probe(judge or model, classes, output=_output(model, batch.inputs), batch_size=settings.batch_size)
    if any("probe" in METRICS[name].needs for name in settings.metrics):
        probe = probe.remembering(batch.inputs)
    for method in settings.methods:
        for place, layers, maps in maps_at(explanations.of(method=method), settings.places):
            for name in settings.metrics:
                scores = _score(METRICS[name], probe, batch, maps, settings.options.get(name, {}))
                for i, (value, status) in enumerate(zip(scores.values.tolist(), scores.statuses(), strict=True)):
                    yield Row(names[i], method, place, layers[i], name, value, str(status))


def _output(model: nn.Module, inputs: Tensor) -> Output:
    """How the metrics read the probability of a class off this model: once, not a soft-max of a soft-max."""
    adapter = adapt(model)
    chances = chances_of("auto", declarations_of(adapter.model), logits_of(adapter.structure(inputs)).ending)
    return "logit" if chances.meaning is None else OUTPUTS[chances.meaning]


def maps_at(
    explanations: Explanations, places: Sequence[str]
) -> Iterator[tuple[str, list[str], Float[Tensor, "b h w"]]]:
    """Maps of a method at each place, with their layers."""
    for place in places:
        flows = [item.flow for item in explanations]
        # A method with one map has no depth: it counts once, at the last place, and not once per place.
        if len(flows[0]) == 1 and place != places[-1]:
            continue
        maps = [flow[_index(place, len(flow))] for flow in flows]
        yield place, [m.layer for m in maps], torch.stack([m.values for m in maps])


def _index(place: str, count: int) -> int:
    """Which of `count` layers in forward order is meant: a sixth of the way, half of it, or the last."""
    return {"early": count // 6, "middle": count // 2, "late": count - 1}[place]


def _score(spec: MetricSpec, probe: Probe, batch: Batch, maps: Tensor, options: Mapping[str, Any]) -> Any:
    """One metric on one batch of maps; maps are enlarged to the input where they meet a mask."""
    if "masks" in spec.needs:
        if batch.masks is None:
            raise MethodError(
                f"the metric {spec.name!r} needs to know where the object is, but these photos do not say"
            )
        maps = on_grid(maps, tuple(batch.masks.shape[1:]))
    arguments = {"probe": probe, "inputs": batch.inputs, "maps": maps, "masks": batch.masks}
    if "probe" in spec.needs:
        return _worth_forwards(spec, arguments, options)
    return spec(*(arguments[need] for need in spec.needs), **options)


def _worth_forwards(spec: MetricSpec, arguments: Mapping[str, Any], options: Mapping[str, Any]) -> Scores:
    """A metric that runs the model, on those maps alone that it can score: a flat map would cost as much as any."""
    status = map_check(arguments["maps"])
    values = torch.full((len(status),), torch.nan, dtype=torch.float64, device=status.device)
    keep = status == 0
    if bool(keep.any()):
        probe, inputs, maps = arguments["probe"], arguments["inputs"], arguments["maps"]
        if not bool(keep.all()):
            # The probe recognises known scores by identity of the inputs, so both get the same subset.
            part = inputs[keep]
            probe = replace(probe, targets=probe.targets[keep], memory=(part, probe.memory[1][keep]))
            inputs, maps = part, maps[keep]
        subset = {**arguments, "probe": probe, "inputs": inputs, "maps": maps}
        scores = spec(*(subset[need] for need in spec.needs), **options)
        values[keep], status[keep] = scores.values.double(), scores.status
    return Scores(values, status)
