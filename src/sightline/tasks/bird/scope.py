"""What the bundled network knows, measured: how far features may lie from those of its training scenes.

`python -m sightline.tasks.bird.scope` draws scenes that the network was trained on, fits mean, covariance and limit,
writes them into the file beside its weights, and says which share of held-out scenes, and of the photos in folders
that are named, lies beyond the limit.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.common.files import write_tensors
from sightline.common.statistics.intervals import wilson
from sightline.data.photos import find_photos, read_photo
from sightline.models.scope import Scope, fitted
from sightline.models.weights import read_weights
from sightline.models.zoo.birdnet import BirdNet, load_birdnet
from sightline.models.zoo.birdnet_scope import FILE, SCOPE_WORDS, pooled_features
from sightline.worlds.aviary.config import WorldConfig
from sightline.worlds.aviary.dataset import HELD_OUT, rendered
from sightline.worlds.aviary.world import World

log = logging.getLogger(__name__)
QUANTILE = 0.98
"""Share of spare training scenes within the limit."""


@dataclass(frozen=True)
class Share:
    """How many images lie beyond the limit.

    Args:
        what: the images.
        far: how many lie beyond it.
        count: how many there are.
    """

    what: str
    far: int
    count: int

    def __str__(self) -> str:
        low, high = wilson(self.far, self.count)
        share = f"{self.far / self.count:.3f} ({low:.3f}-{high:.3f})"
        return f"{self.what}: {self.far} of {self.count} beyond the limit, {share}"


def scenes(first: int, count: int, *, size: int, folder: Path, workers: int) -> UInt8[Tensor, "n 3 h w"]:
    """Scenes of the world, and half as many whose attributes are drawn by chance, as in training."""
    world = World(WorldConfig())
    worlds = {world: count, World(replace(world.config, variation=1.0)): count // 2}
    drawn = [rendered(place, first, own, size=size, folder=folder, workers=workers) for place, own in worlds.items()]
    return torch.cat([part.images for part in drawn])


def features_of(net: BirdNet, images: UInt8[Tensor, "n 3 h w"], batch: int = 50) -> Float[Tensor, "n d"]:
    """Features of scenes, with the network's preprocessing."""
    with torch.inference_mode():
        ready = (net.spec.preprocess.normalise(part.float() / 255) for part in torch.split(images, batch))
        return torch.cat([pooled_features(net, part) for part in ready])


def scope_of_scenes(net: BirdNet, images: UInt8[Tensor, "n 3 h w"]) -> Scope:
    """Mean and covariance of every other scene, the limit by the rest."""
    rows = features_of(net, images)
    return Scope(SCOPE_WORDS, pooled_features, *fitted(rows[::2], rows[1::2], QUANTILE))


def share_of(scope: Scope, net: BirdNet, rows: Float[Tensor, "n d"], what: str) -> Share:
    """How many of these features lie beyond the limit."""
    far = scope.of_features(rows) > scope.limit
    return Share(what, int(far.sum()), len(rows))


def photo_features(net: BirdNet, folder: Path, most: int) -> Float[Tensor, "n d"]:
    """Features of photos of a folder, drawn without favour."""
    paths = find_photos([folder])
    order = torch.randperm(len(paths), generator=torch.Generator().manual_seed(0))[:most]
    prepare = net.spec.preprocess
    with torch.inference_mode():
        rows = [pooled_features(net, prepare(read_photo(paths[at])).inputs[None]) for at in order.tolist()]
    return torch.cat(rows)


def run(options: argparse.Namespace) -> list[Share]:
    """Fit, write, measure."""
    net = load_birdnet()
    size = net.spec.size
    with tempfile.TemporaryDirectory() as place:
        own = {"size": size, "folder": Path(options.work or place), "workers": options.workers}
        scope = scope_of_scenes(net, scenes(0, options.count, **own))
        held_out = features_of(net, scenes(HELD_OUT, options.held_out, **own))
    with as_file(files("sightline") / "assets" / "birdnet.safetensors") as weights:
        facts = {"weights": read_weights(weights).sha256, "scenes": str(options.count)}
    write_tensors(options.out, {name: value.half() for name, value in scope.tensors().items()}, facts)
    shares = [share_of(scope, net, held_out, "held-out scenes")]
    shares += [share_of(scope, net, photo_features(net, at, options.most), str(at)) for at in options.photos]
    return shares


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    beside = Path(str(files("sightline") / "assets")) / FILE
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="training scenes to draw, and half as many by chance")
    parser.add_argument("--held-out", type=int, default=400, help="scenes to measure on, likewise")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="folders of photos to measure on")
    parser.add_argument("--most", type=int, default=40, help="photos of each folder")
    parser.add_argument("--workers", type=int, default=2, help="processes that draw")
    parser.add_argument("--work", type=Path, help="folder of the drawn scenes, kept")
    parser.add_argument("--out", type=Path, default=beside, help="the file to write")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for share in run(parser.parse_args(words)):
        log.info("%s", share)


if __name__ == "__main__":
    main()
