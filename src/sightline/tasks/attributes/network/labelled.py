"""`LabelledAttributeNet`: an attribute network whose labels do not exclude each other, and its file.

Each label has a logit of its own and an operating point; where no label reaches its threshold there is no finding.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sightline.common.reading import parse_json
from sightline.common.records import as_kind
from sightline.models.architectures import BuiltNetwork, architecture, build_network, read_spec
from sightline.models.preprocess import Preprocess
from sightline.models.trunk import Trunk
from sightline.models.weights import Weights
from sightline.tasks.attributes.network.net import AttributeNet, AttributeSpec
from sightline.training.operating import OperatingPoint

ARCHITECTURE = "attribute_labels"
VERSION = 1


class LabelledAttributeNet(AttributeNet):
    """An attribute network of one logit for each label; their probabilities are sigmoids.

    Args:
        spec: what to build; its classes are the labels.
        trunk: features to build upon; None builds the spec's backbone at random.
        points: threshold of each label; none before training.
    """

    def __init__(
        self, spec: AttributeSpec, trunk: Trunk | None = None, points: Sequence[OperatingPoint] = ()
    ) -> None:
        super().__init__(spec, trunk)
        self.points = tuple(points)
        self.config = {"problem_type": "multi_label_classification"}
        """How others read that labels do not exclude each other."""


@dataclass(frozen=True)
class LabelledSpec:
    """What is needed to build the network, and what its outputs mean.

    Args:
        network: the network; its classes are the labels.
        points: threshold of each label, with what it reached on test pictures.
    """

    network: AttributeSpec
    points: tuple[OperatingPoint, ...]

    def to_json(self) -> str:
        """One line of JSON."""
        points = [asdict(point) for point in self.points]
        return json.dumps({"network": self.network.to_json(), "points": points, "version": VERSION})

    @classmethod
    def from_json(cls, text: str) -> LabelledSpec:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is of another version, or its points are not one for each label.
        """
        content = as_kind(dict, parse_json(text), "spec")
        if content.get("version") != VERSION:
            raise ValueError(f"its record is of version {content.get('version')}, and this Sightline reads {VERSION}")
        network = AttributeSpec.from_json(as_kind(str, content.get("network"), "network"))
        points: tuple[OperatingPoint, ...] = as_kind(tuple[OperatingPoint, ...], content.get("points"), "points")
        if tuple(point.label for point in points) != network.classes:
            raise ValueError("its operating points are not one for each label, in their order")
        return cls(network, points)


@architecture(ARCHITECTURE)
def built(weights: Weights) -> BuiltNetwork:
    """The network of a file, with its labels and preprocessing."""
    net = labelled_net(weights)
    return BuiltNetwork(net, net.spec.classes, Preprocess.from_record(net.spec.preprocess))


def labelled_net(weights: Weights) -> LabelledAttributeNet:
    """The network of a file, in eval mode, with its calibration.

    Raises:
        ModelError: the file is damaged, or holds another network.
    """
    from sightline.tasks.attributes.network.store import filled

    spec = read_spec(weights, ARCHITECTURE, LabelledSpec.from_json, "sightline train eat")
    net = build_network(weights, lambda: LabelledAttributeNet(spec.network, points=spec.points))
    return filled(net, weights)
