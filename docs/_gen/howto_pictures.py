"""Make the pictures of maps in the how-to pages, `docs/assets/howto/*.jpg`.

`python docs/_gen/howto_pictures.py [NAME]...`: each function is a picture; without a name all are made. They need the
network of the extra `imagenet` and the photos of `photos.py`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).parent))
from photos import ASSETS, photo, save_small

import sightline
from sightline.reports import save_montage
from sightline.results import Explanation

THREE = ["blocks.2.1", "blocks.4.1", "blocks.6.0"]
"""An early, a middle and the last block of the network."""

PICTURES: dict[str, Callable[[], Image.Image]] = {}


def picture(function: Callable[[], Image.Image]) -> Callable[[], Image.Image]:
    """Register a function as the picture of its name."""
    PICTURES[function.__name__.replace("_", "-")] = function
    return function


@cache
def network() -> Any:
    """The network for photos, with its preprocessing and labels."""
    return sightline.open_model("imagenet")


def explain(name: str, **wishes: Any) -> list[Explanation]:
    """Explanations of one photo by the network for photos."""
    return list(sightline.explain(network(), str(photo(name)), **({"layers": THREE} | wishes)))


def drawn(items: Iterable[Explanation], **wishes: Any) -> Image.Image:
    """The montage of explanations."""
    with tempfile.TemporaryDirectory() as folder:
        path = save_montage(list(items), Path(folder) / "montage.png", **({"columns": 4} | wishes))
        return Image.open(path).convert("RGB")


@picture
def explain_photo() -> Image.Image:
    """A photo, at every block of the network."""
    return drawn(explain("cat_720p.jpg", layers="all"), max_layers=7)


@picture
def events() -> Image.Image:
    """A drawn scene with its sound, where and when, by a network that the command trains for it (about a minute)."""
    import torch

    from sightline.tasks.audiovisual.explain.clip import read_event_clip
    from sightline.tasks.audiovisual.explain.posthoc import flow_maps
    from sightline.tasks.audiovisual.explain.result import explained
    from sightline.tasks.audiovisual.network.store import load_net
    from sightline.tasks.audiovisual.recipe import EventRecipe
    from sightline.tasks.audiovisual.report.player import save_scene
    from sightline.tasks.audiovisual.report.strip import save_strip
    from sightline.tasks.audiovisual.train import train_events
    from sightline.tasks.audiovisual.world import HELD_OUT, WorldConfig, scenes

    with tempfile.TemporaryDirectory() as folder:
        weights, clip, strip = (Path(folder) / name for name in ("net.safetensors", "scene.mkv", "strip.png"))
        train_events(weights, EventRecipe().but(scenes=2_000, held_out=50, epochs=25))
        torch.manual_seed(0)
        save_scene(scenes(WorldConfig(), HELD_OUT, 1, seed=1), 0, clip)
        net = load_net(weights)
        read = read_event_clip(clip, net.spec)
        items = explained(net, read)
        save_strip(read, items, strip, flows=flow_maps(net, read, items))
        return Image.open(strip).convert("RGB")


@picture
def learned_geometry() -> Image.Image:
    """What attention has learnt of boxes, by the bundled captioner of drawn scenes."""
    from sightline.tasks.captioning.explain.geometry import geometry_figure, learned_geometry
    from sightline.tasks.captioning.explain.opened import open_captioner, open_regions

    net = open_captioner(None)
    return rendered(geometry_figure(learned_geometry(net, open_regions(net, None, scene=3).regions, 0)))


@picture
def target() -> Image.Image:
    """The same photo, and why a dog rather than a cat, and the other way round."""
    dog = explain("both_dog_cat.png", target="boxer", contrast="tiger cat")
    cat = explain("both_dog_cat.png", target="tiger cat", contrast="boxer")
    return drawn([*dog, *cat])


@picture
def large_photo() -> Image.Image:
    """Six photos as one, in tiles."""
    names = ("both_dog_cat.png", "owl.jpg", "parrot.jpg", "cat_720p.jpg", "bird_segmentation.png", "pets.jpg")
    whole = Image.new("RGB", (3 * 448, 2 * 448))
    for at, name in enumerate(names):
        small = ImageOps.fit(Image.open(photo(name)).convert("RGB"), (448, 448))
        whole.paste(small, (at % 3 * 448, at // 3 * 448))
    items = list(sightline.explain_tiles(network(), whole, 448, target="boxer", layers=THREE))
    print(" ".join(items[0].sentences))
    return drawn([replace(items[0], source="six photos")])


@picture
def compare() -> Image.Image:
    """Methods beside controls, at three depths."""
    return drawn(explain("parrot.jpg", method=["lrp", "gradcam", "layercam", "gaussian", "edges"]))


@picture
def coming_from() -> Image.Image:
    """Grad-CAM at one layer, and the default at three."""
    cam = explain("both_dog_cat.png", target="boxer", method="gradcam", layers="last")
    return drawn([*cam, *explain("both_dog_cat.png", target="boxer")])


@picture
def own_model() -> Image.Image:
    """The network as a part of a module that normalises its input itself."""
    import torch
    from torch import Tensor, nn
    from torchvision.transforms.functional import center_crop, pil_to_tensor, resize

    class Mine(nn.Module):
        """Takes pixels in 0..1."""

        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, pixels: Tensor) -> Tensor:
            """Logits."""
            out: Tensor = self.net((pixels - 0.5) / 0.5)
            return out

    image = Image.open(photo("cat_720p.jpg")).convert("RGB")
    pixels = pil_to_tensor(center_crop(resize(image, 256), [224, 224]))[None].float() / 255
    net = network()
    with torch.no_grad():
        mine = Mine(net.model).eval()
    items = sightline.explain(
        mine, pixels, images=pixels, labels=net.labels, layers=[f"net.{name}" for name in THREE]
    )
    return drawn(items)


@picture
def similarity() -> Image.Image:
    """Two photos of cats, and what makes them alike."""
    from sightline.api.explain_pair import side_by_side

    net = network()
    one, other = (
        net.preprocess(Image.open(photo(name)).convert("RGB")) for name in ("cat_720p.jpg", "both_dog_cat.png")
    )
    both = sightline.explain_pair(
        net.model, one.inputs[None], other.inputs[None], similarity="cosine", layers=THREE,
        images=(one.view[None], other.view[None]),
    )  # fmt: skip
    return drawn([side_by_side(*both)])


@picture
def flow() -> Image.Image:
    """The decision followed by three methods, from an early block to the last."""
    return drawn(explain("bird_segmentation.png", method=["lrp", "naflow", "hirescam"]))


@picture
def methods() -> Image.Image:
    """Every method that gives a map at the last block."""
    names = ["lrp", "naflow", "gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "gradxact", "eigencam"]
    import matplotlib.pyplot as plt

    from sightline.reports import overlay

    items = explain("parrot.jpg", method=names, layers="last")
    pixels = (items[0].image.permute(1, 2, 0) * 255).round().byte()
    figure, axes = plt.subplots(2, 5, figsize=(11, 4.8), layout="constrained")
    for place in axes.flat:
        place.set_axis_off()
    axes.flat[0].imshow(pixels)
    axes.flat[0].set_title("photo")
    for place, item in zip(axes.flat[1:], items, strict=True):
        place.imshow(overlay(item.flow[-1], pixels))
        place.set_title(item.method)
    return rendered(figure)


@picture
def metrics() -> Image.Image:
    """The score while the strongest places are deleted, for a method and three controls."""
    import matplotlib.pyplot as plt
    import torch

    from sightline.metrics import Probe, deletion_curve

    net = network()
    inputs = net.preprocess(Image.open(photo("parrot.jpg")).convert("RGB")).inputs[None]
    names = ["lrp", "gaussian", "edges", "random"]
    items = sightline.explain(net, str(photo("parrot.jpg")), method=names, layers=["blocks.4.1"])
    index = torch.tensor([items[0].decision.index])
    probe = Probe(net.model, index, batch_size=16)
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for item in items:
        curve = deletion_curve(probe, inputs, item.flow[-1].values[None], steps=20)
        axes.plot(
            100 * curve.fractions, curve.scores[0], label=item.method, linewidth=2.4 if item.method == "lrp" else 1.2
        )
    axes.set(xlabel="% of the image deleted, strongest places first", ylabel="probability of the class")
    axes.legend(frameon=False)
    return rendered(figure)


@picture
def aviary() -> Image.Image:
    """Two scenes, each with another crown, another background, and without a wing."""
    import numpy as np

    from sightline.worlds.aviary import World, WorldConfig, render
    from sightline.worlds.aviary.counterfactual import with_background, with_value, without_part

    world = World(WorldConfig(species=20, seed=0))
    rows = []
    for number in (7, 12):
        scene = world.scene(number)
        scenes = [
            scene,
            with_value(scene, "crown_color", "red"),
            with_background(scene, "snow"),
            without_part(scene, "wing"),
        ]
        drawings = [render(one, size=256) for one in scenes]
        mask = np.repeat((drawings[0].foreground * 255).astype(np.uint8)[:, :, None], 3, axis=2)
        rows.append(np.concatenate([*(one.image for one in drawings), mask], axis=1))
    return Image.fromarray(np.concatenate(rows))


@picture
def attribute_data() -> Image.Image:
    """Scenes with their part masks."""
    import matplotlib.pyplot as plt

    from sightline.worlds.aviary import World, WorldConfig, render

    world = World(WorldConfig(species=20, seed=0))
    figure, axes = plt.subplots(2, 5, figsize=(11, 4.7), layout="constrained")
    for number, (upper, lower) in enumerate(axes.T):
        scene = render(world.scene(number + 20), size=192)
        upper.imshow(scene.image)
        lower.imshow(scene.parts, cmap="tab20", interpolation="nearest")
        upper.set_axis_off()
        lower.set_axis_off()
    return rendered(figure)


@picture
def attributes() -> Image.Image:
    """Where the bundled network reads each phrase."""
    from importlib.resources import files

    import matplotlib.pyplot as plt

    from sightline.reports import overlay

    scene = str(files("sightline") / "assets" / "scene.png")
    item = sightline.explain(sightline.open_model("birdnet"), scene, layers="last").one()
    phrases = [phrase for phrase in item.phrases if phrase.map is not None][:4]
    pixels = (item.image.permute(1, 2, 0) * 255).round().byte()
    figure, axes = plt.subplots(1, 1 + len(phrases), figsize=(11, 2.8), layout="constrained")
    axes[0].imshow(pixels)
    axes[0].set_title(item.decision.label)
    for place, phrase in zip(axes[1:], phrases, strict=True):
        place.imshow(overlay(phrase.map, pixels))
        place.set_title(phrase.text)
    for place in axes:
        place.set_axis_off()
    return rendered(figure)


def rendered(figure: Any) -> Image.Image:
    """A matplotlib figure as a picture."""
    with tempfile.TemporaryDirectory() as folder:
        figure.savefig(Path(folder) / "figure.png", dpi=140)
        return Image.open(Path(folder) / "figure.png").convert("RGB")


def main() -> None:
    """Make the pictures that are named, or all."""
    for name in sys.argv[1:] or PICTURES:
        save_small(PICTURES[name](), ASSETS / "howto" / f"{name}.jpg")


if __name__ == "__main__":
    main()
