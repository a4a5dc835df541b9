"""Which models Sightline can look into: one of each family, built with random weights and explained at every layer.

    python benchmarks/model_support.py          # writes docs/data/model_support.json
    python benchmarks/model_support.py --toy    # three small ones, into a temporary file

Weights are random, so this says whether layers are found and carry a gradient, not whether the maps are good.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import sightline
from _measure import refuse
from sightline.capture import Plan, capture
from sightline.common.files import write_text
from sightline.models import adapt
from sightline.models.load import load_model
from sightline.targets import parse_target

MODELS = """
torchvision:alexnet torchvision:vgg11_bn torchvision:resnet18 torchvision:resnext50_32x4d torchvision:wide_resnet50_2
torchvision:densenet121 torchvision:squeezenet1_1 torchvision:googlenet torchvision:inception_v3
torchvision:mobilenet_v2 torchvision:mobilenet_v3_small torchvision:shufflenet_v2_x0_5 torchvision:mnasnet0_5
torchvision:efficientnet_b0 torchvision:efficientnet_v2_s torchvision:regnet_y_400mf torchvision:convnext_tiny
torchvision:vit_b_32 torchvision:swin_t torchvision:swin_v2_t torchvision:maxvit_t
timm:seresnet50 timm:resnest26d timm:res2net50_26w_4s timm:resnetv2_50 timm:dla34 timm:hrnet_w18_small
timm:ese_vovnet19b_dw timm:cspdarknet53 timm:repvgg_a0 timm:ghostnet_100 timm:lcnet_050 timm:mobilenetv4_conv_small
timm:mobileone_s0 timm:fastvit_t8 timm:xception41 timm:nf_resnet50 timm:dpn68 timm:rexnet_100
timm:vit_tiny_patch16_224 timm:deit_tiny_distilled_patch16_224 timm:eva02_tiny_patch14_224 timm:cait_xxs24_224
timm:xcit_nano_12_p16_224 timm:pit_ti_224 timm:levit_128s timm:coat_tiny timm:coatnet_nano_rw_224
timm:crossvit_tiny_240 timm:twins_svt_small timm:pvt_v2_b0 timm:volo_d1_224 timm:poolformer_s12 timm:davit_tiny
timm:focalnet_tiny_srf timm:mixer_s32_224 timm:resmlp_12_224 timm:efficientformer_l1 timm:edgenext_xx_small
timm:mobilevit_xxs timm:mvitv2_tiny timm:hiera_tiny_224 timm:mambaout_femto timm:tiny_vit_5m_224 timm:repvit_m0_9
""".split()  # noqa: SIM905 - a list of names reads better than one of strings
TOY = ["torchvision:squeezenet1_1", "torchvision:shufflenet_v2_x0_5", "timm:vit_tiny_patch16_224"]
METHOD = "gradcam"
"""Named here and on the page: the library's default may change, the table's method may not."""
TABLE = Path(__file__).resolve().parents[1] / "docs" / "data" / "model_support.json"


def main() -> None:
    """Ask every model, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="three small models, into a temporary file")
    parser.add_argument("--models", nargs="*", help="these instead of the curated ones, into a temporary file")
    given = parser.parse_args()
    curated = not (given.toy or given.models)
    rows = []
    for name in given.models or (TOY if given.toy else MODELS):
        rows.append(row_of(name))
        print(_line(rows[-1]), flush=True)
    refuse([f"{row['model']}: {row['error']}" for row in rows if row["error"] is not None])
    path = TABLE if curated else Path(tempfile.mkdtemp()) / TABLE.name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({**_about(), "rows": rows}, indent=1) + "\n")
    print(f"{len(rows)} models explained by {METHOD}; written to {path}")


def row_of(name: str) -> dict[str, Any]:
    """What came of explaining one model at all its layers."""
    row: dict[str, Any] = {"model": name, "error": None}
    try:
        loaded = load_model(name, weights="random")
        inputs = _picture(loaded.preprocess.channels, *loaded.preprocess.size)
        _enliven(loaded.model, inputs)
        start = time.perf_counter()
        flow = sightline.explain(loaded.model, inputs, method=METHOD).one().flow
        row["seconds"] = round(time.perf_counter() - start, 2)
        row["parameters"] = sum(p.numel() for p in loaded.model.parameters())
        row |= {"input": list(loaded.preprocess.size), **_layers(loaded.model, inputs)}
        row["not_ok"] = {layer: str(status) for layer, status in flow.statuses.items() if status != "ok"}
    except Exception as problem:  # noqa: BLE001 - a model that cannot be explained is a row of the table
        row["error"] = next(iter(str(problem).splitlines()), type(problem).__name__)
    return row


def _layers(model: nn.Module, inputs: Tensor) -> dict[str, Any]:
    """How many layers there are, and of what kind."""
    adapter = adapt(model)
    layers = capture(adapter, inputs, Plan(parse_target())).layers
    return {
        "layers": len(layers),
        "kinds": list(dict.fromkeys(layer.kind for layer in layers)),
        "first": {"name": layers[0].name, "grid": list(layers[0].grid)},
        "last": {"name": layers[-1].name, "grid": list(layers[-1].grid)},
    }


def _picture(channels: int, height: int, width: int) -> Tensor:
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(0))


def _enliven(model: nn.Module, inputs: Tensor) -> None:
    """Give random weights what training gives: values where they start at zero, and BatchNorm's statistics."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.02, generator=generator)
        norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.train()
            norm.momentum = None
        model(torch.cat([inputs, inputs.flip(3)]))
        for norm in norms:
            norm.eval()


def _about() -> dict[str, Any]:
    import timm
    import torchvision

    return {
        "command": "python benchmarks/model_support.py",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, CPU",
        "sightline": sightline.__version__,
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__, "timm": timm.__version__},
    }


def _line(row: dict[str, Any]) -> str:
    if row["error"]:
        return f"{row['model']:40} {row['error']}"
    grids = " -> ".join("x".join(map(str, row[end]["grid"])) for end in ("first", "last"))
    odd = f"  not ok: {row['not_ok']}" if row["not_ok"] else ""
    return (
        f"{row['model']:40} {row['layers']:3} layers  {'+'.join(row['kinds']):14} {grids:20} {row['seconds']} s{odd}"
    )


if __name__ == "__main__":
    main()
