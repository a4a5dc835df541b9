"""Randomisation: a map that stays when the model forgets what it learned does not explain the model.

The caller supplies a function that makes maps for a given model. The model is changed in place and is given back bit
for bit, also after an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.modes import restored
from sightline.common.statistics.correlation import spearman
from sightline.errors import InputError, near
from sightline.metrics.registry import metric
from sightline.metrics.scores import Scores, map_check, same_length, scored

ExplainModel = Callable[[nn.Module, Tensor], Tensor]
"""From a model and inputs `[b, ...]` to maps `[b, ...]`."""
How = Literal["redraw", "permute"]


def layers_of(model: nn.Module) -> tuple[str, ...]:
    """Names of the submodules that hold parameters of their own, from the output back to the input.

    Example:
        >>> layers_of(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)))
        ('2', '0')
    """
    names = [name for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False))]
    return tuple(reversed(names))


def randomise(layer: nn.Module, *, generator: torch.Generator, how: How = "redraw") -> None:
    """Replace a module's own parameters in place.

    `"redraw"` draws normal numbers of each tensor's own mean and deviation, which keeps the scale of activations so
    that the maps do not fail for want of finite numbers; `"permute"` shuffles each tensor's values.
    """
    with torch.no_grad():
        for parameter in layer.parameters(recurse=False):
            if how == "permute":
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))
            else:
                noise = torch.randn(parameter.shape, generator=generator).to(parameter)
                spread = parameter.std(unbiased=False) if parameter.numel() > 1 else parameter.abs().mean()
                parameter.copy_(parameter.mean() + spread * noise)


def cascade(
    explain_model: ExplainModel,
    model: nn.Module,
    inputs: Float[Tensor, "b ..."],
    *,
    layers: Sequence[str] | None = None,
    how: How = "redraw",
    seed: int = 0,
) -> Iterator[tuple[str, Tensor]]:
    """Maps after each further layer has been randomised, from the output back; the model is restored at the end.

    Args:
        explain_model: makes maps.
        model: changed while the iteration runs, and given back as it was when it ends, however it ends.
        inputs: samples.
        layers: names of submodules, in the order in which they are randomised together with all below them that carry
            parameters; by default every submodule with parameters of its own, from the output back.
        how: see `randomise`.
        seed: seed of the new parameters; each layer has its own stream, so that leaving one out changes no other.

    Raises:
        InputError: the model has no such layer, or none at all.
    """
    modules = dict(model.named_modules())
    names = layers_of(model) if layers is None else tuple(layers)
    for name in names:
        if name not in modules:
            raise InputError(f"the model has no layer {name!r}; {near(name, modules)}")
    if not names or how not in ("redraw", "permute"):
        raise InputError(f"nothing to randomise: {len(names)} layers with parameters, how = {how!r}")
    with restored(model):
        for name in names:
            stream = 1000 * seed + sorted(modules).index(name)
            generator = torch.Generator().manual_seed(stream)
            for part in modules[name].modules():
                randomise(part, generator=generator, how=how)
            yield name, explain_model(model, inputs).detach()


def smoothed(explain_model: ExplainModel, *, draws: int, noise: float = 0.1, seed: int = 0) -> ExplainModel:
    """The mean map over `draws` noisy copies of the inputs [hedstrom2024sanity]; `draws = 0` leaves maps as they are.

    Args:
        explain_model: makes maps.
        draws: copies.
        noise: standard deviation of the noise, as a share of each sample's range.
        seed: random seed of the noise, the same for every model and every sample.
    """
    if draws < 1:
        return explain_model

    def explain(model: nn.Module, inputs: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        flat = inputs.flatten(1)
        reach = (flat.amax(1) - flat.amin(1)).reshape(-1, *[1] * (inputs.ndim - 1)) * noise
        fields = [torch.randn(inputs.shape[1:], generator=generator).to(inputs) for _ in range(draws)]
        total = explain_model(model, inputs + reach * fields[0]).detach()
        for field in fields[1:]:
            total = total + explain_model(model, inputs + reach * field).detach()
        return total / draws

    return explain


def similarity(one: Float[Tensor, "b ..."], other: Float[Tensor, "b ..."], *, magnitude: bool = False) -> Tensor:
    """Spearman's correlation of two maps of each sample, of their magnitudes if asked; NaN where one is constant."""
    same_length(maps=one, others=other)
    if one.shape != other.shape:
        raise InputError(f"two maps of one sample have one shape; got {tuple(one.shape)} and {tuple(other.shape)}")
    pair = [maps.detach().flatten(1).abs() if magnitude else maps.detach().flatten(1) for maps in (one, other)]
    return spearman(*pair).float()


_SIMILAR = {
    "family": "randomisation",
    "higher_is_better": False,
    "low": -1.0,
    "high": 1.0,
    "signed": "as they are, or magnitudes if asked",
    "chance": "0: the order of one random map says nothing of another's",
    "cite": ("adebayo2018sanity", "hedstrom2024sanity"),
}
_CANNOT = "faithfulness: noise passes. And maps share the picture's edges, which no model has to know"


@metric(
    "model-randomisation",
    title="Model randomisation: likeness of the map to that of a randomised model",
    needs=("explain_model", "model", "inputs"),
    cost="(L + 1) explanations",
    cannot=_CANNOT,
    expected=lambda explain_model, model, inputs, **_: torch.zeros(len(inputs), device=inputs.device),
    **_SIMILAR,
)
def model_randomisation(
    explain_model: ExplainModel,
    model: nn.Module,
    inputs: Float[Tensor, "b ..."],
    *,
    layers: Sequence[str] | None = None,
    how: How = "redraw",
    smooth: int = 0,
    seed: int = 0,
) -> Scores:
    r"""Mean over the cascade of $\rho(\Phi_f(x), \Phi_{f_l}(x))$, $f_l$ random from the output down to layer l.

    [adebayo2018sanity]; `smooth` averages maps over noisy inputs first [hedstrom2024sanity]. The whole curve comes
    from `randomisation_curve`. The mean runs over the layers at which the map is neither flat nor NaN; where there
    is none, the sample is `undefined`.

    Args:
        explain_model: makes maps; hold the targets fixed in it.
        model: given back bit for bit.
        inputs: samples.
        layers: see `cascade`.
        how: see `randomise`.
        smooth: noisy copies per map.
        seed: random seed of parameters and noise.

    Raises:
        InputError: the model has no such layer, or none at all.
    """
    explain = smoothed(explain_model, draws=smooth, seed=seed)
    first, curve = randomisation_curve(explain, model, inputs, layers=layers, how=how, seed=seed)
    return scored(torch.stack(list(curve.values()), dim=1).nanmean(1), map_check(first))


def randomisation_curve(
    explain_model: ExplainModel,
    model: nn.Module,
    inputs: Float[Tensor, "b ..."],
    *,
    layers: Sequence[str] | None = None,
    how: How = "redraw",
    magnitude: bool = False,
    seed: int = 0,
) -> tuple[Float[Tensor, "b ..."], dict[str, Float[Tensor, "b"]]]:
    """Maps of the model as it is, and their likeness to the maps after each further random layer (see `cascade`)."""
    with restored(model):
        first = explain_model(model, inputs).detach()
    later = cascade(explain_model, model, inputs, layers=layers, how=how, seed=seed)
    try:
        return first, {name: similarity(first, maps, magnitude=magnitude) for name, maps in later}
    finally:
        later.close()  # type: ignore[attr-defined]  # a generator: ends the cascade also after an error


@metric(
    "label-randomisation",
    title="Label randomisation: likeness of the map to that of a model trained on shuffled labels",
    needs=("explain_model", "model", "other", "inputs"),
    cost="2 explanations",
    cannot=_CANNOT,
    expected=lambda explain_model, model, other, inputs, **_: torch.zeros(len(inputs), device=inputs.device),
    **_SIMILAR,
)
def label_randomisation(
    explain_model: ExplainModel,
    model: nn.Module,
    other: nn.Module,
    inputs: Float[Tensor, "b ..."],
    *,
    smooth: int = 0,
    magnitude: bool = False,
    seed: int = 0,
) -> Scores:
    r"""$\rho(\Phi_f(x), \Phi_{f'}(x))$, $f'$ the same architecture trained on permuted labels [adebayo2018sanity].

    Args:
        explain_model: makes maps.
        model: trained on the labels.
        other: trained on permuted ones; both are given back as they were.
        inputs: samples.
        smooth: noisy copies per map.
        magnitude: compare magnitudes.
        seed: random seed of the noise.

    Raises:
        InputError: the two make maps of different shapes.
    """
    explain = smoothed(explain_model, draws=smooth, seed=seed)
    with restored(model, other):
        ours, theirs = explain(model, inputs).detach(), explain(other, inputs).detach()
    return scored(similarity(ours, theirs, magnitude=magnitude), map_check(ours), map_check(theirs))


@metric(
    "target-randomisation",
    title="Target randomisation: likeness of the map to that of another class",
    needs=("maps", "after"),
    cannot="whether likeness is wrong: two classes may rest on the same evidence. Noise passes",
    expected=lambda maps, after, **_: torch.zeros(len(maps), device=maps.device),
    **{**_SIMILAR, "cite": ("sixt2020when",)},
)
def target_randomisation(
    maps: Float[Tensor, "b ..."], after: Float[Tensor, "b ..."], *, magnitude: bool = False
) -> Scores:
    r"""$\rho(\Phi_k(x), \Phi_j(x))$ for two classes k and j [sixt2020when].

    Args:
        maps: maps of the target.
        after: maps of another class, chosen at random by the caller.
        magnitude: compare magnitudes.

    Raises:
        InputError: shapes differ.
    """
    return scored(similarity(maps, after, magnitude=magnitude), map_check(maps), map_check(after))
