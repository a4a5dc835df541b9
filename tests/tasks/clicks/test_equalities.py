"""Every classical click model is an exact case of the interaction layer: logits and gradients, in float64."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from sightline.errors import ModelError
from sightline.tasks.clicks.network.layer import Cross, Heads, Interaction
from sightline.tasks.clicks.network.network import ClickNet, ClickSpec, rows_at, start_gradient, warn_if_frozen
from sightline.tasks.clicks.network.pairs import Contracted, Half, PairLogit, PairSum, ProductPairs, Symmetric
from sightline.tasks.clicks.network.presets import PRESETS, Shape
from sightline.tasks.clicks.network.rows import BLOCK
from sightline.tasks.clicks.network.similarity import (
    Bilinear,
    Dot,
    FieldAware,
    PairBilinear,
    PairSoftmax,
    Softmax,
)
from sightline.tasks.clicks.network.value import PairWeights, Product, Projection

N, D, B = 5, 4, 3


@pytest.fixture(autouse=True)
def _doubles():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def embeddings(width: int = D) -> Tensor:
    return torch.randn(B, N, width, requires_grad=True)


def random(module: nn.Module) -> nn.Module:
    """Its parameters drawn anew, so that no start value hides a mistake."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def same(one: Tensor, other: Tensor, *inputs: Tensor) -> None:
    """Equal to 1e-10, and so are their gradients."""
    assert float((one - other).detach().abs().max()) < 1e-10
    weight = torch.randn(one.shape)
    for a, b in zip(
        torch.autograd.grad((one * weight).sum(), inputs, retain_graph=True),
        torch.autograd.grad((other * weight).sum(), inputs, retain_graph=True),
        strict=True,
    ):
        assert float((a - b).abs().max()) < 1e-10


def double_loop(f: Tensor, pair: Callable[[int, int], Tensor], *, ordered: bool = False) -> Tensor:
    places = [(i, j) for i, j in product(range(N), range(N)) if ordered or i < j]
    return torch.stack([pair(i, j) for i, j in places]).sum(0)


def naive(f: Tensor, s: Tensor, u: Tensor, *, others: bool = False) -> Tensor:
    """The equation itself, with the tensor b x n x n x d that the library never builds."""
    if others:
        s = s * (1 - torch.eye(N))
    return (s[..., None] * u).sum(2)


def test_fm_is_the_double_loop() -> None:
    f = embeddings()
    same(PairSum(Dot(), Half(N))(f), double_loop(f, lambda i, j: (f[:, i] * f[:, j]).sum(1)), f)


def test_fwfm_weighs_every_pair() -> None:
    f, model = embeddings(), random(PairSum(Dot(), Symmetric(N)))
    r = model.weights().detach() * 2
    assert torch.equal(r, r.T)
    same(model(f), double_loop(f, lambda i, j: r[i, j] * (f[:, i] * f[:, j]).sum(1)), f)


def test_sam2a_is_its_naive_tensor_and_contains_fm_and_fwfm() -> None:
    f, model = embeddings(), random(PairSum(Dot(), Contracted(N, D)))
    s = f @ f.mT
    whole = (s[..., None] * model.weights.w * model.weights.fc).sum((1, 2, 3))
    same(model(f), whole, f, model.weights.w, model.weights.fc)
    r = torch.randn(N, N).triu(1)
    with torch.no_grad():
        model.weights.w.fill_(1)
        model.weights.fc.copy_(((r + r.T) / 2 / D)[..., None].expand(N, N, D))
    same(model(f), double_loop(f, lambda i, j: r[i, j] * (f[:, i] * f[:, j]).sum(1)), f)


def test_sam2e_is_its_naive_tensor() -> None:
    f, model = embeddings(), random(ProductPairs(N, D))
    s, u = f @ f.mT, f[:, :, None] * f[:, None]
    same(model(f), (s[..., None] * u * model.fc).sum((1, 2, 3)), f, model.fc)


def test_sam2e_with_a_constant_coordinate_is_fm() -> None:
    f, model = embeddings(), random(ProductPairs(N, D + 1))
    extended = torch.cat([f, torch.ones(B, N, 1)], 2)
    with torch.no_grad():
        model.fc.zero_()
        model.fc[..., -1] = (1 - torch.eye(N)) / 2
    same(model(extended) - N * (N - 1) / 2, PairSum(Dot(), Half(N))(f), f)


@pytest.mark.parametrize("others", [False, True])
def test_sam3a_is_its_naive_tensor(others: bool) -> None:
    f = embeddings()
    layer = random(Interaction(Bilinear(D), PairWeights(N, D), others=others, residual=nn.Linear(D, D, bias=False)))
    s = torch.einsum("bid,de,bje->bij", f, layer.similarity.K, f)
    u = layer.value.w[None].expand(B, -1, -1, -1)
    same(layer(f), naive(f, s, u, others=others) + layer.residual(f), f, *layer.parameters())


@pytest.mark.parametrize("others", [False, True])
def test_sam3e_is_its_naive_tensor(others: bool) -> None:
    f = embeddings()
    layer = random(Interaction(Bilinear(D), Product(), others=others, residual=nn.Linear(D, D, bias=False)))
    s = torch.einsum("bid,de,bje->bij", f, layer.similarity.K, f)
    u = f[:, :, None] * f[:, None]
    same(layer(f), naive(f, s, u, others=others) + layer.residual(f), f, *layer.parameters())


def full_fm(f: Tensor, w: Tensor, bias: float, r: Tensor | None = None) -> Tensor:
    r = torch.ones(N, N) if r is None else r
    return bias + w.sum(1) + double_loop(f, lambda i, j: r[i, j] * (f[:, i] * f[:, j]).sum(1))


def one_layer(r: Tensor) -> Interaction:
    """SAM3A with residual on [v_i; w_i], whose last coordinate is the whole of FM or FwFM."""
    layer = Interaction(Bilinear(D + 1), PairWeights(N, D + 1), residual=nn.Linear(D + 1, D + 1, bias=False))
    with torch.no_grad():
        layer.similarity.K.copy_(torch.diag(torch.tensor([1.0] * D + [0.0])))
        layer.residual.weight.zero_()
        layer.residual.weight[-1, -1] = 1
        layer.value.w.zero_()
        layer.value.w[..., -1] = r / 2 * (1 - torch.eye(N))
    return layer


@pytest.mark.parametrize("weighted", [False, True])
def test_one_layer_of_sam3a_is_the_whole_of_fm_and_fwfm(weighted: bool) -> None:
    f, w = embeddings(), torch.randn(B, N, requires_grad=True)
    r = torch.randn(N, N).triu(1)
    r = r + r.T if weighted else torch.ones(N, N)
    out = one_layer(r)(torch.cat([f, w[..., None]], 2))
    same(out.sum(1)[:, -1] + 0.7, full_fm(f, w, 0.7, r), f, w)


def test_sam3e_adds_half_the_squares_to_fm_unless_a_field_leaves_itself_out() -> None:
    f, w = embeddings(), torch.randn(B, N, requires_grad=True)
    extended = torch.cat([f, w[..., None], torch.ones(B, N, 1)], 2)
    for others, more in ((False, f.square().sum((1, 2)) / 2), (True, 0.0)):
        layer = Interaction(Bilinear(D + 2), Product(), others=others, residual=nn.Linear(D + 2, D + 2, bias=False))
        with torch.no_grad():
            layer.similarity.K.copy_(torch.diag(torch.tensor([1.0] * D + [0.0, 0.0])) / 2)
            layer.residual.weight.zero_()
            layer.residual.weight[-1, -2] = 1
        same(layer(extended).sum(1)[:, -1], full_fm(f, w, 0.0) + more, f, w)


def test_private_coordinates_give_sam2a_the_linear_terms() -> None:
    f = embeddings()
    w = torch.randn(B, N, requires_grad=True)
    top = float((f.square().sum(2) - w).detach().max()) + 1
    private = torch.diag_embed((w + top - f.square().sum(2)).sqrt())
    model = PairSum(Dot(), Contracted(N, D))
    with torch.no_grad():
        model.weights.w.fill_(1)
        model.weights.fc.copy_(((torch.eye(N) + 1) / 2 / D)[..., None].expand(N, N, D))
    same(model(torch.cat([f, private], 2)) - N * top, full_fm(f, w, 0.0), f, w)


def test_logistic_regression_is_sam1_of_width_one_and_sam3a_without_weights() -> None:
    w = torch.randn(B, N, 1, requires_grad=True)
    sam1 = ClickNet(ClickSpec(model="sam1", sizes=(3,) * N, width=1)).interaction
    with torch.no_grad():
        sam1.aggregate.fc.weight.fill_(1)
        sam1.aggregate.fc.bias.zero_()
    same(sam1(w), w.sum((1, 2)), w)
    layer = random(Interaction(Bilinear(2), PairWeights(N, 2), residual=nn.Linear(2, 2, bias=False)))
    with torch.no_grad():
        layer.value.w.zero_()
        layer.residual.weight.copy_(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    same(layer(torch.cat([torch.randn(B, N, 1), w], 2)).sum(1)[:, 1], w.sum((1, 2)), w)


def test_dcn_s_cross_layer_is_an_interaction_of_one_token() -> None:
    x0, x = torch.randn(B, 6, requires_grad=True), torch.randn(B, 6, requires_grad=True)
    layer = random(Cross(6))
    loop = torch.stack([x0[b] * (x[b] @ layer.w) + layer.b + x[b] for b in range(B)])
    same(layer(x0, x), loop, x0, x, layer.w, layer.b)
    token = random(Interaction(Fixed(x, layer.w), Start(x0), residual=nn.Identity()))
    same(token(x[:, None])[:, 0] + layer.b, loop, x0, x)


class Fixed(Dot):
    """s = x . w of the only token."""

    def __init__(self, x: Tensor, w: Tensor) -> None:
        super().__init__()
        self.s = (x @ w)[:, None, None]

    def forward(self, fields: Tensor) -> Tensor:
        return self.s


class Start(nn.Module):
    """u = x0."""

    def __init__(self, x0: Tensor) -> None:
        super().__init__()
        self.x0 = x0[:, None]

    def forward(self, similarity: nn.Module, fields: Tensor, *, others: bool) -> Tensor:
        return similarity(fields) @ self.x0


def test_autoint_s_head_is_the_layer_with_a_softmax_and_a_value() -> None:
    f = embeddings()
    head = random(Interaction(Softmax(D, 3), Projection(D, 3)))
    q, k = f @ head.similarity.query.weight.T, f @ head.similarity.keys.weight.T
    loop = torch.stack(
        [
            sum(
                F.softmax((q[:, i : i + 1] * k).sum(2), 1)[:, j : j + 1] * (f[:, j] @ head.value.V.weight.T)
                for j in range(N)
            )
            for i in range(N)
        ],
        1,
    )
    same(head(f), loop, f, *head.parameters())
    residual = random(nn.Linear(D, 6, bias=False))
    two = random(Heads([head, random(Interaction(Softmax(D, 3), Projection(D, 3)))], residual, nn.ReLU()))
    joined = torch.cat([part(f) for part in two.heads], 2)
    same(two(f), F.relu(joined + f @ residual.weight.T), f)


def test_afm_is_a_softmax_over_pairs_and_a_sum_of_products() -> None:
    f = embeddings()
    layer = random(Interaction(PairSoftmax(D, 3), Product()))
    s = layer.similarity
    pairs = [(i, j) for i in range(N) for j in range(i + 1, N)]
    products = torch.stack([f[:, i] * f[:, j] for i, j in pairs], 1)
    weights = F.softmax(s.h(F.relu(s.W(products))), 1)
    same(layer(f).sum(1), (weights * products).sum(1), f, *s.parameters())


def test_fmfm_has_a_matrix_for_every_pair_and_ffm_an_embedding() -> None:
    f, model = embeddings(), random(PairSum(PairBilinear(N, D), Half(N)))
    M = model.similarity.M
    whole = double_loop(f, lambda i, j: torch.einsum("bd,de,be->b", f[:, i], (M[i, j] + M[j, i].T) / 2, f[:, j]))
    same(model(f), whole, f, M)
    v = embeddings(N * 2)
    blocks = v.unflatten(2, (N, 2))
    ffm = PairSum(FieldAware(N), Half(N))
    same(ffm(v), double_loop(v, lambda i, j: (blocks[:, i, j] * blocks[:, j, i]).sum(1)), v)


def test_blocks_for_every_pair_make_ffm_and_fmfm_a_sam2a() -> None:
    """n(n-1)/2 blocks, of which a field fills those of its own pairs; then plain products are enough."""
    pairs = [(i, j) for i in range(N) for j in range(i + 1, N)]
    v = embeddings(N * 2)
    own = v.unflatten(2, (N, 2))
    f, model = embeddings(), random(PairSum(PairBilinear(N, D), Half(N)))
    M = model.similarity.M

    def filled(block: Callable[[int, int, int], Tensor], width: int) -> Tensor:
        zero = torch.zeros(B, width)
        rows = [[block(i, *pair) if i in pair else zero for pair in pairs] for i in range(N)]
        return torch.stack([torch.cat(row, 1) for row in rows], 1)

    sam2a = PairSum(Dot(), Half(N))
    wide = filled(lambda i, a, b: own[:, i, b if i == a else a], 2)
    same(sam2a(wide), PairSum(FieldAware(N), Half(N))(v), v)
    wide = filled(lambda i, a, b: f[:, a] @ (M[a, b] + M[b, a].T) / 2 if i == a else f[:, b], D)
    same(sam2a(wide), model(f), f)


@pytest.mark.parametrize(("name", "degree"), [("sam2a", 2), ("sam2e", 4)])
def test_pairs_scale_by_their_degree(name: str, degree: int) -> None:
    f, model = embeddings(), random(ClickNet(ClickSpec(model=name, sizes=(3,) * N, width=D)).interaction)
    assert torch.allclose(model(1.3 * f), 1.3**degree * model(f), rtol=1e-12, atol=0)


@pytest.mark.parametrize(("layers", "kind", "degree"), [(1, "a", 2), (2, "a", 4), (1, "e", 4), (2, "e", 16)])
def test_layers_without_residual_scale_by_powers(layers: int, kind: str, degree: int) -> None:
    f = embeddings()
    stack = nn.Sequential(
        *(random(Interaction(Bilinear(D), PairWeights(N, D) if kind == "a" else Product())) for _ in range(layers))
    )
    assert torch.allclose(stack(1.3 * f), 1.3**degree * stack(f), rtol=1e-12, atol=0)


def test_order_of_the_fields_does_not_matter() -> None:
    f, order = embeddings(), torch.randperm(N)
    model = random(PairSum(Dot(), Contracted(N, D)))
    turned = PairSum(Dot(), Contracted(N, D))
    with torch.no_grad():
        turned.weights.w.copy_(model.weights.w[order][:, order])
        turned.weights.fc.copy_(model.weights.fc[order][:, order])
    same(turned(f[:, order]), model(f), f)
    layer = random(Interaction(Bilinear(D), Product()))
    same(layer(f[:, order]), layer(f)[:, order], f)


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.pairs and name != "lr"])
def test_what_pairs_add_sums_to_the_logit(name: str) -> None:
    net = random(ClickNet(ClickSpec(model=name, sizes=(3,) * N, width=D)))
    ids, values = torch.randint(0, 3, (B, N)), torch.zeros(B, 0)
    fields = net.fields(ids, values)
    assert isinstance(net.pairs, PairLogit)
    whole = net.bias + net.linear_terms(ids, values).sum(1) + net.pairs.terms(fields).sum((1, 2))
    assert torch.allclose(net(ids, values), whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_begins_where_it_can_learn(name: str) -> None:
    torch.set_default_dtype(torch.float32)
    net = ClickNet(ClickSpec(model=name, sizes=(50,) * 8, width=8))
    assert start_gradient(net) > 1e-6
    assert warn_if_frozen(net) == ""
    assert all(bool(torch.isfinite(p).all()) for p in net.parameters())


@pytest.mark.parametrize("kind", ["sam3a", "sam3e"])
def test_the_published_start_without_residual_is_warned_of(kind: str) -> None:
    torch.set_default_dtype(torch.float32)
    spec = ClickSpec(model=kind, sizes=(50,) * 8, width=8, layers=3, init="published", residual=False)
    assert "the AUC stays at 0.5" in warn_if_frozen(ClickNet(spec))


def test_a_start_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot begin as 'one'; near names: 'ones'"):
        ClickSpec(model="sam3a", sizes=(5, 5), init="one")


def test_a_single_field_is_not_called_a_frozen_start() -> None:
    torch.set_default_dtype(torch.float32)
    warning = warn_if_frozen(ClickNet(ClickSpec(model="fwfm", sizes=(50,), width=8)))
    assert "one field" in warning
    assert "0.5" not in warning


def test_the_start_with_ones_is_the_scaled_one_but_for_the_pair_weights_of_sam3a() -> None:
    torch.set_default_dtype(torch.float32)
    nets = [ClickNet(ClickSpec(model="sam3a", sizes=(50,) * 8, width=8, init=init)) for init in ("scaled", "ones")]
    for scaled, ones in zip(nets[0].named_parameters(), nets[1].named_parameters(), strict=True):
        assert scaled[0] == ones[0]
        if "value.w" in ones[0]:
            assert bool((ones[1] == 1).all())
            assert float(scaled[1].detach().std()) > 0.5
        elif "residual" in ones[0]:
            assert torch.allclose(ones[1] @ ones[1].T, torch.eye(8), atol=1e-5)  # as scaled: keeps the size
    assert float(nets[1].embedding.weight.detach().std()) == pytest.approx(nets[0].spec.std, rel=0.1)
    assert warn_if_frozen(nets[1]) == ""


def test_deepfm_pnn_and_nfm_are_a_perceptron_beside_on_and_after_the_pairs() -> None:
    f = embeddings()
    fm = double_loop(f, lambda i, j: (f[:, i] * f[:, j]).sum(1))
    deepfm, pnn, nfm = (
        random(PRESETS[name].build(Shape(count=N, width=D, hidden=(7,)))) for name in ("deepfm", "pnn", "nfm")
    )
    same(deepfm(f), fm + deepfm.parts[1].net(f.flatten(1))[:, 0], f)
    inner = torch.stack([(f[:, i] * f[:, j]).sum(1) for i in range(N) for j in range(i + 1, N)], 1)
    same(pnn(f), pnn.net(torch.cat([f.flatten(1), inner], 1))[:, 0], f)
    same(nfm(f), nfm.net(double_loop(f, lambda i, j: f[:, i] * f[:, j]))[:, 0], f)


class Largest(TorchDispatchMode):
    """The largest tensor that anything made."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        tensors = [v for v in (out if isinstance(out, tuple | list) else [out]) if isinstance(v, Tensor)]
        self.numbers = max([self.numbers, *(v.untyped_storage().nbytes() // v.element_size() for v in tensors)])
        return out


@pytest.mark.parametrize("name", list(PRESETS))
def test_no_tensor_holds_a_vector_for_every_pair_of_every_sample(name: str) -> None:
    batch, count, width = 64, 20, 8
    spec = ClickSpec(model=name, sizes=(3,) * count, width=width, hidden=(16,))
    net = ClickNet(spec)
    with Largest() as largest:
        net(torch.zeros(batch, count, dtype=torch.long), torch.zeros(batch, 0)).sum().backward()
    pairs = batch * count * count
    limit = pairs * width if name == "ffm" else max(pairs, BLOCK * batch * count * width)
    assert largest.numbers <= limit  # FFM's embeddings themselves are that many


def test_a_number_scales_its_embedding() -> None:
    net = random(ClickNet(ClickSpec(model="fm", sizes=(3, 2, 3), width=D, numbers=(1,))))
    ids = torch.tensor([[0, 1, 2]])
    once, twice = (net.fields(ids, torch.tensor([[value]])) for value in (1.0, 2.0))
    assert torch.equal(twice[0, 1], 2 * once[0, 1])
    assert torch.equal(twice[0, [0, 2]], once[0, [0, 2]])


def test_heads_at_once_are_the_heads_one_by_one_with_their_gradients() -> None:
    torch.manual_seed(0)
    own = [Interaction(Softmax(6, 3), Projection(6, 3)).double() for _ in range(2)]
    heads = Heads(own, nn.Linear(6, 6, bias=False).double(), nn.ReLU())
    fields = torch.randn(4, 5, 6, dtype=torch.float64, requires_grad=True)
    one_by_one = torch.relu(torch.cat([head(fields) for head in own], 2) + heads.residual(fields))
    at_once = heads(fields)
    assert torch.allclose(at_once, one_by_one, atol=1e-12)
    inputs = [fields, *heads.parameters()]
    want, value = (torch.autograd.grad(out.square().sum(), inputs) for out in (one_by_one, at_once))
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(want, value, strict=True))


def test_rows_of_a_table_have_the_values_and_the_gradient_of_an_embedding() -> None:
    table = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    places = torch.randint(0, 7, (9, 4), generator=torch.Generator().manual_seed(0))
    want, value = nn.functional.embedding(places, table), rows_at(table, places)
    assert torch.equal(value, want)
    (grad_want,), (grad,) = (torch.autograd.grad(out.square().sum(), [table]) for out in (want, value))
    assert torch.allclose(grad, grad_want, atol=1e-12)
