"""Make the pictures of maps in the how-to pages, `docs/assets/howto/*.jpg`.

`python docs/_gen/howto_pictures.py [NAME]...`: each function is a picture; without a name all are made. They need the
network of the extra `imagenet` and the photos of `photos.py`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from photos import ASSETS, photo, save_small

import sightline
from sightline.reports import save_montage
from sightline.results import Explanation

THREE = ["blocks.2.2", "blocks.4.2", "blocks.6.0"]
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
        return Image.open(save_montage(list(items), Path(folder) / "montage.png", **wishes)).convert("RGB")


@picture
def explain_photo() -> Image.Image:
    """A photo, at every block of the network."""
    return drawn(explain("owl.jpg", layers="all"), max_layers=7, columns=4)


@picture
def target() -> Image.Image:
    """The same photo, and why a dog rather than a cat, and the other way round."""
    dog = explain("both_dog_cat.png", target="boxer", contrast="tiger cat")
    cat = explain("both_dog_cat.png", target="tiger cat", contrast="boxer")
    return drawn([*dog, *cat])


@picture
def compare() -> Image.Image:
    """Methods beside controls, at three depths."""
    return drawn(explain("parrot.jpg", method=["lrp", "gradcam", "layercam", "eigencam", "gaussian", "edges"]))


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
    return drawn(explain("owl.jpg", method=names, layers="last"))


def main() -> None:
    """Make the pictures that are named, or all."""
    for name in sys.argv[1:] or PICTURES:
        save_small(PICTURES[name](), ASSETS / "howto" / f"{name}.jpg")


if __name__ == "__main__":
    main()
