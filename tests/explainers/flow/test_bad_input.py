"""What a flow cannot do is said in a sentence; what only looks odd works."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.errors import LayerError, MethodError, ModelError, UnfollowedError
from tests.explainers.flow.test_tape import family

FLOWS = ["lrp", "naflow"]


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.block(x).relu().mean((2, 3)))


def explained(
    model: nn.Module, method: str, x: Tensor | None = None, **asked: object
) -> sightline.results.Explanation:
    x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) if x is None else x
    return sightline.explain(model, x, target=1, method=method, layers=asked.pop("layers", ["block"]), **asked).one()


@pytest.mark.parametrize("method", FLOWS)
def test_a_model_in_training_mode_is_explained_in_evaluation_and_given_back(method: str) -> None:
    model, x = family("resnet18", torch.float32)
    expected = sightline.explain(model, x, target=1, method=method)[0].flow[-1].values
    model.train()
    found = sightline.explain(model, x, target=1, method=method)[0].flow[-1].values
    assert model.training
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("method", FLOWS)
def test_a_quantized_model_is_refused(method: str) -> None:
    backend = next((b for b in torch.backends.quantized.supported_engines if b != "none"), None)
    if backend is None:
        pytest.skip("this build of torch has no quantized kernels")
    torch.backends.quantized.engine = backend
    model = torch.ao.quantization.quantize_dynamic(Small().eval(), {nn.Linear})
    with pytest.raises(ModelError, match=r"quantized|float"):
        explained(model, method)


@pytest.mark.parametrize("method", FLOWS)
def test_activations_that_are_not_finite_are_told_by_the_status(method: str) -> None:
    model = Small()
    model.block.bias.data[0] = float("inf")
    assert explained(model, method).flow["block"].status == "nan"


@pytest.mark.parametrize("method", FLOWS)
def test_a_stage_that_does_not_exist_is_refused_with_near_names(method: str) -> None:
    with pytest.raises(LayerError, match="block"):
        explained(Small(), method, layers=["blok"])


class Branching(nn.Module):
    """Control flow on values: each input takes its own path."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        if float(y.mean()) > 0:
            y = -y
        return self.fc(y.relu().mean((2, 3)))


@pytest.mark.parametrize("method", FLOWS)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_branch_on_values_is_followed_as_it_was_taken(method: str, sign: int) -> None:
    model = Branching()
    x = sign * torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    taken = -1 if float(model.block(x).mean()) > 0 else 1

    class Straight(Branching):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc((taken * self.block(x)).relu().mean((2, 3)))

    straight = Straight()
    torch.testing.assert_close(
        explained(model, method, x).flow["block"].values, explained(straight, method, x).flow["block"].values
    )


@pytest.mark.parametrize("method", FLOWS)
def test_half_precision_does_not_make_false_zeros(method: str) -> None:
    """A small gradient underflows in half precision; the flow goes on in the activations' own numbers."""
    model = Small()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = explained(model, method).flow["block"].values
    expected = explained(model, method).flow["block"].values
    assert torch.corrcoef(torch.stack([found.flatten(), expected.flatten()]))[0, 1] > 0.99


def test_a_decision_that_does_not_depend_on_the_input_is_refused() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block, self.answer = nn.Conv2d(3, 4, 3), nn.Parameter(torch.ones(1, 5))

        def forward(self, x: Tensor) -> Tensor:
            self.block(x)
            return self.answer.expand(len(x), -1)

    with pytest.raises((ModelError, LayerError), match="depend"):
        explained(Constant(), "lrp")


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("naflow", {"damping": "abc"}, "is a number"),
        ("naflow", {"iterations": "x"}, "is a number"),
        ("naflow", {"iterations": 2.5}, "whole number"),
        ("naflow", {"threshold": "y"}, "is a number"),
        ("lrp", {"gamma": -1}, "0 or more"),
        ("scorecam", {"groups": "abc"}, "is a number"),
        ("smoothgrad", {"noise": "loud"}, "is a number"),
    ],
)
def test_an_option_that_is_no_number_is_refused(method: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(MethodError, match=said):
        explained(Small(), method, options=options, layers=None if method == "smoothgrad" else ["block"])


def test_the_last_stage_is_found_as_a_word_and_as_the_only_one_of_a_list() -> None:
    class Extra(Small):
        """Its last block does not run."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()) for _ in range(2)])

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.layers[0](x).mean((2, 3)))

    for layers in ("last", ["last"]):
        assert explained(Extra(), "gradcam", layers=layers).flow.layers == ("layers.0",)


def test_the_error_for_what_cannot_be_followed_is_a_model_error() -> None:
    assert issubclass(UnfollowedError, ModelError)
