"""What the explanation page costs: its size and that of the animation, its first paint, and a step of its slider.

    python benchmarks/page_cost.py --photo photo.jpg
    python benchmarks/page_cost.py --toy
    python benchmarks/page_cost.py --steps 200 --write

One photo, one method, MobileNetV2 with its 19 layers (random weights; what counts are the sizes of its maps). First
paint is the browser's `first-contentful-paint`, the median of several openings from a file. A step is one press of an
arrow key; script, style and layout time are the browser's counters (`Performance.getMetrics`), read before and after
each step, once the frame behind it has been made. Without a browser the size alone is printed.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import sightline
from _measure import build, conditions, dump, options, table, write
from sightline.models.preprocess import Preprocess
from sightline.reports import save_animation, save_page

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
BARS = {"size": 400, "gif": 1500, "paint": 500, "step": 12}
"""kB, kB, ms, ms."""
COUNTERS = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
FRAME = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
PAINT = "() => performance.getEntriesByName('first-contentful-paint').map((entry) => entry.startTime)[0] ?? null"


def picture(path: Path | None) -> Image.Image:
    """The photo, or a scene of the aviary."""
    if path is not None:
        return Image.open(path).convert("RGB")
    from sightline.worlds.aviary import World, WorldConfig, render

    return Image.fromarray(render(World(WorldConfig(species=6, seed=3)).scene(5), 640).image)


def make_page(asked: Any, folder: Path) -> tuple[Path, Path, int]:
    """The page and the animation of one photo, and how many layers they have."""
    torch.manual_seed(0)
    model, _ = build("toy" if asked.toy else "mobilenet_v2")
    side = 64 if asked.toy else 224
    found = sightline.explain(
        model, picture(asked.photo), method=asked.method, preprocess=Preprocess((side, side), resize=side * 8 // 7)
    )
    return save_page(found, folder / "page.html"), save_animation(found, folder / "walk.gif"), len(found[0].flow)


def in_browser(path: Path, steps: int, openings: int) -> tuple[list[float], list[float]] | None:
    """Milliseconds to the first paint, one per opening, and per step; None where there is no browser."""
    program = os.environ.get("SIGHTLINE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with suppress(ImportError):
        from playwright.sync_api import sync_playwright

        if program:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
                paints = [paint(browser, path) for _ in range(openings)]
                costs = walk(browser, path, steps)
                browser.close()
            return paints, costs
    return None


def paint(browser: Any, path: Path) -> float:
    """When the first content of a fresh page was painted, in milliseconds."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(path.as_uri())
    page.wait_for_function(f"({PAINT})() !== null")
    answer = float(page.evaluate(PAINT))
    page.close()
    return answer


def walk(browser: Any, path: Path, steps: int) -> list[float]:
    """Milliseconds of script, style and layout of each step of the slider, there and back."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(path.as_uri())
    page.wait_for_timeout(800)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def spent() -> float:
        counters = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return 1000 * sum(counters[name] for name in COUNTERS)

    costs, last = [], int(page.evaluate("Number(document.getElementById('slider').max)"))
    for number in range(steps):
        key = "ArrowLeft" if number // max(1, last) % 2 == 0 else "ArrowRight"
        before = spent()
        page.keyboard.press(key)
        page.evaluate(FRAME)
        costs.append(spent() - before)
    page.close()
    return costs


def main() -> None:
    parser = options(__doc__, models=())
    parser.add_argument("--photo", type=Path, help="a photo; a drawn scene without it")
    parser.add_argument("--method", default="lrp")
    parser.add_argument("--steps", type=int, default=200)
    asked = parser.parse_args()
    asked.steps = 6 if asked.toy else asked.steps
    with tempfile.TemporaryDirectory() as folder:
        path, walk, layers = make_page(asked, Path(folder))
        size, frames = path.stat().st_size / 1000, walk.stat().st_size / 1000
        measured = in_browser(path, asked.steps, openings=2 if asked.toy else asked.repetitions)
    rows = [
        ["size, kB", f"{size:.0f}", "-", BARS["size"]],
        ["animation (GIF), kB", f"{frames:.0f}", "-", BARS["gif"]],
    ]
    names = (("paint", "first paint, ms"), ("step", "a step of the slider, ms"))
    for (key, name), values in zip(names, measured or ((), ()), strict=True):
        if values:
            low, high = np.percentile(values, [5, 95])
            rows.append([name, f"{statistics.median(values):.1f}", f"{low:.1f} to {high:.1f}", BARS[key]])
    text = table(["what", "median", "5 to 95 %", "bar"], rows)
    about = f"{conditions('cpu')}; {layers} layers, {asked.method}, {'a photo' if asked.photo else 'a drawn scene'}"
    print(f"{about}\n\n{text}")
    dump(asked.json, {"about": about, "size": size, "animation": frames, "measured": measured})
    if asked.write:
        write("page", f"{about}\n\n{text}")


if __name__ == "__main__":
    main()
