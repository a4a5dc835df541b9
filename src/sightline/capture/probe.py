"""Forward-only probing: the same decision on many changed inputs, or with a layer changed on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.capture.engine import Plan
from sightline.capture.forward import run_forward
from sightline.common.chunks import in_chunks
from sightline.common.modes import leave_as_found
from sightline.common.nested import replaced, tensors_of
from sightline.models import Adapter, LayerSpec
from sightline.targets import Readout
from sightline.targets.base import check_rows

Variants = Callable[[slice], Float[Tensor, "v b c h w"]]


@dataclass(frozen=True, eq=False)
class ForwardProbe:
    """A model and a decision whose classes are fixed, to be asked about variants of the same batch.

    Args:
        adapter: the model.
        inputs: `[b, c, h, w]`.
        plan: target, labels and output selector.
        batch_size: most samples in one forward; None means no limit.
    """

    adapter: Adapter
    inputs: Float[Tensor, "b c h w"]
    plan: Plan
    batch_size: int | None = None

    def decide(self) -> tuple[Readout, ForwardProbe]:
        """Score the inputs as they are, and fix the decision's classes for all that follows."""
        with leave_as_found(self.adapter.model), torch.no_grad():
            part = self.plan.part(run_forward(self.adapter, self.inputs))
            # Read inside: what the decision is must be usable in a graph, also where the caller is in inference mode.
            readout = self.plan.target.read(part, self.plan.labels)
            frozen = self.plan.target.frozen(part, self.plan.labels)
            check_rows(readout, len(self.inputs))
        readout = replace(readout, scores=readout.scores.float())
        return readout, replace(self, plan=replace(self.plan, target=frozen))

    def scores(self, variants: Variants, count: int) -> Float[Tensor, "v b k"]:
        """Scores of `count` variants of the batch; `variants` makes those of a slice when they are needed."""
        return self._each(count, lambda part: self._scores(variants(part).flatten(0, 1)))

    def scores_without(self, spec: LayerSpec, keep: Float[Tensor, "v b c"]) -> Float[Tensor, "v b k"]:
        """Scores with a layer's channels multiplied by `keep`."""

        def scores(part: slice) -> Tensor:
            mask = keep[part].flatten(0, 1)
            handle = self._hook(spec, mask)
            try:
                return self._scores(self.inputs.repeat(len(keep[part]), *[1] * (self.inputs.ndim - 1)))
            finally:
                handle.remove()

        return self._each(len(keep), scores)

    def _each(self, count: int, scores: Callable[[slice], Tensor]) -> Float[Tensor, "v b k"]:
        """Scores of all variants, as many at once as the decision and the memory allow."""
        at_once = None if self.batch_size is None else max(1, self.batch_size // len(self.inputs))
        if not self.plan.target.reads_rows:
            at_once = 1  # a callable may do anything with a batch, so it gets one as large as the one it was made for
        parts = in_chunks(scores, count, at_once)
        return torch.cat([values.reshape(-1, len(self.inputs), values.shape[1]) for _, values in parts])

    def _scores(self, inputs: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Scores of a stack of variants: the decision is read off the whole output, and no graph is kept."""
        target = self.plan.target.rows(list(range(len(self.inputs))) * (len(inputs) // len(self.inputs)))
        with leave_as_found(self.adapter.model), torch.no_grad():
            readout = replace(self.plan, target=target).read(run_forward(self.adapter, inputs), len(inputs))
        return readout.scores.float()

    def _hook(self, spec: LayerSpec, keep: Float[Tensor, "n c"]) -> Any:
        module = self.adapter.model.get_submodule(spec.path)
        structure = self.adapter.structure(self.inputs)
        calls = 0

        def changed(parts: Any) -> Any:
            nonlocal calls
            calls += 1
            site = structure.site(spec.path, spec.side, calls)
            if site is None or site.layout is None or (spec.call is not None and spec.call != calls):
                return None
            tensor = tensors_of(parts)[site.leaf]
            return replaced(parts, tensor, tensor * site.layout.on_channels(keep, tensor))

        if spec.side == "input":
            return module.register_forward_pre_hook(lambda m, args, kwargs: changed((args, kwargs)), with_kwargs=True)
        return module.register_forward_hook(lambda m, args, output: changed(output))
