"""Maps at the network's own input: which methods have one, what it is, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import sightline
from sightline.errors import MethodError
from sightline.explainers import METHODS
from tests import tiny
from tests.tiny import SIDE, build

MODELS = ("plain_inplace", "residual", "reused", "dense", "depthwise", "vit_token", "vit_avg", "windows")
SHARED = [name for name, method in METHODS.items() if method.run is None and method.control is None]
AT_INPUT = [name for name, method in METHODS.items() if not method.no_input and method.needs != "captum"]
WITHOUT = [name for name, method in METHODS.items() if method.no_input]


def picture(batch: int = 1, **sides: int) -> Tensor:
    return tiny.picture(batch, **sides)


def gradient(model: nn.Module, x: Tensor, target: int) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(model(leaf)[:, target].sum(), leaf)[0]


FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gradxact": lambda x, G: (x * G).sum(1),
    "hirescam": lambda x, G: (x * G).sum(1).relu(),
    "layercam": lambda x, G: (x * G.relu()).sum(1).relu(),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", FORMULAS)
def test_a_method_of_the_shared_pass_is_its_formula_with_the_input_for_the_activation(method: str, name: str) -> None:
    model, x = build(name).eval(), picture(batch=2)
    expected = FORMULAS[method](x, gradient(model, x, 2))
    for layers in ("input", "all+input"):
        for i, item in enumerate(sightline.explain(model, x, target=2, method=method, layers=layers)):
            assert item.flow.layers[0] == "input"
            torch.testing.assert_close(item.flow["input"].values, expected[i], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", AT_INPUT)
def test_the_map_at_the_input_has_its_size_and_changes_no_other(method: str, name: str) -> None:
    model, x = build(name), picture(batch=2, height=SIDE, width=2 * SIDE)
    if name.startswith("vit") or name == "windows":
        x = picture(batch=2)
    plain = sightline.explain(model, x, target=1, method=method)
    more = sightline.explain(model, x, target=1, method=method, layers="all+input")
    for a, b in zip(plain, more, strict=True):
        assert b.flow.layers == ("input", *a.flow.layers)
        assert b.flow["input"].shape == tuple(x.shape[2:])
        assert b.flow["input"].values.isfinite().all()
        for layer in a.flow.layers:
            torch.testing.assert_close(b.flow[layer].values, a.flow[layer].values, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("layers", [["input", "3"], ["3", "input"], "3,input", ["3+input"]])
def test_the_input_is_named_like_any_layer_and_comes_first(layers: str | list[str]) -> None:
    for method in ("gradxact", "lrp", "naflow", "edges"):
        flow = sightline.explain(build("plain_inplace"), picture(), method=method, layers=layers).one().flow
        assert flow.layers == ("input", "3")


@pytest.mark.parametrize("method", ["gradcam", "eigencam", "scorecam", "ablationcam", "rollout"])
def test_a_method_without_a_map_at_the_input_says_why_and_gives_the_others(method: str) -> None:
    model = build("vit_token")
    flow = sightline.explain(model, picture(), method=method, layers="all+input").one().flow
    assert flow.layers
    assert "input" not in flow.layers
    assert flow.remarks[-1] == f"There is no map at the input: {METHODS[method].no_input}."
    assert not any("no map at the input" in words for words in
                   sightline.explain(model, picture(), method=method).one().flow.remarks)  # fmt: skip


@pytest.mark.parametrize("method", WITHOUT)
def test_where_only_the_input_is_asked_for_it_is_refused(method: str) -> None:
    with pytest.raises(MethodError, match=r"has no map at the input: .*; these have one: .*lrp"):
        sightline.explain(build("vit_token"), picture(), method=method, layers="input")


def test_methods_with_and_without_one_are_asked_together() -> None:
    items = sightline.explain(
        build("plain_inplace"), picture(), method=["gradcam", "gradxact", "lrp", "edges"], layers=["3", "input"]
    )
    layers = {item.method: item.flow.layers for item in items}
    assert layers == {"gradcam": ("3",), **dict.fromkeys(("gradxact", "lrp", "edges"), ("input", "3"))}


def test_a_batch_gives_the_maps_of_single_pictures_at_the_input() -> None:
    model, x = build("plain_inplace"), picture(batch=3)
    for method in ("lrp", "naflow", "gradxact"):
        together = sightline.explain(model, x, target=1, method=method, layers="input")
        for i, item in enumerate(together):
            alone = sightline.explain(model, x[i : i + 1], target=1, method=method, layers="input").one()
            torch.testing.assert_close(item.flow[0].values, alone.flow[0].values, rtol=1e-4, atol=1e-7)
            assert item.flow.remarks == alone.flow.remarks


def test_the_inputs_are_left_alone_by_a_model_that_overwrites_them() -> None:
    class Overwrites(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = build("plain_inplace")

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.sub_(0.5).div_(0.25))

    torch.manual_seed(0)
    model, x = Overwrites().eval(), picture()
    before = x.clone()
    expected = (gradient(lambda v: model(v.clone()), x, 1) * x).sum(1)[0]
    flows = {m: sightline.explain(model, x, target=1, method=m, layers="input").one().flow for m in AT_INPUT}
    assert torch.equal(x, before)
    torch.testing.assert_close(flows["gradxact"][0].values, expected, rtol=1e-4, atol=1e-7)


def words_of(x: Tensor, **wishes: object) -> str:
    model = wishes.pop("model", None) or build("plain_inplace")
    return sightline.explain(model, x, method="lrp", layers="input", **wishes).one().flow.remarks[-1]


def test_the_bounds_and_where_they_are_from_are_told() -> None:
    x = (picture().sigmoid() - 0.5) / 0.25
    settings = {"mean": [0.5] * 3, "std": [0.25] * 3}
    assert words_of(x, provenance={"preprocess": settings}) == (
        "The pixels lie between -2 and 2: 0 and 1 after the model's preprocessing."
    )
    assert words_of(x, options={"low": -4, "high": "4, 5, 6"}) == (
        "The pixels lie between -4 and (4, 5, 6): so say the options low and high."
    )
    assert words_of(x).endswith("the ends of each channel of the input itself, as the preprocessing is not known.")
    beyond = words_of(x * 9, provenance={"preprocess": settings})
    assert beyond.endswith("as they lie beyond those of the preprocessing.")
    assert "Relevance" in words_of(x, options={"first": "flat"})


def test_a_model_of_timm_carries_its_bounds() -> None:
    model = build("plain_inplace")
    model.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    assert "between -1 and 1: 0 and 1 after" in words_of(picture().sigmoid(), model=model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0}, "come together"),
        ({"low": 0.5, "high": 1}, "but these go from"),
        ({"low": "black", "high": 1}, "is a number, or one for each channel"),
        ({"low": [0, 0], "high": 1}, "has 2 numbers, and the inputs have 3 channels"),
    ],
)
def test_bounds_that_cannot_be_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(MethodError, match=message):
        words_of(picture().sigmoid(), options=options)


class OneLayer(nn.Module):
    """One convolution, a ReLU and a mean: what NAFlow demands of the pixels can be written down."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv, self.fc = nn.Conv2d(2, 4, 3, stride), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.conv(x)).mean((2, 3)))


@pytest.mark.parametrize("stride", [1, 3])
def test_naflows_last_step_is_the_damped_solution_for_the_pixels(stride: int) -> None:
    model, damping = OneLayer(stride).double().eval(), 0.1
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64)
    z = model.conv(x).detach()
    # Behind the ReLU nothing comes from what was off: it is abandoned, so its demand is to be zero.
    demand = torch.where(z > 0, 0.0, -z).flatten()
    J = torch.autograd.functional.jacobian(model.conv, x).reshape(z.numel(), x.numel())
    level = damping * float(model.conv.weight.detach().square().sum()) / (2 * stride**2)
    delta = torch.linalg.solve(J.T @ J + level * torch.eye(x.numel()).to(J), J.T @ demand).view_as(x)
    expected = ((x + delta) * gradient(model, x, 1)).relu().sum(1)[0]
    options = {"damping": damping, "iterations": 200}
    flow = sightline.explain(model, x, target=1, method="naflow", layers="input", options=options).one().flow
    torch.testing.assert_close(flow["input"].values, expected.float(), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(expected, (x * gradient(model, x, 1)).relu().sum(1)[0], rtol=1e-2)


@pytest.mark.parametrize("signed", [False, True])
def test_naflow_without_an_inverse_is_gradient_x_input(signed: bool) -> None:
    model, x = build("plain_inplace").eval(), picture()
    evidence = x * gradient(model, x, 1)
    expected = evidence.sum(1) if signed else evidence.relu().sum(1)
    options = {"mode": "forward", "signed": signed}
    flow = sightline.explain(model, x, target=1, method="naflow", layers="all+input", options=options).one().flow
    torch.testing.assert_close(flow["input"].values, expected[0], rtol=1e-4, atol=1e-7)


def test_the_published_mode_goes_down_to_the_pixels_too() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Conv2d(8, 9, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(9, 3),
    )  # fmt: skip
    options = {"mode": "published"}
    flow = sightline.explain(
        model, torch.randn(1, 2, 7, 7), target=1, method="naflow", layers=["input", "1"], options=options
    )
    assert flow.one().flow.layers == ("input", "1")
    assert flow.one().flow["input"].status == "ok"


def head(pool: type[nn.Module]) -> tuple[nn.Module, ...]:
    return nn.ReLU(), pool(1), nn.Flatten(), nn.Linear(6, 4)


class LastAxis(nn.Module):
    """Channels come last."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 6, 3), *head(nn.AdaptiveAvgPool2d))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.permute(0, 3, 1, 2))


OTHERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...]]] = {
    "signal": (lambda: nn.Sequential(nn.Conv1d(2, 6, 5), *head(nn.AdaptiveAvgPool1d)), (2, 2, 40), (40,)),
    "volume": (lambda: nn.Sequential(nn.Conv3d(1, 6, 3), *head(nn.AdaptiveAvgPool3d)), (2, 1, 6, 8, 9), (6, 8, 9)),
    "tall picture": (lambda: nn.Sequential(nn.Conv2d(5, 6, 3), *head(nn.AdaptiveAvgPool2d)), (2, 5, 33, 7), (33, 7)),
    "channels last": (LastAxis, (2, 8, 12, 3), (8, 12)),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_inputs_of_other_ranks_have_a_map_too(kind: str) -> None:
    make, shape, places = OTHERS[kind]
    torch.manual_seed(0)
    model, x = make().eval(), torch.randn(shape)
    channels = 3 if kind == "channels last" else 1
    gxi = (x * gradient(model, x, 1)).sum(channels)
    flows = {
        m: sightline.explain(model, x, target=1, method=m, layers="input") for m in ("gradxact", "lrp", "naflow")
    }
    for items in flows.values():
        assert all(item.flow["input"].shape == places for item in items)
    torch.testing.assert_close(flows["gradxact"][1].flow[0].values, gxi[1], rtol=1e-4, atol=1e-7)
    assert flows["lrp"][0].flow.remarks[-1].count(",") - 1 == 2 * (
        x.shape[channels] - 1 if x.shape[channels] < 5 else 4
    )


def test_a_model_with_a_part_called_input_has_both() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
            self.head = nn.Sequential(nn.Conv2d(6, 6, 3), *head(nn.AdaptiveAvgPool2d))

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.input(x))

    model, x = Named().eval(), picture()
    for method in ("gradxact", "lrp", "naflow"):
        flow = sightline.explain(model, x, method=method, layers=["input:1", "input"]).one().flow
        assert flow.layers == ("@in", "input")
        again = sightline.explain(model, x, method=method, layers="@in").one().flow
        torch.testing.assert_close(again["@in"].values, flow["@in"].values)
    flow = sightline.explain(model, x, method="gradcam", layers=["input:1", "input"]).one().flow
    assert flow.layers == ("input",)


class AddsBehind(nn.Module):
    """A sum behind a layer, in place or not."""

    def __init__(self, *, in_place: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.in_place = in_place
        self.one, self.two, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.one(x))
        z = self.two(y)
        if self.in_place:
            z += y
        else:
            z = z + y
        return self.fc(F.relu(z).mean((2, 3)))


@pytest.mark.parametrize("method", ["lrp", "naflow"])
def test_a_flow_reads_a_layer_as_it_was_before_it_was_overwritten(method: str) -> None:
    x = picture()
    a, b = (
        sightline.explain(AddsBehind(in_place=i).eval(), x, target=1, method=method, layers=["two"]).one().flow
        for i in (True, False)
    )
    torch.testing.assert_close(a["two"].values, b["two"].values)
