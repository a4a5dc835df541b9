"""Contract 4: it works where users are, or says why not, before any work."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import sightline
from sightline.errors import InputError, LayerError, MethodError, ModelError, TargetError
from sightline.results import Explanations
from tests.tiny import TINY, build, output_of, picture

METHODS = ["gradcam", "gradxact"]


def usual(model: nn.Module, name: str, x: torch.Tensor | None = None) -> Explanations:
    return sightline.explain(model, picture() if x is None else x, target=1, method=METHODS, output=output_of(name))


def equal(a: Explanations, b: Explanations) -> bool:
    return all(
        torch.allclose(x.flow[s].values, y.flow[s].values, rtol=1e-5, atol=1e-7)
        for x, y in zip(a, b, strict=True)
        for s in x.flow
    )


@pytest.mark.parametrize("name", TINY)
def test_frozen_no_grad_inference_mode_and_training_mode_give_the_same_maps(name: str) -> None:
    right = usual(build(name), name)
    assert equal(right, usual(build(name).requires_grad_(False), name))
    assert equal(right, usual(build(name).train(), name))
    with torch.no_grad():
        assert equal(right, usual(build(name), name))
    model = build(name)
    with torch.inference_mode():
        assert equal(right, usual(model, name, picture()))
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("method", ["scorecam", "ablationcam", "saliency", "smoothgrad", "guided_backprop", "lrp"])
def test_methods_of_their_own_passes_give_the_same_maps_under_inference_mode(method: str) -> None:
    model, x = build("plain_inplace"), picture()
    right = sightline.explain(model, x, method=method)
    with torch.inference_mode():
        found = sightline.explain(model, x, method=method)
    assert equal(right, found)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_are_reduced_in_float32(name: str, dtype: torch.dtype) -> None:
    found = usual(build(name).to(dtype), name, picture().to(dtype))
    right = usual(build(name), name)
    for item, exact in zip(found, right, strict=True):
        values, wanted = item.flow[-1].values, exact.flow[-1].values
        assert values.dtype == torch.float32
        if exact.flow[-1].status == "ok":
            assert (values - wanted).abs().max() <= (1e-5 if dtype == torch.float64 else 0.3) * wanted.abs().max()


def test_inputs_whose_sum_overflows_are_finite_all_the_same() -> None:
    large = torch.full((1, 3, 16, 16), 6e4, dtype=torch.float16)
    assert not large.sum().isfinite()
    sightline.explain(build("residual").half(), large, target=0, method="uniform")
    large[0, 0, 0, 0] = float("inf")
    with pytest.raises(InputError, match="hold 1 values that are NaN or infinite"):
        sightline.explain(build("residual").half(), large, target=0, method="uniform")


def test_autocast_works() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert usual(build("plain_inplace"), "plain_inplace")[0].flow[-1].status == "ok"


@pytest.mark.parametrize("backend", ["eager"])
def test_a_compiled_model_is_unwrapped(backend: str) -> None:
    model = build("residual")
    right = usual(model, "residual")
    compiled = torch.compile(model, backend=backend)
    with torch.no_grad():
        compiled(picture())
    assert equal(right, usual(compiled, "residual"))
    model.compile(backend=backend)
    assert equal(right, usual(model, "residual"))
    assert model._compiled_call_impl is not None


def test_data_parallel_is_unwrapped() -> None:
    assert equal(usual(build("residual"), "residual"), usual(nn.DataParallel(build("residual")), "residual"))


def test_models_that_cannot_be_heard_are_refused() -> None:
    traced = torch.jit.trace(build("plain_inplace"), picture())
    with pytest.raises(ModelError, match="scripted or traced"):
        sightline.explain(traced, picture())
    exported = torch.export.export(build("plain_inplace"), (picture(),)).module()
    with pytest.raises((ModelError, LayerError)):
        sightline.explain(exported, picture())
    partly = build("residual")
    partly.layers[1] = torch.compile(partly.layers[1], backend="eager")
    with pytest.raises(ModelError, match=r"'layers.1' of the model is compiled"):
        sightline.explain(partly, picture())
    with pytest.raises(ModelError, match=r"torch\.nn\.Module was expected"):
        sightline.explain(lambda x: x, picture())  # type: ignore[arg-type]


@pytest.mark.parametrize(("height", "width"), [(16, 24), (24, 16), (8, 32)])
@pytest.mark.parametrize("name", ["plain_inplace", "residual", "windows", "vit_token", "vit_avg"])
def test_pictures_that_are_not_square(name: str, height: int, width: int) -> None:
    found = usual(build(name), name, picture(2, 3, height, width))
    for map_ in found[0].flow.maps:
        assert map_.shape[0] * width == map_.shape[1] * height


def test_grayscale_models() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    assert sightline.explain(model, picture(1, 1))[0].flow[0].shape == (14, 14)


@pytest.mark.parametrize("selector", ["logits", 0, lambda out: out["logits"], None])
def test_dictionary_and_tuple_outputs(selector: Any) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = build("plain_inplace")

        def forward(self, x: torch.Tensor) -> Any:
            logits = self.body(x)
            return (logits,) if selector == 0 else {"logits": logits, "other": logits * 2}

    right = usual(build("plain_inplace"), "plain_inplace")
    found = sightline.explain(Wrapped(), picture(), target=1, method=METHODS, output=selector)
    assert torch.allclose(found[0].flow[-1].values, right[0].flow[-1].values)


def test_an_ambiguous_tuple_is_refused_with_its_shapes() -> None:
    with pytest.raises(TargetError, match=r"\(2, 6, 8, 8\).*\(2, 5\).*output="):
        sightline.explain(build("tuple_out"), picture())


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (torch.zeros(3), "add the batch axis"),
        (torch.zeros(0, 3, 16, 16), "hold nothing"),
        ((picture() * 255).byte(), "normalise first"),
        ((picture() * 255).int()[:, 0, 0], "must be floats"),
        (picture().fill_(float("nan")), "NaN or infinite"),
        (picture().double(), "float64"),
        ("photo.jpg", "there is no file 'photo.jpg'"),
        (3.0, "must be a tensor"),
    ],
)
def test_inputs_that_cannot_work_are_refused_before_the_model_runs(inputs: Any, text: str) -> None:
    model, calls = build("plain_inplace"), []
    model.register_forward_pre_hook(lambda m, a: calls.append(1))
    with pytest.raises(InputError, match=text):
        sightline.explain(model, inputs)
    assert not calls


@pytest.mark.parametrize(
    ("inputs", "text"), [(picture()[0], "add the batch axis"), (picture(2, 1), "to have 3 channels, but got 1")]
)
def test_inputs_that_the_model_does_not_take_are_told_in_its_words(inputs: Any, text: str) -> None:
    with pytest.raises(ModelError, match=text):
        sightline.explain(build("plain_inplace"), inputs)


@pytest.mark.parametrize("target", [99, -1, "zebra", [0, 77], "top9", torch.tensor([0, 88])])
def test_targets_that_do_not_exist_are_refused_before_the_model_runs(target: Any) -> None:
    model, calls = build("vit_token"), []
    sightline.explain(model, picture(), method="gradcam")  # its structure is recorded at the first call
    model.register_forward_pre_hook(lambda m, a: calls.append(1))
    with pytest.raises(TargetError):
        sightline.explain(model, picture(), target=target)
    assert not calls


def test_a_class_out_of_range_is_refused_where_the_model_hides_its_number_of_classes() -> None:
    with pytest.raises(TargetError, match="0 to 4"):
        sightline.explain(build("plain_inplace"), picture(), target=5)


def test_unknown_stages_and_methods_list_near_names() -> None:
    with pytest.raises(LayerError, match=r"near names: .*'layers.1'"):
        sightline.explain(build("residual"), picture(), layers="layer.1")
    with pytest.raises(MethodError, match="'gradcam'"):
        sightline.explain(build("residual"), picture(), method="gradcan")
    with pytest.raises(MethodError, match="has no option 'group'; its options: groups"):
        sightline.explain(build("residual"), picture(), method="scorecam", options={"group": 3})


def test_a_stage_that_does_not_run_or_holds_no_grid_is_named() -> None:
    model = build("residual")
    model.unused = nn.Conv2d(3, 3, 1)
    with pytest.raises(LayerError, match="'unused' did not run"):
        sightline.explain(model, picture(), layers="unused")
    with pytest.raises(LayerError, match=r"'fc' has no places of the input.*pooled"):
        sightline.explain(model, picture(), layers="fc")
    with pytest.raises(LayerError, match="call 3 does not exist"):
        sightline.explain(build("reused"), picture(), layers="shared:3")
    assert "unused" not in sightline.explain(model, picture(), layers="all")[0].flow


def test_a_stage_behind_which_nothing_reaches_the_decision_has_a_map_of_zeros() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
            self.aside = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.aside(x)
            return self.used(x).mean((2, 3))

    statuses = sightline.explain(Branch(), picture(), target=0, method="gradxact")[0].flow.statuses
    assert statuses == {"used": "ok", "aside": "zero"}


def test_numbers_that_overflow_are_reported_as_nan() -> None:
    model = build("residual")
    with torch.no_grad():
        model.fc.weight.fill_(3e38)
    found = sightline.explain(model, picture() * 1e6, target=0, method="gradxact")[0].flow
    assert set(found.statuses.values()) == {"nan"}


def test_inside_a_lightning_like_validation_step_nothing_breaks() -> None:
    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = build("residual")

        def validation_step(self, batch: torch.Tensor) -> Explanations:
            return usual(self.net, "residual", batch)

    module = Module().eval()
    with torch.inference_mode():
        found = module.validation_step(picture())
    assert equal(found, usual(build("residual"), "residual"))


def test_memory_shortage_halves_the_batch_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("residual")
    right = usual(model, "residual", picture(5))

    def hungry(module: nn.Module, args: Any) -> None:
        if len(args[0]) > 2:
            raise torch.OutOfMemoryError("out of memory")

    model.register_forward_pre_hook(hungry)
    assert equal(right, usual(model, "residual", picture(5)))


@pytest.mark.parametrize("name", TINY)
def test_weights_made_under_inference_mode_give_the_same_maps_and_stay(name: str) -> None:
    with torch.inference_mode():
        model = build(name)
    before = [*model.parameters(), *model.buffers()]
    assert equal(usual(build(name), name), usual(model, name))
    assert all(a is b for a, b in zip(before, [*model.parameters(), *model.buffers()], strict=True))
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("method", ["gradcam", "eigencam", "scorecam", "rollout"])
def test_what_a_model_says_of_a_wrong_size_is_passed_on_in_one_sentence(method: str) -> None:
    from timm.models.vision_transformer import VisionTransformer

    model = VisionTransformer(img_size=16, patch_size=4, embed_dim=16, depth=1, num_heads=2, num_classes=3)
    with pytest.raises(
        ModelError, match=r"VisionTransformer failed on inputs of shape \(2, 3, 20, 20\): Input height"
    ):
        sightline.explain(model, picture(2, 3, 20, 20), target=0, method=method)
