"""What the benchmark scripts share: models, clocks, pairs, tables and the page that they are written into.

A ratio is taken in pairs: the yardstick before, the work, the yardstick behind; the work's time is divided by the
mean of the two. On the CPU the clock is the process' CPU time and there is one thread, so that other programs on the
machine disturb little; on a GPU it is the wall clock around a synchronisation.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sightline.common.files import write_text

STUDIES = Path(__file__).resolve().parents[1] / "docs" / "studies"
PAGE = STUDIES / "performance.md"
MODELS = (
    "resnet50", "vgg16", "densenet121", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny", "inception_v3",
    "googlenet", "resnext50_32x4d", "vit_small_patch16_224",
)  # fmt: skip
END = "<!-- end -->"
Work = Callable[[], object]


@dataclass(frozen=True)
class Ratio:
    """Median, smallest and largest ratio of a work to the yardstick, and how often it was taken."""

    median: float
    least: float
    most: float
    repetitions: int

    def __str__(self) -> str:
        return f"{self.median:.2f}" + ("*" if self.repetitions < 7 else "")


def build(name: str) -> tuple[nn.Module, Tensor]:
    """A model by torchvision's or timm's name with seeded random weights, and one picture's worth of noise for it."""
    torch.manual_seed(0)
    side = 299 if name == "inception_v3" else 224
    if name == "toy":
        return toy().eval(), torch.randn(1, 3, 64, 64)
    if name.startswith("vit_"):
        import timm

        return timm.create_model(name).eval(), torch.randn(1, 3, side, side)
    import torchvision

    more = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, **more).eval(), torch.randn(1, 3, side, side)


def toy() -> nn.Module:
    """A network for CI: seconds, not minutes."""
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, 2 if after > before else 1, 1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def forward_backward(model: nn.Module, inputs: Tensor) -> Tensor:
    """The yardstick: one forward and one backward to the input; the parameters are frozen by whoever calls."""
    leaf = inputs.detach().requires_grad_()
    return torch.autograd.grad(model(leaf).max(1).values.sum(), leaf)[0]


def seconds(work: Work, device: str) -> float:
    """CPU seconds of this process; on a GPU wall seconds until it is done."""
    if device == "cpu":
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def paired(work: Work, yardstick: Callable[[], float], *, repetitions: int, device: str) -> Ratio:
    """Ratios of a work to the yardstick, each to the mean of the one before and the one behind."""
    work()
    before, ratios = yardstick(), []
    for _ in range(repetitions):
        took = seconds(work, device)
        behind = yardstick()
        ratios.append(2 * took / (before + behind))
        before = behind
    return Ratio(statistics.median(ratios), min(ratios), max(ratios), repetitions)


def have(package: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def command() -> str:
    """The command that is running, without what only says where its output goes."""
    rest, words = iter(sys.argv[1:]), []
    for word in rest:
        if word == "--json":
            next(rest, None)
        elif word != "--write" and not word.startswith("--json="):
            words.append(word)
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def conditions(device: str, *peers: str) -> str:
    """Machine, date, versions and the running command, in one line that stands above a table."""
    chip = torch.cuda.get_device_name() if device != "cpu" else _processor()
    packages = {name: have(name) for name in ("sightline", "torch", "torchvision", "timm", *peers)}
    found = ", ".join(f"{name} {number}" for name, number in packages.items() if number)
    load = Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").exists() else "?"
    return (
        f"{date.today().isoformat()}, {chip}, 1 thread, Python {platform.python_version()}, {found}; "
        f"load of the machine at the end {load}. `{command()}`"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
    ]
    return f"{names[0]} ({len(names)} cores)" if names else platform.machine()


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def write(name: str, text: str, page: Path = PAGE) -> None:
    """Put a table between its markers on the page; the markers are added at the end if they are not there."""
    old = page.read_text(encoding="utf-8") if page.exists() else "# Performance\n"
    mark = f"<!-- table: {name} -->"
    if mark not in old:
        old += f"\n{mark}\n{END}\n"
    write_text(page, between(old, mark, f"\n{text}\n"))


def between(page: str, mark: str, text: str) -> str:
    """The page with this text between the mark and the next `END`."""
    head, _, rest = page.partition(mark)
    return f"{head}{mark}{text}{END}{rest.partition(END)[2]}"


def refuse(failures: Sequence[str]) -> None:
    """End with exit status 1 where a row failed; called before anything is written to a page.

    A tool of others that refuses a model is a cell of a table and no failure; a row of our own that fails is one.
    """
    if failures:
        raise SystemExit("failed, and nothing was written:\n  " + "\n  ".join(failures))


def options(about: str, **defaults: Any) -> argparse.ArgumentParser:
    """Arguments that every script takes."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true", help="a small network, few repetitions: seconds, for CI")
    parser.add_argument("--models", nargs="*", default=list(defaults.get("models", MODELS)), metavar="NAME")
    parser.add_argument("--repetitions", type=int, default=defaults.get("repetitions", 7))
    parser.add_argument("--device", default="cpu", help="cpu (CPU time) or cuda (wall time, synchronised)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    parser.add_argument("--write", action="store_true", help="put the table into docs/studies/performance.md")
    return parser


def dump(path: Path | None, facts: dict[str, Any]) -> None:
    """Write figures as JSON, where a file was asked for."""
    if path is not None:
        write_text(path, json.dumps(facts, indent=1, default=asdict) + "\n")
