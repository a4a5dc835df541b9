"""Which methods have a map at the network's own input, and what is said of those that have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sightline.errors import MethodError
from sightline.explainers.method import METHODS, Method, Outcome
from sightline.models import Wanted
from sightline.models.adapter.layers import without_input


def check_input_maps(methods: Sequence[Method], layers: Wanted) -> None:
    """Refuse methods without a map at the input where a map at the input is all that is asked for.

    Raises:
        MethodError: with the reason, and the methods that have one.
    """
    at_input, rest = without_input(layers)
    for method in methods:
        if at_input and not rest and method.no_input:
            names = ", ".join(name for name, other in METHODS.items() if not other.no_input and other.control is None)
            raise MethodError(f"{method.name} has no map at the input: {method.no_input}; these have one: {names}")


def without_map_at_input(method: Method, outcome: Outcome, layers: Wanted) -> Outcome:
    """The outcome; of a method that has no such map, in a call that asks for one, with a sentence."""
    if not method.no_input or not without_input(layers)[0]:
        return outcome
    b, k = outcome.readout.scores.shape
    remark = f"There is no map at the input: {method.no_input}."
    remarks = outcome.remarks or (((),) * k,) * b
    return replace(
        outcome,
        remarks=tuple(tuple((*own, remark) for own in sample) for sample in remarks),
    )
