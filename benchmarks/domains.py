"""Do maps of signals, volumes and clips lie where the truth is known? See `docs/howto/signals-volumes-video.md`.

    python benchmarks/domains.py --write     # a minute and a half on one core
    python benchmarks/domains.py --toy

Three generated worlds of three classes, which are told by one place of each sample: a fast burst, a slow one or none
in a signal, a ball, a cube or nothing in a volume, a dot that moves to the right, to the left or is not there in a
clip. (Without the third class the absence of one thing would be evidence for the other.) A small network is trained
on each. Of test samples that it knows and that hold something the right class is explained: `energy` is the share of
a map's positive part that lies where the thing is, `hit` whether its peak does. A flow is read at the first layer and
at the last, whose cells see 13 elements of the input along each axis. 95 % intervals are over samples, normal
approximation.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

import sightline
from _measure import STUDIES, conditions, table, write
from sightline.metrics import energy_in_mask, pointing_game
from sightline.reports import save_montage
from sightline.results.domains import DomainKind

PAGE = STUDIES.parent / "howto" / "signals-volumes-video.md"
PICTURE = STUDIES.parent / "assets" / "domains.jpg"
FIRST, LAST = "2", "11"
"""The first and the last layer, behind their activations."""
FLOWS = ("lrp", "layercam", "gradcam")
INPUT = ("saliency", "integrated_gradients")
CONTROLS = ("uniform", "gaussian", "edges", "random")
CONVS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
NOISE, WIDE = 0.3, 960


@dataclass(frozen=True)
class Samples:
    """Inputs `[b, c, *places]`, classes (0 is nothing), and where the thing lies, `[b, *places]`."""

    inputs: Tensor
    classes: Tensor
    masks: Tensor


def bursts(count: int, draw: torch.Generator) -> Samples:
    """Signals of two channels: a slow bump anywhere, and a burst of three or eight waves, or none."""
    t, length = torch.arange(256.0), 40
    classes = torch.randint(3, (count,), generator=draw)
    starts = torch.randint(8, 256 - length - 8, (count,), generator=draw)
    bumps = torch.randint(20, 236, (count,), generator=draw)
    inside = (t >= starts[:, None]) & (t < starts[:, None] + length) & (classes[:, None] > 0)
    waves = torch.where(classes == 2, 8.0, 3.0)[:, None] * (t - starts[:, None]) / length
    burst = torch.sin(2 * torch.pi * waves) * inside
    bump = torch.exp(-(((t - bumps[:, None]) / 12) ** 2))
    noise = NOISE * torch.randn(count, 2, 256, generator=draw)
    return Samples(noise + torch.stack([burst + bump, 0.5 * burst - bump], 1), classes, inside)


def solids(count: int, draw: torch.Generator) -> Samples:
    """Volumes with a cube or a ball of about the same size, or without."""
    size, reach = (16, 24, 24), 4
    classes = torch.randint(3, (count,), generator=draw)
    inside = torch.zeros(count, *size, dtype=torch.bool)
    for number, kind in enumerate(classes.tolist()):
        at = [int(torch.randint(reach + 1, side - reach - 1, (), generator=draw)) for side in size]
        steps = torch.meshgrid(*(torch.arange(side) - p for side, p in zip(size, at, strict=True)), indexing="ij")
        squares = sum(step**2 for step in steps)
        cube = torch.stack([step.abs() <= reach - 1 for step in steps]).all(0)
        ball = torch.as_tensor(squares <= reach**2)
        inside[number] = (torch.zeros_like(cube), cube, ball)[kind]
    noise = NOISE * torch.randn(count, 1, *size, generator=draw)
    return Samples(noise + inside[:, None].float(), classes, inside)


def dots(count: int, draw: torch.Generator) -> Samples:
    """Clips of a dot that moves to the left or to the right, or is not there."""
    frames, side, wide = 8, 24, 4
    classes = torch.randint(3, (count,), generator=draw)
    inside = torch.zeros(count, frames, side, side, dtype=torch.bool)
    rows = torch.randint(2, side - wide - 2, (count,), generator=draw).tolist()
    starts = torch.randint(0, side - wide - 2 * frames + 2, (count,), generator=draw).tolist()
    for number, (kind, row, start) in enumerate(zip(classes.tolist(), rows, starts, strict=True)):
        for frame in range(frames if kind else 0):
            left = start + 2 * (frame if kind == 2 else frames - 1 - frame)
            inside[number, frame, row : row + wide, left : left + wide] = True
    noise = NOISE * torch.randn(count, 1, frames, side, side, generator=draw)
    return Samples(noise + inside[:, None].float(), classes, inside)


@dataclass(frozen=True)
class World:
    """A generated world: what draws its samples, what its maps lie over, its classes, title, and rate, if any."""

    draw: Callable[[int, torch.Generator], Samples]
    domain: DomainKind
    classes: tuple[str, str, str]
    title: str
    rate: float | None = None


WORLDS = {
    "signal": World(bursts, "signal", ("nothing", "slow burst", "fast burst"), "A signal", 100.0),
    "volume": World(solids, "volume", ("nothing", "cube", "ball"), "A volume"),
    "clip": World(dots, "space-time", ("nothing", "to the left", "to the right"), "A clip", 8.0),
}


def network(samples: Samples) -> nn.Module:
    """Four convolutions and a mean."""
    rank = samples.inputs.ndim - 2
    layers: list[nn.Module] = []
    for before, after, stride in ((samples.inputs.shape[1], 12, 1), (12, 24, 2), (24, 24, 1), (24, 24, 1)):
        layers += [CONVS[rank](before, after, 3, stride, 1), NORMS[rank](after), nn.ReLU()]
    pool = {1: nn.AdaptiveAvgPool1d, 3: nn.AdaptiveAvgPool3d}[rank](1)
    return nn.Sequential(*layers, pool, nn.Flatten(), nn.Linear(24, 3))


def trained(world: World, steps: int) -> nn.Module:
    """A network that saw `steps` batches of fresh samples."""
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(1)
    model = network(world.draw(1, draw))
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(steps):
        batch = world.draw(32, draw)
        loss = nn.functional.cross_entropy(model(batch.inputs), batch.classes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def known(model: nn.Module, world: World, count: int) -> tuple[Samples, float]:
    """Test samples with something in them that the network knows, and its accuracy on all that were drawn."""
    samples = world.draw(4 * count, torch.Generator().manual_seed(2))
    with torch.no_grad():
        right = model(samples.inputs).argmax(1) == samples.classes
    first = (right & (samples.classes > 0)).nonzero().flatten()[:count]
    accuracy = float(right.float().mean())
    return Samples(samples.inputs[first], samples.classes[first], samples.masks[first]), accuracy


def measured(model: nn.Module, world: World, samples: Samples) -> dict[str, tuple[str, str]]:
    """Energy and hits of every method, with intervals; controls on the grid of the first layer."""
    cells = {}
    for method in (*FLOWS, *INPUT, *CONTROLS):
        items = sightline.explain(
            model, samples.inputs, target=samples.classes, method=method, domain=world.domain, batch_size=32
        )
        for layer in (FIRST, LAST) if method in FLOWS else (items[0].flow.layers[0],):
            maps = torch.stack([item.flow[layer].values for item in items])
            scores = (energy_in_mask(maps, samples.masks), pointing_game(maps, samples.masks))
            cells[_row(method, layer)] = (_cell(scores[0].values), _cell(scores[1].values))
    return cells


def _row(method: str, layer: str) -> str:
    """What a row is called."""
    if method in CONTROLS:
        return f"*{method}*"
    return f"{method}, {'first' if layer == FIRST else 'last'} layer" if method in FLOWS else f"{method}, input"


def _cell(values: Tensor) -> str:
    v = values[torch.isfinite(values)].double()
    return f"{v.mean():.2f} ± {1.96 * v.std() / len(v) ** 0.5:.2f}" if len(v) > 1 else "-"


def draw_one(model: nn.Module, world: World, samples: Samples, path: Path) -> None:
    """The montage of one sample by the LRP flow."""
    items = sightline.explain(
        model, samples.inputs[:1], target=samples.classes[:1], method="lrp", labels=world.classes, rate=world.rate,
        images=samples.inputs[:1], sources=[world.title], layers=[FIRST, "8"], domain=world.domain,
    )  # fmt: skip
    save_montage(items, path)


def joined(paths: list[Path], target: Path) -> None:
    """Pictures under each other in one file."""
    pictures = [Image.open(path).convert("RGB") for path in paths]
    small = [one.resize((WIDE, round(one.height * WIDE / one.width)), Image.Resampling.LANCZOS) for one in pictures]
    sheet = Image.new("RGB", (WIDE, sum(one.height for one in small)), "white")
    top = 0
    for one in small:
        sheet.paste(one, (0, top))
        top += one.height
    sheet.save(target, quality=60, optimize=True)


def main() -> None:
    """Train, measure, print the table, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true", help="networks that hardly learned, few samples: for CI")
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--write", action="store_true", help="put table and picture into the docs")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    steps, count = (3, 3) if asked.toy else (asked.steps, asked.samples)
    columns: dict[str, dict[str, tuple[str, str]]] = {}
    accuracies, pictures = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name, world in WORLDS.items():
            model = trained(world, steps)
            samples, accuracy = known(model, world, count)
            columns[name] = measured(model, world, samples)
            accuracies.append(f"{name} {accuracy:.3f}")
            pictures.append(Path(folder) / f"{name}.png")
            draw_one(model, world, samples, pictures[-1])
        if asked.write:
            joined(pictures, PICTURE)
    head = ["method", *(f"{name}, {what}" for name in WORLDS for what in ("energy", "hit"))]
    rows = [[row, *(cell for name in WORLDS for cell in columns[name][row])] for row in columns["signal"]]
    text = f"{conditions('cpu')}; accuracy on {4 * count} samples: {', '.join(accuracies)}\n\n{table(head, rows)}"
    print(text)
    if asked.write:
        write("domains", text, PAGE)


if __name__ == "__main__":
    main()
