"""LeGrad: how sensitive the decision, read off each block's own tokens, is to that block's attention.

The end of the network - last norm, pooling, head - is applied to the tokens behind each block. Their score's gradient
with respect to the block's attention weights, its positive part averaged over heads and over the tokens that read, is
the block's map; the maps of all blocks are averaged [bousselham2024legrad].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import LayerError
from sightline.explainers.attention.reading import Attention, AttentionReading, read_attention, step_gradient
from sightline.explainers.attention.rollout import blanked, selected_layers, who_decides
from sightline.explainers.attention.sinks import BLANK
from sightline.explainers.attention.stream import replayed, tokens_behind
from sightline.explainers.flow.tape import Node
from sightline.explainers.flow.walk import plainly, plus, walk
from sightline.explainers.method import Outcome, Request, own_pass


@own_pass(
    name="legrad",
    title="LeGrad",
    family="Attention",
    needs="attention",
    equation="mean_(l'<=l) mean_h mean_i relu( d s_l' / d A_l'[h,i,n] ),  s_l: the score of block l's own tokens",
    source="bousselham2024legrad",
    cost="1 forward + 1 partial backward per block and target",
    options={"accumulate": "false gives each block's own map instead of the mean up to it", "sinks": BLANK},
    models="transformers whose blocks have tokens of one shape",
    no_input="attention lies between tokens",
)
@torch.no_grad()
def legrad(request: Request) -> Outcome:
    """Sensitivity of each block's own score to its attention, averaged over the blocks [bousselham2024legrad].

    Raises:
        LayerError: no attention over all places, or blocks whose tokens cannot be handed to the end of the network.
    """
    reading = read_attention(request)
    reading.same_places()
    with plainly(request.inputs.device):
        blocks = _blocks(reading)
        each = [[_own_map(reading, block, k) for block in blocks] for k in range(len(reading.starts))]
    maps = torch.stack([torch.stack(own) for own in each], 2)
    if request.option("accumulate", True):
        maps = maps.cumsum(0) / torch.arange(1, len(maps) + 1, device=maps.device).reshape(-1, *[1] * (maps.ndim - 1))
    positions = [reading.attentions.index(block.attention) for block in blocks]
    layers = [blanked(request, reading, i, own) for i, own in zip(positions, maps, strict=True)]
    remarks = ((who_decides(reading),),) * len(each)
    return Outcome(reading.readout, selected_layers(request, layers), (remarks,) * len(reading.readout.scores))


@dataclass(frozen=True, eq=False)
class Block:
    """One map to make.

    Args:
        attention: attention that the map is of.
        read: attention whose weights are differentiated: the same, or the one that pools the tokens.
        tokens: node of the tokens behind the block; None where the decision itself is what is differentiated.
        last: node of the last block's tokens, for which these stand.
    """

    attention: Attention
    read: Attention
    tokens: Node | None = None
    last: Node | None = None


def _blocks(reading: AttentionReading) -> list[Block]:
    """What each attention's map is made of.

    Where one token pools all others, it is that pooling whose weights count, on each block's tokens. Class attention
    that comes late is differentiated as it stands.

    Raises:
        LayerError: the tokens behind a block cannot stand for the last ones.
    """
    pooling = reading.pooling
    squares = [attention for attention in reading.attentions if attention.square]
    late = [Block(a, a) for a in reading.attentions if not a.square and a is not pooling]
    if len(squares) < 2:
        return [Block(a, pooling or a) for a in squares] + late or [Block(a, a) for a in reading.attentions]
    ends = {node for start in reading.starts for node in start}
    behind = tokens_behind(reading.tape, reading.steps, [a.product for a in squares], ends)
    if None in behind:
        raise LayerError(
            f"the head of {reading.model} cannot read the tokens behind {squares[behind.index(None)].name!r} in "
            "place of the last block's, and legrad asks that at every block; rollout, gradrollout and lrp do not"
        )
    return [Block(a, pooling or a, node, behind[-1]) for a, node in zip(squares, behind, strict=True)] + late


def _own_map(reading: AttentionReading, block: Block, k: int) -> Float[Tensor, "b h w"]:
    """`mean_h mean_i relu( d s / d A[h,i,n] )` at the places."""
    start, G = reading.starts[k], None
    if block.tokens is not None and block.last is not None:
        with torch.enable_grad():
            leaf = reading.tape.value(block.tokens).detach().requires_grad_()
            values = replayed(reading.tape, block.last, leaf)
            at = leaf if block.read is block.attention else values[block.read.product.weights]
            (G,) = torch.autograd.grad(reading.score(values)[:, k].sum(), [at], materialize_grads=True)
        start = {block.tokens: G}
    if G is None or block.read is block.attention:
        G = _arrived(reading, start, block.read)
    return reading.to_grid(reading.gradient_of(block.read, G).relu().mean((1, 2)))


def _arrived(reading: AttentionReading, start: dict[Node, Tensor], attention: Attention) -> Tensor | None:
    """The plain gradient at an attention's weights, of what starts further on."""
    gradients: dict[Node, Tensor] = {}
    node = attention.product.weights
    walk(reading.tape, reading.steps, start, partial(step_gradient, reading.tape), gradients.__setitem__, add=plus,
         last=False, destinations={node})  # fmt: skip
    return gradients.get(node)
