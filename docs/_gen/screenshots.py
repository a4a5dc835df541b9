"""Make the pictures of pages, `docs/assets/howto/*.jpg`: `python docs/_gen/screenshots.py [NAME]...`.

Each function runs a command at toy size in an empty folder and names the page that it wrote, which Chromium shows.
Without a name all are made. They need playwright, a Chromium, the extras `imagenet` and `train`, and the photos of
`photos.py`.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from photos import ASSETS, photo, save_small

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True)
class Shot:
    """A page and how it is photographed.

    Args:
        page: the file.
        width: of the window.
        height: of the window and of the picture.
        selector: the element that is scrolled to the top, if not the page's own top.
        dark: whether the reader prefers dark pages.
        keys: what is pressed first.
    """

    page: Path
    width: int = 1200
    height: int = 760
    selector: str = ""
    dark: bool = False
    keys: tuple[str, ...] = ()


SHOTS: dict[str, Callable[[Path], Shot]] = {}


def shot(function: Callable[[Path], Shot]) -> Callable[[Path], Shot]:
    """Register a function as the screenshot of its name."""
    SHOTS[function.__name__.replace("_", "-")] = function
    return function


def sightline(*words: str | Path, folder: Path) -> None:
    """Run a command in a folder, whose files it names as one who is there; without success the program ends."""
    inside = (w.relative_to(folder) if isinstance(w, Path) and w.is_relative_to(folder) else w for w in words)
    command = [sys.executable, "-c", "from sightline.cli.app import main; main()", *map(str, inside)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"sightline {' '.join(map(str, words))}\n{done.stderr}")


def world(folder: Path, count: int = 80) -> Path:
    """A small drawn data set."""
    sightline("world", "render", "--out", "birds", "--count", str(count), "--size", "64", folder=folder)
    return folder / "birds"


def taught(folder: Path) -> Path:
    """A network that was taught attributes for two epochs."""
    sightline(
        "train", "eat", "--data", world(folder), "--out", "net.safetensors", "--epochs", "2",
        "--validation-share", "0.3",
        folder=folder,
    )  # fmt: skip
    return folder / "net.safetensors"


@shot
def start(folder: Path) -> Shot:
    """The page of one photo."""
    sightline(
        "explain", photo("parrot.jpg"), "--model", "imagenet", "--format", "html", "--out", "out", folder=folder
    )
    return Shot(next(folder.rglob("page.html")))


@shot
def reading(folder: Path) -> Shot:
    """Two methods on one photo."""
    sightline(
        "explain", photo("cat_720p.jpg"), "--model", "imagenet", "--method", "lrp,gradcam", "--format", "html",
        "--out", "out", folder=folder,
    )  # fmt: skip
    return Shot(next((folder / "out").rglob("page.html")), height=900)


@shot
def reading_erase(folder: Path) -> Shot:
    """The head of a cat is hidden."""
    sightline(
        "explain", photo("cat_720p.jpg"), "--model", "imagenet", "--format", "html", "--out", "out", folder=folder
    )
    keys = ("b",) + ("+",) * 7 + ("ArrowUp",) * 6
    return Shot(next((folder / "out").rglob("page.html")), keys=keys)


@shot
def words(folder: Path) -> Shot:
    """Sentences about a drawn bird."""
    sightline("explain", "--format", "html", "--out", "out", folder=folder)
    return Shot(next((folder / "out").rglob("page.html")))


@shot
def explain_index(folder: Path) -> Shot:
    """The index of a folder of photos."""
    photos = [photo(name) for name in ("owl.jpg", "parrot.jpg", "cat_720p.jpg", "pets.jpg")]
    sightline("explain", *photos, "--model", "imagenet", "--format", "html,png", "--out", "out", folder=folder)
    return Shot(folder / "out" / "index.html", height=620)


@shot
def evaluate(folder: Path) -> Shot:
    """Methods beside controls, on a drawn world."""
    sightline(
        "evaluate", world(folder), "--model", "birdnet", "--method", "lrp,gradcam,layercam", "--cue", "none",
        "--metric", "energy-in-mask", "--count", "24", "--out", "out", folder=folder,
    )  # fmt: skip
    return Shot(folder / "out" / "comparison.html")


@shot
def train_classify(folder: Path) -> Shot:
    """The page of a training."""
    sightline(
        "train", "classify", "--out", "net.safetensors", "--scenes", "300", "--size", "48", "--epochs", "4",
        folder=folder,
    )  # fmt: skip
    return Shot(folder / "net.html")


@shot
def train_eat(folder: Path) -> Shot:
    """The page of a training with attributes."""
    return Shot(taught(folder).with_suffix(".html"))


@shot
def audit(folder: Path) -> Shot:
    """The page of an audit."""
    weights = taught(folder)
    sightline("audit", "eat", "--weights", weights, "--data", folder / "birds", "--out", "audit", folder=folder)
    return Shot(folder / "audit" / "audit.html")


@shot
def clicks(folder: Path) -> Shot:
    """Why one row of a simulated log has its probability."""
    sightline("train", "clicks", "--rows", "60000", "--model", "fwfm", "--out", "net.safetensors", folder=folder)
    log = folder / "net.work" / "simulated.csv"
    words = ("--row", "12", "--weights", folder / "net.safetensors", "--out", "why")
    sightline("explain", "clicks", log, *words, folder=folder)
    return Shot(folder / "why" / "page.html")


@shot
def logit(folder: Path) -> Shot:
    """The logit of simulated trips by bus, train or car."""
    import numpy as np

    draw = np.random.default_rng(0)
    cost, time = draw.uniform(1, 20, (2_000, 3)).round(1), draw.uniform(10, 90, (2_000, 3)).round()
    utility = np.array([0.0, 0.3, 0.6]) - 0.15 * cost - 0.03 * time
    picks = (utility + draw.gumbel(size=utility.shape)).argmax(1) + 1
    head = "pick," + ",".join(f"{name}_{what}" for what in ("cost", "time") for name in ("bus", "train", "car"))
    cells = np.column_stack([picks, cost, time])
    np.savetxt(folder / "trips.csv", cells, delimiter=",", fmt="%g", header=head, comments="")
    words = ("--attribute", "cost = {}_cost", "--attribute", "time = {}_time / 60", "--cost", "cost", "--out", "out")
    sightline(
        "logit", "trips.csv", "--choice", "pick", "--alternatives", "bus=1,train=2,car=3", *words, folder=folder
    )
    return Shot(folder / "out" / "page.html")


@shot
def gates(folder: Path) -> Shot:
    """What gates do over depth."""
    sightline(
        "gates", "show", photo("owl.jpg"), photo("parrot.jpg"), "--model", "resnet18", "--weights", "random",
        "--gate", "dia", "--no-forest", "--out", "out", folder=folder,
    )  # fmt: skip
    return Shot(next((folder / "out").glob("*.html")), selector="text=Gates over depth")


TRUTH = {
    "owl.jpg": "", "parrot.jpg": "macaw", "cat_720p.jpg": "tabby", "both_dog_cat.png": "boxer",
    "bird_segmentation.png": "", "pets.jpg": "",
}  # fmt: skip
"""True classes of the photos, where ImageNet has one for them."""


@shot
def folder_index(folder: Path) -> Shot:
    """The index of a folder of photos whose true classes are known."""
    rows = "".join(f"{name},{label}\n" for name, label in TRUTH.items() if label)
    (folder / "truth.csv").write_text("image,label\n" + rows, encoding="utf-8")
    sightline(
        "explain", *map(photo, TRUTH), "--model", "imagenet", "--truth", "truth.csv", "--format", "html",
        "--out", "out", folder=folder,
    )  # fmt: skip
    return Shot(folder / "out" / "index.html", height=700)


CELL = """<!doctype html><meta charset="utf-8"><style>body{{font:14px system-ui;margin:16px}}
pre{{background:#f5f5f5;border:1px solid #ddd;padding:8px 12px;border-radius:4px}}</style><pre>{code}</pre>{output}"""


@shot
def python(folder: Path) -> Shot:
    """What a notebook shows below a cell."""
    import sightline

    code = (
        'network = sightline.open_model("imagenet")\n'
        'sightline.explain(network, "both.png", target="boxer", contrast="tiger cat")[0]'
    )
    network = sightline.open_model("imagenet")
    explanation = sightline.explain(network, str(photo("both_dog_cat.png")), target="boxer", contrast="tiger cat")[0]
    page = folder / "cell.html"
    page.write_text(CELL.format(code=code, output=explanation._repr_html_()), encoding="utf-8")
    return Shot(page, width=760, height=500)


@shot
def course(folder: Path) -> Shot:
    """How the evidence moves from layer to layer."""
    sightline("explain", "--method", "lrp", "--format", "html", "--out", "out", folder=folder)
    return Shot(next((folder / "out").rglob("page.html")), height=900, selector="#course")


@shot
def captions(folder: Path) -> Shot:
    """A caption of a drawn scene by the bundled captioner, with the regions of one word."""
    sightline("caption", "--scene", "3", "--page", "words", folder=folder)
    return Shot(folder / "words" / "caption.html", width=820, height=1010)


def chromium() -> str:
    """The browser's program."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = os.environ.get("SIGHTLINE_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    return program or sys.exit(f"no browser: SIGHTLINE_CHROMIUM is not set, and none of {', '.join(names)} is there")


def photograph(wish: Shot) -> Image.Image:
    """What the browser shows."""
    from playwright.sync_api import sync_playwright

    with (
        sync_playwright() as playwright,
        contextlib.closing(playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))) as browser,
    ):
        page = browser.new_page(
            viewport={"width": wish.width, "height": wish.height}, color_scheme="dark" if wish.dark else "light"
        )
        page.goto(wish.page.as_uri())
        page.wait_for_timeout(1200)
        for key in wish.keys:
            page.keyboard.press(key)
        if wish.selector:
            page.locator(wish.selector).first.evaluate("element => element.scrollIntoView()")
        page.wait_for_timeout(500)
        return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def main() -> None:
    """Make the pictures that are named, or all."""
    for name in sys.argv[1:] or SHOTS:
        with tempfile.TemporaryDirectory() as folder:
            save_small(photograph(SHOTS[name](Path(folder))), ASSETS / "howto" / f"{name}.jpg")


if __name__ == "__main__":
    main()
