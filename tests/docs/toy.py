"""What makes the commands of the pages small enough to run in a test: the one place where they are changed.

`SIZES` sets options, `MODELS` takes quicker networks, `GIVEN` makes the files that a reader would have, and `NOT_RUN`
lists the commands that no test can run, with the reason.
"""

from __future__ import annotations

import atexit
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

NOT_RUN: dict[str, str] = {
    r"^python3 -m venv|^\.venv/bin/|^pip install|^git clone|^cd ": "installs; .ci/run runs the README's commands",
    r"^\.ci/run": "it is what runs this test",
    r"^python benchmarks/|^python docs/_gen": "scripts run at toy size in tests/docs/test_tables.py",
    r"^sightline evaluate coco_subset": "needs COCO's photos; tests/compare reads its layout",
    r"--strategy ddp": "needs several GPUs",
    r"^sightline train .*--config dianet-cifar": "needs CIFAR-100, 160 MB; tests/tasks/classification has its recipe",
}
"""Commands that are not run, as patterns, and why."""

MODELS = {
    "resnet18": "timm:test_resnet",
    "resnet50": "timm:test_resnet",
    "timm:resnet50": "timm:test_resnet",
    "torchvision:resnet50": "timm:test_resnet",
    "deeplabv3_resnet50": "lraspp_mobilenet_v3_large",
    "fasterrcnn_resnet50_fpn": "fasterrcnn_mobilenet_v3_large_320_fpn",
    "timm:vit_small_patch16_224": "timm:test_vit",
}
"""Networks whose place a smaller one of the same family takes, for verbs that compute with it."""

DRAWN = ("evaluate birds", "evaluate world/")
"""Comparisons on drawn scenes, of which at least 8 must be certified."""

SIZES: dict[str, dict[str, str | None]] = {
    "explain clicks": {},
    "explain": {"--format": "arrays"},
    **{verb: {"--count": "16", "--steps": "2", "--method": "gradcam", "--depth": "late"} for verb in DRAWN},
    "evaluate": {"--count": "4", "--steps": "2", "--method": "gradcam", "--depth": "late"},
    "train eat --data": {"--toy": None, "--validation-share": "0.3"},
    "train": {"--toy": None},
    "audit eat": {"--count": "12"},
    "world render": {"--count": "60"},
    "world measure": {"--count": "4"},
    "world cues": {"--scenes": "4"},
    "world certify": {"--pairs": "2"},
    "gates search": {"--budget": "3", "--epochs": "1", "--count": "4", "--recalibrate": "4", "--batch-size": "4"},
    "gates show": {"--shown": "1"},
}
"""Options that a verb gets: where the page gives none, and in place of a larger number on the page."""

VALUES = {r"^(\w+\.groups)=\d+$": r"\1=2"}
"""Words that are replaced, as patterns."""
CLASSES = 10
"""Classes of a folder with `train/` and `val/`."""
SIDE = "64"
"""Size of the pictures of networks of torchvision and timm and of `imagenet`, where the page gives none."""
OUTPUTS = ("--out", "-o", "--log", "--work")
PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".gif", ".bmp")
WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt")


def not_run(text: str) -> str | None:
    """Why a command is not run; None where it is."""
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, text)), None)


def small(words: list[str]) -> list[str]:
    """The words of a command at toy size."""
    verb = next((verb for verb in SIZES if _is(verb, words)), "")
    result = [MODELS.get(word, word) if verb else word for word in words]
    for pattern, value in VALUES.items():
        result = [re.sub(pattern, value, word) for word in result]
    for option, value in ({} if "--texts" in words else SIZES.get(verb, {})).items():
        result = _with(result, option, value)
    model = _value(result, "--model") or _value(result, "-m")
    if verb in ("explain", "gates show", *DRAWN, "evaluate") and _published(model) and "--weights" not in result:
        result += ["--weights", "random"]
    if verb.startswith("train eat") and _published(_value(result, "--model")) and "--weights" not in result:
        result += ["--weights", "random"]
    dense = "--box" in words or "--segment" in words
    if (
        verb == "explain"
        and "--size" not in result
        and not dense
        and (_published(model) or _for_photos(model, words))
    ):
        result += ["--size", SIDE]
    return result


def _for_photos(model: str | None, words: list[str]) -> bool:
    """Whether it is the network for photos, by its name or because no other is named."""
    from sightline.models.zoo.packaged import PACKAGED

    photo = len(words) > 1 and not words[1].startswith("-")
    return model in PACKAGED or (model is None and "--weights" not in words and photo)


def _is(verb: str, words: list[str]) -> bool:
    """Whether these are the verb's words; options in it may stand anywhere."""
    options = [word for word in verb.split() if word.startswith("-")]
    own = [word for word in verb.split() if word not in options]
    return words[: len(own)] == own and all(option in words for option in options)


def _with(words: list[str], option: str, value: str | None) -> list[str]:
    """With an option, unless it is there; a larger number there is made smaller."""
    if option not in words:
        return [*words, option] if value is None else [*words, option, value]
    at = words.index(option) + 1
    if value is not None and value.isdecimal() and words[at].isdecimal() and int(words[at]) > int(value):
        return [*words[:at], value, *words[at + 1 :]]
    return words


def _value(words: list[str], option: str) -> str | None:
    return words[words.index(option) + 1] if option in words[:-1] else None


def _published(model: str | None) -> bool:
    """Whether its weights would be downloaded."""
    from sightline.errors import ModelError
    from sightline.models.architectures import ARCHITECTURES
    from sightline.models.zoo.catalog import find_model
    from sightline.models.zoo.packaged import PACKAGED

    if model is None or model in PACKAGED or model in ARCHITECTURES:
        return False
    try:
        return bool(find_model(model))
    except ModelError:
        return False


def make_given(words: list[str], folder: Path) -> None:
    """Make the files that a command reads and that are not there yet, each by its ending."""
    outputs = {place + 1 for place, word in enumerate(words) if word in OUTPUTS}
    for place, word in enumerate(words):
        path = folder / word.partition(":")[0]
        if place in outputs or word.startswith("-") or path.exists():
            continue
        maker = next((make for ending, make in GIVEN.items() if re.search(ending, word)), None)
        if maker is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            maker(path, words)


def _photo(path: Path, words: list[str]) -> None:
    seed = sum(path.name.encode())
    colours = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    size = (320, 400) if "street" in path.name else (96, 72)
    picture = Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC)
    (picture.convert("L") if "mask" in path.name else picture).save(path)


def _deep(path: Path, words: list[str]) -> None:
    Image.fromarray(np.linspace(0, 4000, 48 * 64).reshape(48, 64).astype(np.uint16)).save(path)


def _folder(path: Path, words: list[str]) -> None:
    for name in ("one.jpg", "two.jpg"):
        path.mkdir(exist_ok=True)
        _photo(path / name, words)


def _classes(path: Path, words: list[str]) -> None:
    for part in ("train", "val"):
        for number in range(CLASSES):
            (path / part / f"class{number}").mkdir(parents=True)
            for name in ("one.jpg", "two.jpg"):
                _photo(path / part / f"class{number}" / name, words)


def _shots(path: Path, words: list[str]) -> None:
    for name in ("albatross", "finch"):
        (path / name).mkdir(parents=True)
        for number in range(2):
            _photo(path / name / f"{number}.jpg", words)


def _scans(path: Path, words: list[str]) -> None:
    """Pictures with several labels and their patients."""
    path.mkdir()
    rows = ["file,patient,labels"]
    for number in range(24):
        _photo(path / f"{number}.png", words)
        rows.append(f"{number}.png,p{number // 2},{('rust', 'rust;crack', 'no finding')[number % 3]}")
    (path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")


def _findings(path: Path, words: list[str]) -> None:
    """The same with an attribute each."""
    _scans(path, words)
    own = path / "labels.csv"
    lines = own.read_text(encoding="utf-8").splitlines()
    ends = ("shape", *(("long", "round")[at // 3 % 2] for at in range(len(lines) - 1)))
    own.write_text("\n".join(f"{line},{end}" for line, end in zip(lines, ends, strict=True)), encoding="utf-8")


def _coco(path: Path, words: list[str]) -> None:
    """Photos with COCO's annotations and captions."""
    (path / "images").mkdir(parents=True)
    names = [f"{number}.jpg" for number in range(48)]
    for name in names:
        _photo(path / "images" / name, words)
    images = [{"id": at, "file_name": name} for at, name in enumerate(names)]
    marks = [{"image_id": at, "category_id": 1 + at % 2} for at in range(48) if at % 3]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    content = {"images": images, "annotations": marks, "categories": categories}
    (path / "instances.json").write_text(json.dumps(content), encoding="utf-8")
    captions = {name: [f"{('red', 'blue')[at // 3 % 2]} fur"] for at, name in enumerate(names)}
    (path / "captions.json").write_text(json.dumps(captions), encoding="utf-8")
    (path.parent / "words.toml").write_text("[parts]\nfur = []\n[colors]\nred = []\nblue = []\n", encoding="utf-8")


def _birds(path: Path, words: list[str]) -> None:
    """A drawn data set in CUB's layout."""
    shutil.copytree(_drawn(), path, dirs_exist_ok=True)


@cache
def _drawn() -> Path:
    """The data set that every page has a copy of: drawn once in a process, and gone when it ends."""
    from sightline.worlds.aviary import World, WorldConfig
    from sightline.worlds.aviary.layout import write_world

    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    write_world(World(WorldConfig()), Path(folder) / "birds", 60, size=128)
    return Path(folder) / "birds"


def _cub(path: Path, words: list[str]) -> None:
    """Photos in CUB's layout: a drawn data set that cannot be drawn again."""
    _birds(path, words)
    (path / "world.json").unlink()
    (path / "scenes.jsonl").unlink()


def _weights(path: Path, words: list[str]) -> None:
    """Weights of the network that the command names, or of a tiny network of our own."""
    from safetensors.torch import save_file

    from sightline.models.load import load_model
    from sightline.models.zoo.birdnet import BirdNet, BirdNetSpec, save_birdnet
    from sightline.terminal.options import arguments_of

    model = _value(words, "--model")
    if model is None:
        save_birdnet(BirdNet(BirdNetSpec(("Juniper Finch", "Reed Wren"), ("has_x::y",), widths=(8, 8, 8, 8))), path)
        return
    arguments = arguments_of([words[at + 1] for at, word in enumerate(words) if word == "--model-arg"])
    state = load_model(model, weights="random", model_args=arguments).model.state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)


def _log(path: Path, words: list[str]) -> None:
    draw = np.random.default_rng(0)
    rows = [f"{draw.integers(2)},u{draw.integers(20)},{draw.integers(9)},{draw.integers(5)}" for _ in range(300)]
    path.write_text("\n".join(["click,user_id,banner,site", *rows]) + "\n", encoding="utf-8")


def _trips(path: Path, words: list[str]) -> None:
    """Choices of bus or car, a row for each; pick is 1 or 2."""
    draw = np.random.default_rng(0)
    rows = [f"{1 + draw.integers(2)},{','.join(map(str, draw.integers(1, 60, 4)))}" for _ in range(200)]
    path.write_text("\n".join(["pick,bus_cost,car_cost,bus_time,car_time", *rows]) + "\n", encoding="utf-8")


def _slates(path: Path, words: list[str]) -> None:
    """Choices among three, a row for each alternative."""
    draw = np.random.default_rng(0)
    rows = []
    for case in range(100):
        choice = draw.integers(3)
        cells = [(name, int(place == choice), *draw.integers(1, 60, 2)) for place, name in enumerate("abc")]
        rows += [f"{case},{','.join(map(str, own))}" for own in cells]
    path.write_text("\n".join(["case,alt,choice,cost,time", *rows]) + "\n", encoding="utf-8")


def _names(path: Path, words: list[str]) -> None:
    path.write_text("".join(f"class {number}\n" for number in range(1000)), encoding="utf-8")


def _sound(path: Path, words: list[str]) -> None:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 100, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(400) / 5) * 9000).astype("<i2").tobytes())


def _array(path: Path, words: list[str]) -> None:
    shape = (8, 12, 10) if "scan" in path.name or "volume" in path.name else (400,)
    np.save(path, np.random.default_rng(0).random(shape, np.float32))


def _clip(path: Path, words: list[str]) -> None:
    import imageio.v2

    frames = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8)
    imageio.v2.mimwrite(path, list(frames), fps=10, macro_block_size=16)


def _frames(path: Path, words: list[str]) -> None:
    path.mkdir()
    for number in range(20):
        _photo(path / f"{number}.png", words)


NETS = """
import torch
from torch import nn


def _net(conv, pool, channels, classes=4):
    body = conv(channels, 4, 3, padding=1), nn.ReLU(), pool(1), nn.Flatten()
    return nn.Sequential(*body, nn.Linear(4, classes)).eval()


def Net(classes=4):
    return _net(nn.Conv2d, nn.AdaptiveAvgPool2d, 3, classes)


def ecg():
    return _net(nn.Conv1d, nn.AdaptiveAvgPool1d, 1)


def nodules():
    return _net(nn.Conv3d, nn.AdaptiveAvgPool3d, 1)


def actions():
    return _net(nn.Conv3d, nn.AdaptiveAvgPool3d, 3)
"""


def _code(path: Path, words: list[str]) -> None:
    path.with_suffix(".py").write_text(NETS, encoding="utf-8")


GIVEN: dict[str, Callable[[Path, list[str]], None]] = {
    r"^(?:ct|camera)\.tiff?$": _deep,
    rf"(?:{'|'.join(map(re.escape, PICTURES))})$": _photo,
    rf"(?:{'|'.join(map(re.escape, WEIGHTS))})$": _weights,
    r"^PHOTOS$": _classes,
    r"^photos$": _classes,
    r"^frames/$": _frames,
    r"^shots/?$": _shots,
    r"^scans$": _scans,
    r"^findings$": _findings,
    r"^coco$": _coco,
    r"^(?:birds|world)/?$": _birds,
    r"^CUB_200_2011/?$": _cub,
    r"^[\w-]+/$": _folder,
    r"^names\.txt$": _names,
    r"^log\.csv$": _log,
    r"^trips\.csv$": _trips,
    r"^slates\.csv$": _slates,
    r"\.wav$": _sound,
    r"\.npy$": _array,
    r"\.mp4$": _clip,
    r"^(?:my)?nets(?:\.py)?:\w+$": _code,
}
"""What is made for a word of a command that is no file yet, by a pattern of the word; the first that fits."""
