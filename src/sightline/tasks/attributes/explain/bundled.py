"""What is known of the bundled network's words: its vocabulary, calibration, thresholds, means and patterns.

The file beside its weights is made by `python -m sightline.tasks.attributes.train.bundled_words`. Knows no picture.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.models.zoo.birdnet import BirdNet
from sightline.tasks.attributes.data import Attribute, Vocabulary, aviary_vocabulary
from sightline.tasks.attributes.network.calibration import Calibration
from sightline.tasks.attributes.network.skill import Skill

FILE = "birdnet_words.safetensors"
SKILL = "skill."
VERSION = "2"
"""Of the file beside the weights; the first version had no skill."""


@dataclass(frozen=True, eq=False)
class BirdWords:
    """What a narrator has to know of a `BirdNet`.

    Args:
        vocabulary: vocabulary of its attributes.
        calibration: calibration, thresholds, means and prototypes.
        skill: which attributes it was shown to read.
        patterns: how its pooled features move with each attribute; None where nobody looked.
    """

    vocabulary: Vocabulary
    calibration: Calibration
    skill: Skill
    patterns: Float[Tensor, "c k"] | None = None


def bird_words(net: BirdNet) -> BirdWords:
    """What is known of a network: all of it for the bundled weights, its names for others."""
    words = vocabulary_of(net)
    tensors, owner = _bundled()
    if tensors and owner == fingerprint(net):
        own = {name.removeprefix(SKILL): value for name, value in tensors.items() if name.startswith(SKILL)}
        fields = {k: v for k, v in tensors.items() if k != "patterns" and not k.startswith(SKILL)}
        return BirdWords(words, Calibration(**fields), Skill(**own), tensors["patterns"])
    return BirdWords(words, nothing(words, len(net.labels)), Skill.unmeasured(len(words)))


def nothing(words: Vocabulary, classes: int) -> Calibration:
    """No calibration, a half as threshold, a mean that is even over each choice, and no class that is usually so."""
    fields = Calibration.nothing(classes, len(words)).tensors()
    for group in words.groups:
        if group.exclusive:
            fields["mean"][list(group.members)] = 1 / len(group.members)
    return Calibration(**fields)


def vocabulary_of(net: BirdNet) -> Vocabulary:
    """The aviary's words where its names are the aviary's; else groups as its names have them."""
    aviary = aviary_vocabulary()
    if net.attributes == aviary.names:
        return aviary
    parts = [name.partition("::") for name in net.attributes]
    attributes = tuple(
        Attribute(name, group, value) for name, (group, _, value) in zip(net.attributes, parts, strict=True)
    )
    counts = {group: sum(other == group for other, _, _ in parts) for group, _, _ in parts}
    return Vocabulary(attributes, tuple(group for group, count in counts.items() if count > 1))


def fingerprint(net: BirdNet) -> str:
    """Of the weights of both heads: other weights, another text."""
    heads = (net.class_head.weight, net.attribute_head.what.weight)
    digest = hashlib.sha256()
    for weight in heads:
        digest.update(weight.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _bundled() -> tuple[dict[str, Tensor], str]:
    """The tensors of the bundled file, and whose they are; nothing where the file is not there."""
    from safetensors import safe_open

    with as_file(files("sightline") / "assets" / FILE) as path:
        if not Path(path).is_file():
            return {}, ""
        with safe_open(path, "pt") as archive:
            owner = (archive.metadata() or {}).get("fingerprint", "")
            return {name: archive.get_tensor(name) for name in archive.keys()}, owner  # noqa: SIM118
