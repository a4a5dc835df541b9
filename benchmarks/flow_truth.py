"""Where the flows are right, layer by layer, beside the controls: the tables of `docs/studies/flow.md`.

    python benchmarks/flow_truth.py mosaics --write      # energy in the right cell of 2x2 mosaics, at every layer
    python benchmarks/flow_truth.py faithful --write     # deletion, insertion and ROAD at three depths
    python benchmarks/flow_truth.py shuffled --write     # maps of a network whose classes were shuffled
    python benchmarks/flow_truth.py causal --write       # zero what the map calls important, and what it does not
    python benchmarks/flow_truth.py damping --write      # NAFlow's damping, swept
    python benchmarks/flow_truth.py mosaics --toy        # seconds, for CI

`--model` is mobilenet_v2 or squeezenet1_0. Photos and weights are those of the test pack (`../shared/pack` or
`$SIGHTLINE_PACK`); `--toy` needs none. Every photo's values are kept in `--work`, so that a stopped run goes on.

A mosaic holds four photos that the network is sure of (p > 0.8), each in one cell; the decision is the class of one
of them, and chance is a quarter. All methods are read at the same layers. Cells are mean and 95 % bootstrap interval
over photos; bold where better than every control beyond the noise, by paired differences corrected for their number.
"""

from __future__ import annotations

import csv
import json
import os
import random
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import torch
import torchvision
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import functional as pictures

import sightline
from _measure import PAGE, conditions, dump, options, table, toy, write
from sightline.metrics import bootstrap, paired_difference, spearman
from sightline.metrics.curves import deletion_curve, insertion_curve
from sightline.metrics.deletion import road
from sightline.metrics.inference import inference_copy
from sightline.metrics.probe import Probe

FLOW = PAGE.with_name("flow.md")
METHODS: dict[str, dict[str, Any]] = {
    "lrp, contrastive": {"method": "lrp", "contrast": "others"},
    "lrp": {"method": "lrp"},
    "lrp, z+ by sign": {"method": "lrp", "options": {"gamma": "inf"}},
    "NAFlow anchored": {"method": "naflow"},
    "NAFlow anchored, signed": {"method": "naflow", "options": {"signed": True}},
    "NAFlow forward": {"method": "naflow", "options": {"mode": "forward"}},
    "NAFlow lsq": {"method": "naflow", "options": {"mode": "lsq"}},
    "LayerCAM": {"method": "layercam"},
    "HiResCAM": {"method": "hirescam"},
    "Grad-CAM": {"method": "gradcam"},
    "HiResCAM, contrastive": {"method": "hirescam", "contrast": "others"},
}
"""Read at every layer."""

INPUT: dict[str, dict[str, Any]] = {
    "integrated gradients": {"method": "integrated_gradients", "options": {"steps": 16}},
    "SmoothGrad": {"method": "smoothgrad", "options": {"samples": 8}},
}
"""One map over the input, shown at every depth's column as what it is: the same."""

JUDGED = (
    "lrp, contrastive", "lrp", "NAFlow anchored", "NAFlow forward", "LayerCAM", "HiResCAM", "Grad-CAM"
)  # fmt: skip
"""Read at every layer and judged by deletion, which takes long."""

NULLS = ("activity", "edges", "gaussian", "random")
"""The first, the sum of |A|, knows the network but not the decision; the others know nothing of either."""

REMOVED = (0.1, 0.3, 0.5)
"""Shares that ROAD removes."""

DAMPINGS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0)
WORK = Path("flow_truth")
DEPTHS = ("early", "middle", "late")


def pack() -> Path:
    """The folder of the test pack."""
    here = Path(os.environ.get("SIGHTLINE_PACK", Path(__file__).resolve().parents[2] / "shared" / "pack"))
    if not here.is_dir():
        raise SystemExit("the test pack is not here; name its folder in SIGHTLINE_PACK, or ask for --toy")
    return here


def network(name: str) -> nn.Module:
    """A network with the pack's ImageNet weights."""
    if name == "toy":
        torch.manual_seed(0)
        return toy().eval()
    from safetensors.torch import load_file

    model = torchvision.models.get_model(name, weights=None)
    model.load_state_dict(load_file(next((pack() / "models").glob(f"{name}_imagenet*.safetensors"))))
    return model.eval()


def sure_photos(model: nn.Module, name: str, side: int, seed: int) -> Iterator[tuple[Tensor, int]]:
    """Photos, shuffled, that the network names rightly with p > 0.8, and their class."""
    if name == "toy":
        generator = torch.Generator().manual_seed(seed)
        while True:
            x = torch.randn(3, side, side, generator=generator)
            yield x, int(model(x[None]).argmax())
    rows = list(csv.DictReader((pack() / "imagenet_photos" / "labels.csv").open()))
    random.Random(seed).shuffle(rows)
    for row in rows:
        image = Image.open(pack() / "imagenet_photos" / row["file"]).convert("RGB")
        x = pictures.to_tensor(pictures.center_crop(pictures.resize(image, side), [side, side]))
        x = pictures.normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        chances = model(x[None]).softmax(1)[0]
        if int(chances.argmax()) == int(row["class_index"]) and float(chances.max()) > 0.8:
            yield x, int(row["class_index"])


def mosaics(photos: Iterator[tuple[Tensor, int]], seed: int) -> Iterator[tuple[Tensor, int, int]]:
    """2x2 mosaics, the class to ask for and its cell, row by row."""
    cells = random.Random(seed)
    for four in zip(photos, photos, photos, photos, strict=False):
        a, b, c, d = (x for x, _ in four)
        cell = cells.randrange(4)
        yield torch.cat([torch.cat([a, b], 2), torch.cat([c, d], 2)], 1), four[cell][1], cell


def flow_of(model: nn.Module, x: Tensor, index: int, asked: dict[str, Any]) -> dict[str, Float[Tensor, "h w"]]:
    """The maps of a method at every layer, by layer."""
    if asked["method"] == "captum LRP":
        return {"input": lrp_of_captum(model, x, index)}
    found = sightline.explain(model, x[None], target=index, **asked).one().flow
    return {layer: map_.values for layer, map_ in found.items()}


def lrp_of_captum(model: nn.Module, x: Tensor, index: int) -> Float[Tensor, "h w"]:
    """Captum's layer-wise relevance propagation, its epsilon rule everywhere; on a copy, which it hooks into."""
    import copy

    from captum.attr import LRP

    return LRP(copy.deepcopy(model)).attribute(x[None].clone().requires_grad_(), target=index)[0].sum(0).detach()


def input_methods(model: nn.Module, x: Tensor) -> dict[str, dict[str, Any]]:
    """Methods with one map over the input; captum's LRP where it takes this network."""
    try:
        lrp_of_captum(model, x, 0)
    except (ImportError, TypeError, RuntimeError, AssertionError):
        return INPUT
    return {**INPUT, "LRP, captum": {"method": "captum LRP"}}


def activity(model: nn.Module, x: Tensor, layers: list[str]) -> dict[str, Float[Tensor, "h w"]]:
    """`sum_c |A|` at each layer."""
    seen: dict[str, Tensor] = {}
    handles = [
        model.get_submodule(layer).register_forward_hook(
            lambda module, args, out, layer=layer: seen.__setitem__(layer, out[0].abs().sum(0).detach())
        )
        for layer in layers
    ]
    with torch.no_grad():
        model(x[None])
    for handle in handles:
        handle.remove()
    return seen


def all_maps(
    model: nn.Module,
    x: Tensor,
    index: int,
    asked: dict[str, dict[str, Any]],
    known: Collection[str] = (),
) -> dict[str, dict[str, Tensor]]:
    """Maps by method and layer: those asked for, and the controls, but for those that are known."""
    found = {label: flow_of(model, x, index, how) for label, how in asked.items() if label not in known}
    layers = list(flow_of(model, x, index, {"method": "gradcam"}))
    found = {label: maps if len(maps) > 1 else dict.fromkeys(layers, *maps.values()) for label, maps in found.items()}
    for control in set(NULLS) - set(known):
        found[control] = (
            activity(model, x, layers)
            if control == "activity"
            else flow_of(model, x, index, {"method": control, "layers": layers})
        )
    return found


def share_in_cell(map_: Float[Tensor, "h w"], cell: int) -> float:
    """Share of the map's positive values that lies in one quarter of the picture."""
    fine = F.interpolate(
        map_.relu()[None, None].float(), size=(64, 64), mode="area" if map_.shape[0] > 64 else "nearest"
    )
    row, column = divmod(cell, 2)
    part = fine[0, 0, row * 32 : row * 32 + 32, column * 32 : column * 32 + 32]
    return float(part.sum() / fine.sum()) if fine.sum() > 0 else float("nan")


def thirds(layers: list[str]) -> list[str]:
    """Layers early (a sixth of the way), in the middle and at the end."""
    return [layers[len(layers) // 6], layers[len(layers) // 2], layers[-1]]


Values = dict[str, dict[str, list[float]]]
"""One number per photo, by method and column."""


Found = dict[str, dict[str, float]]
"""Numbers of one photo, by method and column."""


def kept(
    work: Path, name: str, count: int, make: Callable[[int, Collection[str]], Found], labels: list[str]
) -> Values:
    """What `make` gives for each photo, told which methods are known; what was made before is read."""
    work.mkdir(parents=True, exist_ok=True)
    values: Values = {label: {} for label in labels}
    for i in range(count):
        file = work / name / f"{i:04}.json"
        found: Found = json.loads(file.read_text()) if file.exists() else {}
        if set(labels) - set(found):
            found |= make(i, found)
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(found))
            print(f"\r{name}: {i + 1} of {count}", end="", flush=True)
        for label in labels:
            for column, value in found[label].items():
                values[label].setdefault(column, []).append(value)
    return values


def study_mosaics(model: nn.Module, args: Any, methods: dict[str, dict[str, Any]]) -> Values:
    """Energy in the right cell, at every layer."""
    source = mosaics(sure_photos(model, args.model, args.side, args.seed), args.seed)
    made: list[tuple[Tensor, int, int]] = []

    made.append(next(source))
    methods = {**methods, **input_methods(model, made[0][0])} if args.study == "mosaics" else methods

    def one(i: int, known: Collection[str]) -> Found:
        while len(made) <= i:
            made.append(next(source))
        x, index, cell = made[i]
        maps = all_maps(model, x, index, methods, known)
        return {m: {s: share_in_cell(v, cell) for s, v in layers.items()} for m, layers in maps.items()}

    return kept(args.work, f"{args.study}-{args.model}-{args.seed}", args.count, one, [*methods, *NULLS])


def faithfulness(probe: Probe, x: Tensor, map_: Float[Tensor, "h w"], steps: int) -> tuple[float, float, float]:
    """Areas under deletion and insertion as shares of the whole photo's score, and ROAD."""
    down = deletion_curve(probe, x[None], map_[None], steps=steps, baseline="blur")
    up = insertion_curve(probe, x[None], map_[None], steps=steps)
    whole = down.scores[0, 0]
    removed = road(probe, x[None], map_[None], fractions=REMOVED).values
    return float(down.area()[0] / whole), float(up.area()[0] / whole), float(removed[0])


def study_faithful(model: nn.Module, args: Any) -> Values:
    """Areas under deletion and insertion, and ROAD, relative to the whole photo's score, at three depths."""
    source = sure_photos(model, args.model, args.side, args.seed)
    made: list[tuple[Tensor, int]] = [next(source)]
    methods = {**{m: METHODS[m] for m in JUDGED}, **input_methods(model, made[0][0])}

    def one(i: int, known: Collection[str]) -> Found:
        while len(made) <= i:
            made.append(next(source))
        x, index = made[i]
        found: Found = {}
        probe = Probe(inference_copy(model, x[None]).model, torch.tensor([index])).remembering(x[None])
        for method, maps in all_maps(model, x, index, methods, known).items():
            judged: dict[int, tuple[float, float, float]] = {}
            for depth, layer in zip(DEPTHS, thirds(list(maps)), strict=True):
                if id(maps[layer]) not in judged:
                    judged[id(maps[layer])] = faithfulness(probe, x, maps[layer], args.steps)
                for name, value in zip(("deletion", "insertion", "ROAD"), judged[id(maps[layer])], strict=True):
                    found.setdefault(method, {})[f"{name}, {depth}"] = value
        return found

    return kept(args.work, f"{args.study}-{args.model}-{args.seed}", args.count, one, [*methods, *NULLS])


def shuffled(model: nn.Module) -> nn.Module:
    """The same network with the rows of its last layer in another order."""
    import copy

    twin = copy.deepcopy(model)
    last = [m for m in twin.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    order = torch.randperm(len(last.weight), generator=torch.Generator().manual_seed(1))
    last.weight.data, bias = last.weight.data[order], last.bias
    if bias is not None:
        bias.data = bias.data[order]
    return twin


def study_shuffled(model: nn.Module, args: Any) -> Values:
    """Rank correlation of maps with those of a network whose classes were shuffled; lower is better."""
    source = sure_photos(model, args.model, args.side, args.seed)
    twin = shuffled(model)
    made: list[tuple[Tensor, int]] = []

    def one(i: int, known: Collection[str]) -> Found:
        while len(made) <= i:
            made.append(next(source))
        x, index = made[i]
        ours, theirs = (all_maps(net, x, index, METHODS, known) for net in (model, twin))
        return {
            m: {
                d: float(spearman(ours[m][s].flatten()[None].double(), theirs[m][s].flatten()[None].double())[0])
                for d, s in zip(DEPTHS, thirds(list(ours[m])), strict=True)
            }
            for m in ours
        }

    return kept(args.work, f"{args.study}-{args.model}-{args.seed}", args.count, one, [*METHODS, *NULLS])


def study_causal(model: nn.Module, args: Any) -> Values:
    """Share of the logit lost when a fifth of a layer's places is set to zero: the most or least important."""
    source = sure_photos(model, args.model, args.side, args.seed)
    made: list[tuple[Tensor, int]] = []

    def loss(x: Tensor, index: int, layer: str, map_: Tensor, largest: bool) -> float:
        """What the logit loses, as a share of it."""
        order = map_.flatten().argsort(descending=largest)[: max(1, map_.numel() // 5)]
        keep = torch.ones(map_.numel())
        keep[order] = 0
        whole = float(model(x[None])[0, index])
        handle = model.get_submodule(layer).register_forward_hook(lambda m, a, out: out * keep.reshape(map_.shape))
        rest = float(model(x[None])[0, index])
        handle.remove()
        return (whole - rest) / abs(whole)

    def one(i: int, known: Collection[str]) -> Found:
        while len(made) <= i:
            made.append(next(source))
        x, index = made[i]
        found: Found = {}
        for method, maps in all_maps(model, x, index, METHODS, known).items():
            for depth, layer in zip(DEPTHS, thirds(list(maps)), strict=True):
                for word, largest in (("most", True), ("least", False)):
                    value = loss(x, index, layer, maps[layer], largest)
                    found.setdefault(method, {})[f"{word}, {depth}"] = value
        return found

    with torch.no_grad():
        return kept(args.work, f"{args.study}-{args.model}-{args.seed}", args.count, one, [*METHODS, *NULLS])


def lower_is_better(study: str, column: str) -> bool:
    """Whether small values are good in this column."""
    return study == "shuffled" or column.startswith(("deletion", "least"))


def cell(study: str, column: str, values: Values, method: str) -> str:
    """Mean and interval; bold where better than every control beyond the noise."""
    ours = torch.tensor(values[method][column], dtype=torch.float64)
    found = bootstrap(ours[ours.isfinite()])
    text = f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"
    if method in NULLS:
        return text
    sign = -1 if lower_is_better(study, column) else 1
    confidence = 1 - 0.05 / (len(values) - len(NULLS)) / len(NULLS)
    for control in NULLS:
        theirs = torch.tensor(values[control][column], dtype=torch.float64)
        difference = paired_difference(sign * ours, sign * theirs, confidence=confidence, draws=4000)
        if not difference.low > 0:
            return text
    return f"**{text}**"


def shown(study: str, values: Values) -> str:
    """The table; of many layers, seven from first to last."""
    columns = list(next(iter(values.values())))
    if len(columns) > 9:
        columns = [columns[round(i * (len(columns) - 1) / 6)] for i in range(7)]
    rows = [
        [f"*{m}*" if m in NULLS else m, *(cell(study, c, values, m) for c in columns)]
        for m in values
    ]  # fmt: skip
    return table(["method", *columns], rows)


def main() -> None:
    """Run one study and print, and if asked write, its table."""
    parser = options(__doc__)
    studies = ("mosaics", "faithful", "shuffled", "causal", "damping")
    parser.add_argument("study", nargs="?", choices=studies, default="mosaics")
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--count", type=int, default=40, help="photos or mosaics")
    parser.add_argument("--steps", type=int, default=12, help="of deletion and insertion")
    parser.add_argument("--seed", type=int, default=0, help="which photos")
    parser.add_argument("--work", type=Path, default=WORK, help="values by photo; a stopped run goes on")
    args = parser.parse_args()
    args.side = {"mosaics": 160, "damping": 160}.get(args.study, 224)
    if args.toy:
        args.model, args.count, args.steps, args.side = "toy", 2, 2, 32
        args.work = args.work if args.work != WORK else Path(tempfile.mkdtemp())
    torch.set_num_threads(1)
    model = network(args.model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if args.study == "damping":
        swept = {f"damping {d:g}": {"method": "naflow", "options": {"damping": d}} for d in DAMPINGS}
        values = study_mosaics(model, args, {**swept, "NAFlow forward": METHODS["NAFlow forward"]})
    elif args.study == "mosaics":
        values = study_mosaics(model, args, METHODS)
    else:
        values = {"faithful": study_faithful, "shuffled": study_shuffled, "causal": study_causal}[args.study](
            model, args
        )
    about = conditions("cpu")
    text = f"{about}\n\n{shown(args.study, values)}"
    print(f"\n{text}")
    dump(args.json, {"about": about, "values": values})
    if args.write:
        write(f"truth-{args.study}-{args.model}", text, FLOW)


if __name__ == "__main__":
    main()
