"""Reading attention matrices of transformers, with their gradients, although fused kernels hide them.

While the model runs, calls of scaled-dot-product attention are computed in the open. No module is edited.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from sightline.capture.engine import Plan
from sightline.capture.forward import run_forward
from sightline.common.modes import leave_as_found
from sightline.errors import LayerError
from sightline.models import Adapter, Layout
from sightline.targets import Readout

POSITIONS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
"""Arguments of scaled-dot-product attention that may come without a name."""


class AttentionReader(TorchFunctionMode):
    """Collects attention weights in the order in which they are computed.

    Args:
        adapter: the model.

    After the model has run, `weights` holds one tensor per attention call - still in the graph -, `shapes` the
    `[b, heads, n, n]` that it means, and `names` the dotted path of the attention module that made it.
    """

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self._model = adapter.model
        self._inside: list[str] = []
        self.weights: list[Float[Tensor, "..."]] = []
        self.shapes: list[torch.Size] = []
        self.names: list[str] = []

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Everything that the model computes inside is read."""
        with ExitStack() as undo:
            for path, module in self._model.named_modules():
                if "attention" in type(module).__name__.lower() or "attn" in type(module).__name__.lower():
                    undo.callback(module.register_forward_pre_hook(self._enter(path)).remove)
                    undo.callback(module.register_forward_hook(self._leave, always_call=True).remove)
            undo.enter_context(self)
            yield

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Open the calls that are attention; pass on all others."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._open_attention({**dict(zip(POSITIONS, args, strict=False)), **kwargs})
        if func is F.multi_head_attention_forward:
            return self._open_multi_head(func, args, kwargs)
        result = func(*args, **kwargs)
        if func in (torch.softmax, Tensor.softmax, F.softmax) and self._inside and _is_attention(result):
            self._note(result)
        return result

    def _open_attention(self, call: Mapping[str, Any]) -> Tensor:
        """`softmax(q k^T scale + mask) v`, with the weights kept."""
        query, key, value = call["query"], call["key"], call["value"]
        scale, attn_mask = call.get("scale"), call.get("attn_mask")
        scores = (query @ key.mT) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
        if call.get("is_causal", False):
            attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -torch.inf)
        elif attn_mask is not None:
            scores = scores + attn_mask
        weights = scores.softmax(-1)
        self._note(weights)
        attended: Tensor = weights @ value
        return attended

    def _open_multi_head(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Torch's multi-head attention returns its weights when asked; they are a view of those that it used."""
        need_weights = kwargs.get("need_weights", True)
        output, weights = func(*args, **{**kwargs, "need_weights": True, "average_attn_weights": False})
        self._note(weights if weights._base is None else weights._base, weights.shape)
        return output, weights.mean(1) if need_weights else None

    def _note(self, weights: Tensor, shape: torch.Size | None = None) -> None:
        """Keep weights as they stand on the way to the decision, where their gradient counts."""
        self.names.append(self._inside[-1] if self._inside else f"attention.{len(self.weights)}")
        self.weights.append(weights)
        self.shapes.append(weights.shape if shape is None else shape)

    def _enter(self, path: str) -> Callable[[nn.Module, Any], None]:
        def enter(module: nn.Module, args: Any) -> None:
            self._inside.append(path)

        return enter

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self._inside.pop()


def _is_attention(weights: Any) -> bool:
    return isinstance(weights, Tensor) and weights.ndim == 4 and weights.shape[-1] == weights.shape[-2]


@dataclass(frozen=True, eq=False)
class AttentionLayer:
    """One attention of a model.

    Args:
        name: dotted path of its module; `:N` behind it where it ran more than once.
        layout: arrangement of its tokens on the grid.
        weights: `[b, heads, n, n]` in float32.
        gradients: `[k, b, heads, n, n]` of the k decisions, if asked for.
    """

    name: str
    layout: Layout
    weights: Float[Tensor, "b heads n n"]
    gradients: Float[Tensor, "k b heads n n"] | None


def capture_attention(
    adapter: Adapter, inputs: Float[Tensor, "b c h w"], plan: Plan, *, gradients: bool
) -> tuple[Readout, list[AttentionLayer]]:
    """Run the model once with its attention in the open, and once backward per decision if gradients are wanted.

    Raises:
        LayerError: the model has no attention over the whole grid (no transformer, or one with windows).
    """
    adapter.check_inputs(inputs)
    plan.target.check(adapter.classes, plan.labels)
    reader = AttentionReader(adapter)
    with leave_as_found(adapter.model):
        start = inputs.detach().clone().requires_grad_(gradients)
        with torch.set_grad_enabled(gradients), reader.reading():
            raw = run_forward(adapter.model, start)
        readout = plan.read(raw, len(inputs))
        layouts = _layouts(adapter, reader, inputs)
        slopes = _gradients(readout.scores, reader.weights) if gradients else [None] * len(reader.weights)
    matrices = [
        AttentionLayer(
            name,
            layout,
            weights.detach().reshape(shape).float(),
            None if gradient is None else gradient.reshape(-1, *shape).float(),
        )
        for name, layout, weights, shape, gradient in zip(
            _numbered_names(reader.names), layouts, reader.weights, reader.shapes, slopes, strict=True
        )
        if layout is not None
    ]
    return replace(readout, scores=readout.scores.detach().float()), matrices


def _layouts(adapter: Adapter, reader: AttentionReader, inputs: Tensor) -> list[Layout | None]:
    """Layout of each attention's tokens; None for those that mix something else (pooled tokens, say)."""
    picture = (inputs.shape[2], inputs.shape[3])
    whole = [len(shape) == 4 and shape[0] == len(inputs) and shape[2] == shape[3] for shape in reader.shapes]
    windows = adapter.windows or any(len(shape) != 4 or shape[0] != len(inputs) for shape in reader.shapes)
    if windows or not any(whole):
        kinds = (
            f"windows or others of shapes {sorted({tuple(s) for s in reader.shapes})}" if reader.shapes else "none"
        )
        raise LayerError(
            f"{type(adapter.model).__name__} has no attention over its whole grid ({kinds}); "
            "this method is for plain vision transformers, any CAM method works here"
        )
    sizes = [shape[2] for shape, good in zip(reader.shapes, whole, strict=True) if good]
    return [
        adapter.layout((len(inputs), shape[2], 1), picture) if good and shape[2] == sizes[0] else None
        for shape, good in zip(reader.shapes, whole, strict=True)
    ]


def _gradients(scores: Float[Tensor, "b k"], weights: list[Tensor]) -> list[Tensor]:
    """Gradient of each of the k scores with respect to every layer's weights, stacked over k."""
    each = [
        torch.autograd.grad(scores[:, i].sum(), weights, retain_graph=True, allow_unused=True, materialize_grads=True)
        for i in range(scores.shape[1])
    ]
    return [torch.stack(attention) for attention in zip(*each, strict=True)]


def _numbered_names(names: list[str]) -> list[str]:
    """Names with a call number behind those that come more than once."""
    counts: dict[str, int] = {}
    numbered = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        numbered.append(f"{name}:{counts[name]}" if names.count(name) > 1 else name)
    return numbered
