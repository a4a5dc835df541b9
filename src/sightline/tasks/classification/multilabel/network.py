"""`LabelNet`: a classifier whose labels do not exclude each other, with its operating points, in one file and back.

Registers how such a file is read, so that `load_model(weights=FILE)` and every command line take it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.reading import parse_json
from sightline.common.records import restored
from sightline.gates.store import GatedSpec, gated_net
from sightline.models.architectures import BuiltNetwork, architecture, build_network, read_spec, write_network
from sightline.models.preprocess import Preprocess
from sightline.models.weights import Weights, fit_weights, read_weights
from sightline.training.operating import OperatingPoint

ARCHITECTURE = "labels"
VERSION = 1


@dataclass(frozen=True)
class LabelSpec:
    """What is needed to build the network, and what its outputs mean.

    Args:
        network: the classifier with its gates; its classes are the labels.
        points: threshold of each label, with what it reached on test pictures.
        version: of this record.
    """

    network: GatedSpec
    points: tuple[OperatingPoint, ...]
    version: int

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> LabelSpec:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is of another version, or its points are not one for each label.
        """
        spec = restored(cls, parse_json(text))
        if spec.version != VERSION:
            raise ValueError(f"its record is of version {spec.version}, and this Sightline reads {VERSION}")
        if tuple(point.label for point in spec.points) != spec.network.classes:
            raise ValueError("its operating points are not one for each label, in their order")
        return spec


class LabelNet(nn.Module):
    """A network of one logit for each label; its probabilities are sigmoids.

    Args:
        net: the classifier.
        points: threshold of each label.
    """

    def __init__(self, net: nn.Module, points: Sequence[OperatingPoint]) -> None:
        super().__init__()
        self.net = net
        self.points = tuple(points)
        self.config = {"problem_type": "multi_label_classification"}
        """How others read that labels do not exclude each other."""

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of the labels."""
        logits: Tensor = self.net(images)
        return logits


def save_label_net(net: nn.Module, spec: LabelSpec, path: str | Path, **more: str) -> Path:
    """Write network and spec under another name, then rename.

    Args:
        net: the classifier inside.
        spec: how it is built, with its operating points.
        path: a safetensors file.
        more: further texts of the file, by name.
    """
    return write_network(path, net.state_dict(), ARCHITECTURE, spec.to_json(), **more)


def load_label_net(path: str | Path) -> tuple[LabelNet, LabelSpec]:
    """Read what `save_label_net` wrote, in eval mode, with its spec.

    Raises:
        ModelError: the file is missing, damaged, or holds another network.
    """
    return _net(read_weights(path))


@architecture(ARCHITECTURE)
def built(weights: Weights) -> BuiltNetwork:
    """The network of a file, with its labels and preprocessing."""
    net, spec = _net(weights)
    return BuiltNetwork(net, spec.network.classes, Preprocess.from_record(spec.network.preprocess))


def _net(weights: Weights) -> tuple[LabelNet, LabelSpec]:
    spec = read_spec(weights, ARCHITECTURE, LabelSpec.from_json, "sightline train classify")
    net = build_network(weights, lambda: gated_net(spec.network))
    fit_weights(net, weights, name=spec.network.model)
    return LabelNet(net.float(), spec.points).eval(), spec
