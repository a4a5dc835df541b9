"""What the bundled network has to know of its words before it may speak, from scenes that it was not trained on.

`python -m sightline.tasks.attributes.train.bundled_words` draws the scenes, asks the network, and writes the file
beside its weights.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from sightline.common.files import write_tensors
from sightline.models.zoo.birdnet import BirdNet, load_birdnet
from sightline.tasks.attributes.data import class_means
from sightline.tasks.attributes.data.examples import Examples, from_scenes
from sightline.tasks.attributes.explain.association import patterns_of
from sightline.tasks.attributes.explain.bundled import FILE, SKILL, VERSION, fingerprint, vocabulary_of
from sightline.tasks.attributes.explain.grounding import centring
from sightline.tasks.attributes.network.activations import activations
from sightline.tasks.attributes.network.calibration import Calibration, best_thresholds, platt
from sightline.tasks.attributes.network.skill import Answers, measure_skill
from sightline.worlds.aviary.config import WorldConfig
from sightline.worlds.aviary.dataset import HELD_OUT, rendered
from sightline.worlds.aviary.world import World

log = logging.getLogger(__name__)
FIRST, COUNT = HELD_OUT + 500_000, 1000
"""Which scenes: behind those that networks are trained on and those that they are judged by."""


def words_of(net: BirdNet, scenes: Examples) -> dict[str, Tensor]:
    """Calibration and patterns of a network, as tensors to be saved.

    Args:
        net: the network.
        scenes: pictures that it was not trained on and is not judged by.
    """
    words = vocabulary_of(net)
    pooled, z, classes = _read(net, scenes)
    a = activations(z, words)
    slope, offset = platt(a, scenes.targets, scenes.weights)
    tables = (scenes.targets.numpy(), scenes.weights.numpy(), scenes.labels.numpy())
    prototypes = torch.from_numpy(class_means(*tables, len(net.labels)))
    provisional = Calibration(slope, offset, torch.full_like(slope, 0.5), a.mean(0), z.mean(0), prototypes)
    thresholds = best_thresholds(provisional.calibrated(a), scenes.targets, scenes.weights)
    calibration = replace(provisional, threshold=thresholds)
    skill = measure_skill(Answers(a, classes.argmax(1), scenes.targets, scenes.weights), calibration)
    own = {f"{SKILL}{name}": value for name, value in skill.tensors().items()}
    patterns = patterns_of(pooled, z, centring(words, exclusive=True))
    return {**calibration.tensors(), **own, "patterns": patterns}


@torch.inference_mode()
def _read(net: BirdNet, scenes: Examples, batch: int = 50) -> tuple[Tensor, Tensor, Tensor]:
    """Pooled features [n, c], attribute logits [n, k] and class logits [n, y] of every picture."""
    pooled: list[Tensor] = []
    hook = net.class_head.register_forward_pre_hook(lambda _, arguments: pooled.append(arguments[0]))
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (net.spec.mean, net.spec.std))
    try:
        parts = [scenes.images[at : at + batch] for at in range(0, len(scenes), batch)]
        answers = [net.read((images.float() / 255 - mean) / std)[:2] for images in parts]
    finally:
        hook.remove()
    classes, z = (torch.cat(column) for column in zip(*answers, strict=True))
    return torch.cat(pooled), z, classes


def save_words(net: BirdNet, scenes: Examples, path: Path) -> Path:
    """Write what `words_of` finds under another name, then rename."""
    tensors = {name: value.float().contiguous() for name, value in words_of(net, scenes).items()}
    facts = {"fingerprint": fingerprint(net), "scenes": f"{FIRST}+{len(scenes)}", "version": VERSION}
    write_tensors(path, tensors, facts)
    return path


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(str(files("sightline") / "assets")) / FILE
    parser.add_argument("--count", type=int, default=COUNT, help="scenes to draw")
    parser.add_argument("--workers", type=int, default=2, help="processes that draw")
    parser.add_argument("--out", type=Path, default=beside, help="the file to write")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    net = load_birdnet()
    with tempfile.TemporaryDirectory() as folder:
        scenes = rendered(
            World(WorldConfig()),
            FIRST,
            options.count,
            size=net.spec.size,
            folder=Path(folder),
            workers=options.workers,
        )
    path = save_words(net, from_scenes(scenes, vocabulary_of(net)), options.out)
    log.info("%s: %d scenes, %d bytes", path, len(scenes), path.stat().st_size)


if __name__ == "__main__":
    main()
