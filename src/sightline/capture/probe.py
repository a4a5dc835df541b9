"""Forward-only probing: the same decision on many changed inputs, or with a layer changed on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_map

from sightline.capture.engine import Plan
from sightline.capture.forward import run_forward
from sightline.capture.record import first_tensor, replaced
from sightline.common.chunks import in_chunks
from sightline.common.modes import leave_as_found
from sightline.models import Adapter, LayerSpec
from sightline.targets import Readout, Target

Variants = Callable[[slice], Float[Tensor, "v b c h w"]]


@dataclass(frozen=True, eq=False)
class ForwardProbe:
    """A model and a decision whose classes are fixed, to be asked about variants of the same batch.

    Args:
        adapter: the model.
        inputs: `[b, c, h, w]`.
        plan: target, labels and output selector.
        batch_size: most samples in one forward; None is no limit.
    """

    adapter: Adapter
    inputs: Float[Tensor, "b c h w"]
    plan: Plan
    batch_size: int | None = None

    def decide(self) -> tuple[Readout, ForwardProbe]:
        """Score the inputs as they are, and fix the decision's classes for all that follows."""
        with leave_as_found(self.adapter.model), torch.no_grad():
            part = self.plan.part(run_forward(self.adapter.model, self.inputs))
            # Read inside: what the decision is must be usable in a graph, also where the caller is in inference mode.
            readout = self.plan.target.read(part, self.plan.labels)
            frozen = self.plan.target.frozen(part, self.plan.labels)
        return readout, ForwardProbe(self.adapter, self.inputs, self._plan(frozen), self.batch_size)

    def scores(self, variants: Variants, count: int) -> Float[Tensor, "v b k"]:
        """Scores of `count` variants of the batch; `variants` makes those of a slice when they are needed."""
        return self._each(count, lambda part: self._forward(variants(part).flatten(0, 1)))

    def scores_without(self, spec: LayerSpec, keep: Float[Tensor, "v b c"]) -> Float[Tensor, "v b k"]:
        """Scores with a layer's channels multiplied by `keep`."""

        def forward(part: slice) -> Any:
            mask = keep[part].flatten(0, 1)
            handle = self._hook(spec, mask)
            try:
                return self._forward(self.inputs.repeat(len(keep[part]), 1, 1, 1))
            finally:
                handle.remove()

        return self._each(len(keep), forward)

    def _each(self, count: int, forward: Callable[[slice], Any]) -> Float[Tensor, "v b k"]:
        at_once = None if self.batch_size is None else max(1, self.batch_size // len(self.inputs))
        parts = in_chunks(lambda part: self._read(forward(part), part.stop - part.start), count, at_once)
        return torch.cat([scores for _, scores in parts])

    def _forward(self, inputs: Tensor) -> Any:
        with leave_as_found(self.adapter.model), torch.no_grad():
            return run_forward(self.adapter.model, inputs)

    def _read(self, raw: Any, count: int) -> Float[Tensor, "v b k"]:
        """Cut the output into variants and read the decision off each."""
        size = len(self.inputs)

        def variant(i: int) -> Any:
            def cut(t: Any) -> Any:
                return t[i * size : (i + 1) * size] if isinstance(t, Tensor) and len(t) == count * size else t

            return tree_map(cut, raw)

        read = [self.plan.target.read(self.plan.part(variant(i)), self.plan.labels).scores for i in range(count)]
        return torch.stack(read).float()

    def _plan(self, target: Target) -> Plan:
        return replace(self.plan, target=target)

    def _hook(self, spec: LayerSpec, keep: Float[Tensor, "n c"]) -> Any:
        module = self.adapter.model.get_submodule(spec.path)
        picture = (self.inputs.shape[2], self.inputs.shape[3])
        calls = 0

        def changed(parts: Any) -> Any:
            nonlocal calls
            calls += 1
            tensor = first_tensor(parts)
            if tensor is None or (spec.call is not None and spec.call != calls):
                return parts
            layout = self.adapter.layout(tuple(tensor.shape), picture)
            last = layout is not None and layout.kind != "grid"
            shape = (
                (len(keep), *([1] * (tensor.ndim - 2)), -1) if last else (len(keep), -1, *([1] * (tensor.ndim - 2)))
            )
            return replaced(parts, tensor, tensor * keep.reshape(shape).to(tensor.dtype))

        if spec.side == "input":
            return module.register_forward_pre_hook(lambda m, args: changed(args))
        return module.register_forward_hook(lambda m, args, output: changed(output))
