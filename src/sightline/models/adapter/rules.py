"""The rule of every operation that does more to axes than to treat numbers one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sightline.models.adapter import windows as windows  # its rules register themselves
from sightline.models.adapter.agreement import common
from sightline.models.adapter.axes import (
    BATCH,
    Axes,
    Axis,
    axis_size,
    concatenated,
    cut,
    feature,
    known,
    mirrored,
    padded,
    reshaped,
    rolled,
    source,
)
from sightline.models.adapter.operations import RULES, Operation, broadcast, elementwise, rule
from sightline.models.adapter.resolution import coarsened, overhanging, rescaled


def followed(op: Operation) -> Sequence[Axes]:
    """Axes of every tensor that an operation made."""
    axes = RULES.get(op.name, elementwise)(op)
    return [
        # What does not fit the tensor is no knowledge.
        coarsened([a if axis_size(a) == n else feature(n) for a, n in zip(own, y.shape, strict=True)])
        if len(own) == y.ndim
        else [feature(n) for n in y.shape]
        for own, y in zip([*axes, *([[]] * (len(op.outputs) - len(axes)))], op.outputs, strict=True)
    ]


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "unflatten")
def _view(op: Operation) -> Sequence[Axes]:
    return [reshaped(op.axes, op.y.shape) or []]


@rule("permute")
def _permute(op: Operation) -> Sequence[Axes]:
    return [[op.axes[d] for d in op.args[1]]]


@rule("transpose", "swapaxes")
def _transpose(op: Operation) -> Sequence[Axes]:
    axes = list(op.axes)
    i, j = op.args[1], op.args[2]
    axes[i], axes[j] = axes[j], axes[i]
    return [axes]


@rule("t", "numpy_T")
def _t(op: Operation) -> Sequence[Axes]:
    return [list(op.axes)[::-1]]


@rule("unsqueeze")
def _unsqueeze(op: Operation) -> Sequence[Axes]:
    axes = list(op.axes)
    axes.insert(op.args[1] % (op.rank + 1), ())
    return [axes]


@rule("squeeze")
def _squeeze(op: Operation) -> Sequence[Axes]:
    dims = _dims(op.args[1], op.rank) if len(op.args) > 1 else set(range(op.rank))
    return [[a for d, a in enumerate(op.axes) if not (d in dims and axis_size(a) == 1)]]


@rule("expand")
def _expand(op: Operation) -> Sequence[Axes]:
    lead = op.y.ndim - op.x.ndim
    kept = [d >= lead and op.x.shape[d - lead] == n for d, n in enumerate(op.y.shape)]
    return [[op.axes[d - lead] if keep else feature(op.y.shape[d]) for d, keep in enumerate(kept)]]


@rule("repeat")
def _repeat(op: Operation) -> Sequence[Axes]:
    return _expand(op)


@rule("select")
def _select(op: Operation) -> Sequence[Axes]:
    dim = op.args[1] % op.x.ndim
    return [[a for d, a in enumerate(op.axes) if d != dim]]


@rule("slice", "narrow")
def _slice(op: Operation) -> Sequence[Axes]:
    dim = op.argument(1, "dim", 0) % op.x.ndim
    n = op.x.shape[dim]
    start, stop, step = op.argument(2, "start"), op.argument(3, "end"), op.argument(4, "step", 1)
    if op.name == "narrow":
        stop = start + stop
    start, stop = (min(max(i + n if i < 0 else i, 0), n) for i in (start or 0, n if stop is None else stop))
    axes = list(op.axes)
    axes[dim] = cut(axes[dim], start, stop, step)
    return [axes]


@rule("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "tensor_split", "unsafe_split_with_sizes")
def _split(op: Operation) -> Sequence[Axes]:
    dim = op.argument(2, "dim", 0) % op.x.ndim
    out, at = [], 0
    for y in op.outputs:
        axes = list(op.axes)
        axes[dim] = cut(axes[dim], at, at + y.shape[dim])
        at += y.shape[dim]
        out.append(axes)
    return out


@rule("unbind")
def _unbind(op: Operation) -> Sequence[Axes]:
    dim = op.argument(1, "dim", 0) % op.x.ndim
    return [[a for d, a in enumerate(op.axes) if d != dim]] * len(op.outputs)


@rule("cat", "concat", "concatenate")
def _cat(op: Operation) -> Sequence[Axes]:
    # An empty tensor of one axis may be concatenated with anything.
    parts = [t for t in op.args[0] if t.numel() or t.ndim > 1]
    dim = op.argument(1, "dim", 0) % op.y.ndim
    axes = broadcast(op, parts, tuple(n if d != dim else -1 for d, n in enumerate(op.y.shape)))
    axes[dim] = concatenated([(t.shape[dim], op.axes_of(t)[dim]) for t in parts])
    if all(t.shape[dim] == 1 for t in parts) and len(parts) == len(op.args[0]) > 1 and not known(axes[dim]):
        axes[dim] = _side(op, len(parts))
    return [axes]


@rule("stack")
def _stack(op: Operation) -> Sequence[Axes]:
    dim = op.argument(1, "dim", 0) % op.y.ndim
    axes = broadcast(op, op.args[0], tuple(op.args[0][0].shape))
    axes.insert(dim, _side(op, len(op.args[0])))
    return [axes]


def _side(op: Operation, n: int) -> Axis:
    """The axis along which tensors are stacked: that of the samples, where each was made of one, in order."""
    samples = [op.sample_of(t) for t in op.args[0]]
    return source(BATCH, n) if samples == list(range(n)) else feature(n)


@rule(
    "mean", "sum", "amax", "amin", "logsumexp", "var", "std", "var_mean", "std_mean", "prod", "max", "min", "any",
    "all", "norm", "linalg_vector_norm", "argmax", "argmin", "nansum", "median",
)  # fmt: skip
def _reduction(op: Operation) -> Sequence[Axes]:
    if tuple(op.y.shape) == tuple(op.x.shape) or (op.name in ("max", "min") and len(op.inputs) > 1):
        return elementwise(op)
    numbers = [a for a in op.args[1:] if isinstance(a, list | tuple | int) and not isinstance(a, bool)]
    chosen = numbers[0] if numbers and op.name != "norm" else op.kwargs.get("dim", numbers[-1] if numbers else None)
    dims = set(range(op.x.ndim)) if chosen is None or chosen == [] else _dims(chosen, op.x.ndim)
    held: Axes = [() if d in dims else a for d, a in enumerate(op.axes)]
    gone: Axes = [a for d, a in enumerate(op.axes) if d not in dims]
    return [held if y.ndim == op.x.ndim else gone for y in op.outputs]


@rule("mm", "addmm")
def _mm(op: Operation) -> Sequence[Axes]:
    a, b = op.args[-2:] if op.name == "mm" else op.args[1:3]
    return [[op.axes_of(a)[0], op.axes_of(b)[1]]]


@rule("bmm", "baddbmm")
def _bmm(op: Operation) -> Sequence[Axes]:
    a, b = op.args[:2] if op.name == "bmm" else op.args[1:3]
    own = op.axes_of(a)[0]
    batch = common([own, op.axes_of(b)[0]], a.shape[0])
    # Rows are those of the first: so are their windows, where both have windows of their own size.
    batch = own if known(own) and known(batch) else batch
    return [[batch, op.axes_of(a)[1], op.axes_of(b)[2]]]


@rule("linear")
def _linear(op: Operation) -> Sequence[Axes]:
    return [[*op.axes[:-1], feature(op.y.shape[-1])]]


@rule("mv", "dot", "addmv")
def _mv(op: Operation) -> Sequence[Axes]:
    return [[op.axes[0]]] if op.name == "mv" else [[]]


@rule(
    "scaled_dot_product_attention", "_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention", "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_fused_attention_overrideable", "_scaled_dot_product_attention_math",
)  # fmt: skip
def _attention(op: Operation) -> Sequence[Axes]:
    query, value = op.axes_of(op.args[0]), op.axes_of(op.args[2])
    return [[*query[:-1], value[-1]]]


@rule("convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution", "conv_transpose2d")
def _convolution(op: Operation) -> Sequence[Axes]:
    lead = [op.axes[0], feature(op.y.shape[1])]
    kernel, stride, padding = op.args[1].shape[2:], op.args[3], op.args[4]
    pointwise = all(k == 1 for k in kernel) and all(s == 1 for s in stride) and not any(padding)
    axes = [*lead, *op.axes[2:]]
    transposed = len(op.args) < 7 or op.args[6] is not False
    slid = axes if pointwise else rescaled(axes, dict(enumerate(op.y.shape[2:], 2)))
    return [slid if pointwise or transposed else overhanging(slid, axes, [1, 1, *stride])]


@rule(
    "max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d",
    "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
    "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d", "upsample_bilinear2d",
    "upsample_trilinear3d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
    "_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d", "pixel_shuffle",
    "pixel_unshuffle", "max_unpool2d", "max_unpool3d", "lp_pool2d",
)  # fmt: skip
def _pool(op: Operation) -> Sequence[Axes]:
    """The last axes are resized; those in front of them stay."""
    ranks = [d for d in (1, 2, 3) if f"{d}d" in op.name]
    rank = ranks[0] if ranks else 2
    lead = op.axes[:-rank]
    if op.name.startswith("pixel"):
        lead = [*op.axes[:-3], feature(op.y.shape[-3])]
    axes = [*lead, *op.axes[-rank:]]
    return [rescaled(axes, {len(axes) - rank + i: n for i, n in enumerate(y.shape[-rank:])}) for y in op.outputs]


@rule(
    "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
    "replication_pad2d", "replication_pad3d", "_pad_circular", "pad",
)  # fmt: skip
def _pad(op: Operation) -> Sequence[Axes]:
    ends = list(op.args[1])
    axes = list(op.axes)
    for i in range(len(ends) // 2):
        axes[-1 - i] = padded(axes[-1 - i], ends[2 * i], ends[2 * i + 1])
    return [axes]


@rule("roll")
def _roll(op: Operation) -> Sequence[Axes]:
    shifts, dims = op.args[1], op.argument(2, "dims", [])
    shifts, dims = ([v] if isinstance(v, int) else list(v) for v in (shifts, dims))
    axes = list(op.axes)
    for shift, dim in zip(shifts, dims, strict=False):
        axes[dim] = rolled(axes[dim], shift)
    return [axes if dims else []]


@rule("flip")
def _flip(op: Operation) -> Sequence[Axes]:
    dims = _dims(op.args[1], op.x.ndim)
    return [[mirrored(a) if d in dims else a for d, a in enumerate(op.axes)]]


@rule("rot90")
def _turn(op: Operation) -> Sequence[Axes]:
    """A quarter turn is a flip of the second axis and a swap of both."""
    i, j = (d % op.x.ndim for d in op.argument(2, "dims", [0, 1]))
    axes = list(op.axes)
    for _ in range(op.argument(1, "k", 1) % 4):
        axes[i], axes[j] = mirrored(axes[j]), axes[i]
    return [axes]


@rule("lstm", "gru", "rnn_tanh", "rnn_relu", "mkldnn_rnn_layer", "_cudnn_rnn", "miopen_rnn")
def _recurrent(op: Operation) -> Sequence[Axes]:
    return [[*op.axes[:2], feature(op.y.shape[2])] if op.y.ndim == 3 == op.x.ndim else []]


@rule("index", "_unsafe_index")
def _index(op: Operation) -> Sequence[Axes]:
    """Axes that no index touches stay, where the touched ones lie together."""
    touched = [i for i, v in enumerate(op.args[1]) if v is not None]
    width = max((op.args[1][i].ndim for i in touched), default=0)
    together = touched == list(range(touched[0], touched[0] + len(touched))) if touched else False
    if not together or op.y.ndim != op.x.ndim - len(touched) + width:
        return []
    first = touched[0]
    return [[*op.axes[:first], *map(feature, op.y.shape[first : first + width]), *op.axes[first + len(touched) :]]]


@rule("index_select", "topk", "sort", "argsort", "kthvalue", "cummax", "cummin")
def _chosen(op: Operation) -> Sequence[Axes]:
    """One axis is chosen from, or put in order, by data."""
    position = {"index_select": 1, "topk": 2, "kthvalue": 2}.get(op.name, 1)
    chosen = op.argument(position, "dim", -1)
    # `sort` and `argsort` may come with their flag in front of the axis.
    dim = (op.kwargs.get("dim", op.argument(2, "dim", -1)) if isinstance(chosen, bool) else chosen) % op.x.ndim
    return [[feature(y.shape[d]) if d == dim else a for d, a in enumerate(op.axes)] for y in op.outputs]


@rule("gather", "take_along_dim")
def _gather(op: Operation) -> Sequence[Axes]:
    dim = op.args[1] % op.x.ndim
    kept = [a if n == m else feature(n) for a, n, m in zip(op.axes, op.y.shape, op.x.shape, strict=True)]
    kept[dim] = feature(op.y.shape[dim])
    return [kept]


@rule(
    "embedding", "take", "nonzero", "masked_select", "grid_sampler_2d", "grid_sampler_3d", "bincount",
    "searchsorted", "index_put", "_index_put_impl", "index_add", "scatter", "scatter_add", "scatter_reduce",
    "index_copy", "_unique2", "histc", "fft_fft2", "put", "tril_indices", "eye",
)  # fmt: skip
def _lost(op: Operation) -> Sequence[Axes]:
    return []


def _dims(dims: Any, rank: int) -> set[int]:
    return {d % rank for d in ([dims] if isinstance(dims, int) else dims)}
