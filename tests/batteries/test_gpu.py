"""The contracts on a GPU: the maps of the CPU, the model as it was, every training, memory given back.

Run where CUDA is there; elsewhere one line says that it is not. `SIGHTLINE_GPU=cpu` tries the tests themselves.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

import sightline
from sightline.cli.app import app
from sightline.common.chunks import in_chunks
from sightline.common.settings import leaves
from sightline.errors import LayerError, SightlineError
from sightline.explainers import METHODS
from sightline.models.load import load_model
from sightline.results import Explanations
from sightline.terminal.tasks import TASKS, load
from tests.batteries.test_model_comes_back import FAST, TRANSFORMERS, disturbed, photograph, same
from tests.batteries.test_tasks import training_verb
from tests.tiny import TINY, build, output_of, picture

DEVICE = os.environ.get("SIGHTLINE_GPU", "cuda")
if DEVICE == "cuda" and not torch.cuda.is_available():
    pytest.skip("no CUDA device is here", allow_module_level=True)
pytestmark = pytest.mark.cuda
STOCK = ("resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224", "convnext_atto", "swin_tiny_patch4_window7_224")


@pytest.fixture(scope="session")
def gpu() -> str:
    """Name of the device."""
    return DEVICE


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    """Products in float32 as they are: TF32 keeps ten bits, so that maps could not be compared."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def furthest(a: Explanations, b: Explanations) -> float:
    """Largest difference of two results, as a share of the largest value of each map."""
    assert len(a) == len(b) > 0
    most = 0.0
    for one, other in zip(a, b, strict=True):
        assert one.flow.layers == other.flow.layers
        assert one.decision.label == other.decision.label
        for left, right in zip(one.flow.maps, other.flow.maps, strict=True):
            left_values, right_values = left.values.cpu(), right.values.cpu()
            scale = float(left_values.abs().max())
            most = max(most, float((left_values - right_values).abs().max()) / (scale or 1.0))
    return most


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("name", TINY)
def test_maps_are_those_of_the_cpu(name: str, method: str, gpu: str) -> None:
    settings: dict[str, Any] = {"method": method, "output": output_of(name), "options": FAST.get(method), "target": 1}
    refused = METHODS[method].needs == "attention" and name not in TRANSFORMERS
    with pytest.raises(LayerError) if refused else nullcontext():
        right = sightline.explain(build(name), picture(2), **settings)
        found = sightline.explain(build(name).to(gpu), picture(2).to(gpu), **settings)
        # Occlusion's values are differences of two scores that are nearly the same.
        assert furthest(right, found) <= (1e-2 if method == "occlusion" else 2e-4)


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.needs != "attention"])
@pytest.mark.parametrize("name", STOCK)
def test_maps_of_stock_networks_are_those_of_the_cpu(name: str, method: str, gpu: str) -> None:
    import timm

    torch.manual_seed(0)
    model, x = timm.create_model(name).eval(), torch.randn(1, 3, 224, 224)
    slow = {"integrated_gradients": {"steps": 4}, "smoothgrad": {"samples": 2}, "scorecam": {"groups": 4},
            "ablationcam": {"groups": 4}, "occlusion": {"window": 56}}  # fmt: skip
    settings: dict[str, Any] = {"method": method, "options": slow.get(method), "target": 7}
    right = sightline.explain(model, x, **settings)
    found = sightline.explain(model.to(gpu), x.to(gpu), **settings)
    # Maps of untrained networks are small beside the sums that they come from: rounding weighs more.
    assert furthest(right, found) <= 1e-2


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("name", TINY)
def test_model_input_and_random_states_are_as_before(name: str, method: str, gpu: str) -> None:
    model, x = disturbed(name).to(gpu), picture().to(gpu)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    torch.rand(3, device=gpu)
    state = torch.cuda.get_rng_state() if gpu == "cuda" else torch.get_rng_state()
    before, x_before = photograph(model), x.clone()
    refused = METHODS[method].needs == "attention" and name not in TRANSFORMERS
    with pytest.raises(LayerError) if refused else nullcontext():
        sightline.explain(model, x, target=[0, 2], method=method, output=output_of(name), options=FAST.get(method))
    after = photograph(model)
    assert [key for key in before if not same(before[key], after[key])] == []
    assert torch.equal(state, torch.cuda.get_rng_state() if gpu == "cuda" else torch.get_rng_state())
    assert torch.equal(x, x_before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", TINY)
def test_half_precision_gives_finite_maps_near_those_of_float32(name: str, dtype: torch.dtype, gpu: str) -> None:
    settings: dict[str, Any] = {"method": ["gradcam", "gradxact", "lrp"], "output": output_of(name), "target": 1}
    right = sightline.explain(build(name), picture(), **settings)
    found = sightline.explain(build(name).to(gpu, dtype), picture().to(gpu, dtype), **settings)
    for one, other in zip(right, found, strict=True):
        values, wanted = other.flow[-1].values.cpu(), one.flow[-1].values
        assert values.dtype == torch.float32
        assert values.isfinite().all()
        if one.flow[-1].status == "ok":
            assert (values - wanted).abs().max() <= 0.3 * wanted.abs().max()


@pytest.mark.parametrize("method", ["gradcam", "naflow", "lrp", "saliency", "scorecam"])
def test_autocast_on_the_gpu_works(method: str, gpu: str) -> None:
    model, x = build("plain_inplace").to(gpu), picture().to(gpu)
    with torch.autocast(gpu, torch.bfloat16):
        found = sightline.explain(model, x, method=method, options=FAST.get(method))
    right = sightline.explain(model, x, method=method, options=FAST.get(method))
    for one, other in zip(right, found, strict=True):
        assert other.flow[-1].values.dtype == torch.float32
        pair = torch.stack([one.flow[-1].values.flatten(), other.flow[-1].values.flatten()])
        assert torch.corrcoef(pair)[0, 1] >= 0.95


class Recurrent(nn.Module):
    """Convolutions, and a recurrent layer over the rows: cuDNN's has no gradient in eval mode."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(inplace=True))
        self.memory = kind(8 * 8, 12, batch_first=True, num_layers=2, dropout=0.3)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.body(x).permute(0, 2, 1, 3).flatten(2)
        return self.fc(self.memory(rows)[0][:, -1])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("method", ["gradcam", "saliency", "layercam", "integrated_gradients"])
def test_recurrent_layers_in_eval_mode_are_explained(
    kind: type[nn.LSTM], training: bool, method: str, gpu: str
) -> None:
    torch.manual_seed(0)
    model, x = Recurrent(kind).train(training), picture()
    right = sightline.explain(model, x, method=method, target=1, options=FAST.get(method))
    model, x = model.to(gpu), x.to(gpu)
    before = photograph(model)
    found = sightline.explain(model, x, method=method, target=1, options=FAST.get(method))
    assert furthest(right, found) <= 2e-4
    assert [key for key, value in photograph(model).items() if not same(before[key], value)] == []
    model(x)
    assert torch.backends.cudnn.enabled


@pytest.mark.parametrize("change", ["channels_last", "compiled", "parallel", "inference", "frozen", "half_head"])
def test_states_of_people_with_a_gpu_give_the_same_maps(change: str, gpu: str) -> None:
    model, x = build("residual").to(gpu), picture(2).to(gpu)
    right = sightline.explain(model, x, method="gradcam", target=1)
    mode: Any = nullcontext()
    match change:
        case "channels_last":
            model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
        case "compiled":
            model = torch.compile(model, backend="eager")  # type: ignore[assignment]
        case "parallel":
            model = nn.DataParallel(model)
        case "inference":
            mode = torch.inference_mode()
        case "frozen":
            model.requires_grad_(False)
        case _:
            model.register_buffer("on_the_cpu", torch.ones(1))  # a buffer that was left behind and is not used
    with mode:
        found = sightline.explain(model, x, method="gradcam", target=1)
    for one, other in zip(right, found, strict=True):
        difference = one.flow[-1].values - other.flow[-1].values
        assert difference.abs().max() <= 1e-4 * one.flow[-1].values.abs().max()


def test_an_input_on_another_device_is_refused_in_a_sentence(gpu: str) -> None:
    if gpu == "cpu":
        pytest.skip("one device only")
    with pytest.raises(SightlineError, match=r"cpu") as caught:
        sightline.explain(build("residual").to(gpu), picture())
    assert "cuda" in str(caught.value)
    with pytest.raises(SightlineError, match="cuda"):
        sightline.explain(build("residual"), picture().to(gpu))


@pytest.mark.parametrize("method", ["gradcam", "naflow", "lrp", "scorecam", "smoothgrad"])
def test_no_memory_of_the_gpu_is_kept_by_a_call(method: str, gpu: str) -> None:
    if gpu == "cpu":
        pytest.skip("memory of a GPU")
    model, x = build("residual").to(gpu), picture(4).to(gpu)
    held = []
    for _ in range(5):
        sightline.explain(model, x, method=method, options=FAST.get(method))
        gc.collect()
        held.append(torch.cuda.memory_allocated())
    assert held[-1] <= held[1], held


def test_maps_can_be_saved_read_and_drawn(tmp_path: Path, gpu: str) -> None:
    found = sightline.explain(build("residual").to(gpu), picture(2).to(gpu), method=["gradcam", "lrp"], target=1)
    found.save(tmp_path / "kept")
    again = Explanations.load(tmp_path / "kept")
    assert furthest(found, again) == 0
    assert found[0]._repr_html_()
    assert found[0].overlay().size


def test_work_that_does_not_fit_the_gpu_goes_on_in_smaller_parts(gpu: str) -> None:
    if gpu == "cpu":
        pytest.skip("memory of a GPU")
    free = torch.cuda.mem_get_info()[0]
    each = free // 3

    def work(part: slice) -> int:
        rows = part.stop - part.start
        torch.empty(rows * each, dtype=torch.uint8, device=gpu)
        return rows

    assert sum(rows for _, rows in in_chunks(work, 8)) == 8


def run(*words: str) -> str:
    """Output of a command that must end well."""
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def test_doctor_names_the_gpu(gpu: str) -> None:
    if gpu == "cpu":
        pytest.skip("names a GPU")
    assert torch.cuda.get_device_name() in " ".join(run("doctor").split())


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.train])
def test_every_training_runs_on_the_gpu_and_its_network_works_on_the_cpu(name: str, tmp_path: Path, gpu: str) -> None:
    out, options = tmp_path / "toy.safetensors", {leaf.option for leaf in leaves(load(TASKS[name].recipe))}
    # The two bundled networks of drawn birds name no device: they are made on the CPU, or on what is there.
    device = ["--device", gpu] if "--device" in options else []
    run(*training_verb(TASKS[name]).split(), "--toy", *device, "--out", str(out))
    model = load_model(weights=out).model
    assert all(parameter.device.type == "cpu" and parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("method", ["lrp", "gradcam", "naflow", "rollout"])
def test_a_photo_is_explained_from_the_command_line(method: str, tmp_path: Path, gpu: str) -> None:
    photo = tmp_path / "photo.png"
    Image.effect_noise((90, 70), 80).convert("RGB").save(photo)
    model = "timm:vit_tiny_patch16_224" if method == "rollout" else "timm:resnet18"
    run("explain", str(photo), "--model", model, "--method", method, "--weights", "random", "--device", gpu,
        "--out", str(tmp_path / "out"))  # fmt: skip
    assert (tmp_path / "out").is_dir()
