"""`AttributeNet`: any backbone with attributes as a second task, and three ways in which they meet the class.

A plain `nn.Module` whose `forward` gives class logits, so every explainer takes it; `read` gives all at once.
It knows nothing of training or of sentences.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from sightline.common.reading import parse_json
from sightline.common.records import as_kind, restored
from sightline.models.load import LoadedModel, load_model
from sightline.models.trunk import Trunk, finer_levels, grid_of, hold_stride
from sightline.models.unused import drop_unused
from sightline.tasks.attributes.data import Vocabulary
from sightline.tasks.attributes.data.kept_reading import KeptReading
from sightline.tasks.attributes.network.activations import activations
from sightline.tasks.attributes.network.calibration import Calibration
from sightline.tasks.attributes.network.heads import AttributeHead, ClassHead, FeatureFusion, HeadOutput, Join, Pool
from sightline.tasks.attributes.network.ordinal import OrderedThresholds
from sightline.tasks.attributes.network.skill import Skill

Ordinal = Literal["number", "thresholds"]


@dataclass(frozen=True)
class AttributeSpec:
    """What is needed to build an `AttributeNet`, and what its outputs mean.

    Args:
        backbone: name of the classifier whose features are read, as `sightline models` lists it.
        classes: names of the classes.
        vocabulary: the attributes.
        join: how attributes meet the class.
        pool: how the attribute head puts places together.
        stride: pixels per cell of the features; 0 leaves the backbone as it is.
        reading: pixels per cell of the features that attributes are read off, where these are to be finer than the
            trunk's; 0 reads the trunk's own.
        width: channels of those finer features.
        size: side of the input in pixels.
        model_args: arguments of the backbone's builder.
        seed: seed of the heads' weights, and of the backbone's if it begins at random.
        preprocess: how a photo is preprocessed, as `Preprocess.record` writes it.
        ordinal: how ranks are read: as a `number`, or by ordered `thresholds`.
    """

    backbone: str
    classes: tuple[str, ...]
    vocabulary: Vocabulary
    join: Join = "fusion"
    pool: Pool = "average"
    stride: int = 16
    reading: int = 0
    width: int = 64
    size: int = 224
    model_args: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    preprocess: dict[str, Any] = field(default_factory=dict)
    ordinal: Ordinal = "number"

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({**asdict(self), "vocabulary": self.vocabulary.to_json()})

    @classmethod
    def from_json(cls, text: str) -> AttributeSpec:
        """Read what `to_json` wrote."""
        content = parse_json(text)
        words = content.pop("vocabulary", None) if isinstance(content, dict) else None
        return restored(cls, content, vocabulary=Vocabulary.from_json(as_kind(str, words, "vocabulary")))


@dataclass(frozen=True, eq=False)
class AttributeOutput:
    """All that an attribute network says of a batch, from one forward.

    Args:
        classes: class logits s.
        probabilities: a, the soft-max or sigmoid of z, not calibrated.
        attributes: attribute logits z, their maps, and what these are made of.
        features: F, the trunk's last feature map.
    """

    classes: Float[Tensor, "b y"]
    probabilities: Float[Tensor, "b k"]
    attributes: HeadOutput
    features: Float[Tensor, "b c h w"]

    @property
    def logits(self) -> Float[Tensor, "b k"]:
        """Attribute logits z."""
        return self.attributes.logits

    @property
    def maps(self) -> Float[Tensor, "b k h w"]:
        """For every attribute what each place adds to its logit."""
        return self.attributes.maps


class AttributeNet(nn.Module):
    """Trunk, attribute head, class head.

    Args:
        spec: what to build.
        trunk: features to build upon (with weights, perhaps); None builds the spec's backbone at random.

    Raises:
        ModelError: no such backbone, join or pool, or its features cannot be as fine as the spec asks.

    Source:
        xu2020eat; the joins are those of koh2020concept.
    """

    def __init__(self, spec: AttributeSpec, trunk: Trunk | None = None) -> None:
        super().__init__()
        self.spec = spec
        size = (spec.size, spec.size)
        trunk = trunk or Trunk(_backbone(spec, "random").model, size)
        self.trunk = drop_unused(hold_stride(trunk, spec.stride, size) if spec.stride else trunk, size)
        channels, words = grid_of(self.trunk, size).channels, spec.vocabulary
        finer = finer_levels(self.trunk, spec.reading, size) if spec.reading else ()
        self.levels = tuple(path for path, _ in finer)
        inputs = (*(c for _, c in finer), channels)
        # its weights are saved as "meeting."
        self.meeting = FeatureFusion(inputs, spec.width, seed=spec.seed) if finer else None
        read = spec.width if finer else channels
        self.attribute_head = AttributeHead(read, words, pool=spec.pool, seed=spec.seed)
        self.ranks = OrderedThresholds(words) if spec.ordinal == "thresholds" else None
        self.class_head = ClassHead(channels, len(words), len(spec.classes), join=spec.join, seed=spec.seed)
        self.calibration = Calibration.nothing(len(spec.classes), len(words))
        self.skill = Skill.unmeasured(len(words))
        self.blocks_within = "trunk.body"
        self.num_classes = len(spec.classes)
        self.taught = False
        """Whether the trunk began with weights that have learnt already."""
        self.kept_reading: KeptReading | None = None
        """How the data of its training was read; None where nobody said it."""
        self.assumed: tuple[str, ...] = ()
        """What had to be assumed of the backbone, in sentences."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.spec.classes

    def forward(self, x: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b k"]:
        """Class logits."""
        return self.read(x).classes

    def read(self, x: Float[Tensor, "b 3 y x"]) -> AttributeOutput:
        """Class logits, attributes and their maps from one forward."""
        return self.read_features(*self.trunk.levels(x, self.levels))

    def read_features(
        self, features: Float[Tensor, "b c h w"], finer: Sequence[Tensor] = (), said: Tensor | None = None
    ) -> AttributeOutput:
        """The same from the trunk's features, which may have been computed before.

        Args:
            features: the trunk's last feature map; a single place where only its mean is read.
            finer: the finer maps that `spec.reading` asks for.
            said: attribute logits in place of those of the network's own head, `[b, k]`.
        """
        read: HeadOutput = self.attribute_head(features if self.meeting is None else self.meeting([*finer, features]))
        if said is not None:
            read = read._replace(logits=said)
        probabilities = activations(read.logits, self.spec.vocabulary)
        if self.ranks is not None:
            probabilities = self.ranks.read(read.logits, probabilities)
        return AttributeOutput(self.class_head(features.mean((2, 3)), probabilities), probabilities, read, features)


def attribute_net(
    spec: AttributeSpec, weights: str | None = None, kind: type[AttributeNet] = AttributeNet
) -> AttributeNet:
    """A net to train: the spec's backbone with weights, and new heads.

    Args:
        spec: what to build; its preprocessing is taken from the backbone, at the spec's size.
        weights: weights of the backbone: None takes the published ones, or a file, or `random`.
        kind: class of the net.

    Raises:
        ModelError: as `load_model` and `AttributeNet` raise.
    """
    loaded = _backbone(spec, weights)
    settings = replace(loaded.preprocess, size=(spec.size, spec.size), resize=None)
    net = kind(replace(spec, preprocess=settings.record()), Trunk(loaded.model, (spec.size, spec.size)))
    net.taught, net.assumed = weights != "random", loaded.notes
    return net.train()


def _backbone(spec: AttributeSpec, weights: str | None) -> LoadedModel:
    bundled = spec.backbone == "birdnet"
    return load_model(spec.backbone, weights=None if bundled else weights, model_args=spec.model_args, seed=spec.seed)
