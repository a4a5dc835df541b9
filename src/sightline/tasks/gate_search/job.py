"""A search on a folder of photos: read, train the supernet in a plain loop, and a score that a worker can make anew.

It prints nothing, and knows nothing of how a search is spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sightline.common.files import write_tensors
from sightline.data.photos import find_photos, read_photo
from sightline.errors import DataError, GateError
from sightline.gates.store import ARCHITECTURE, GatedSpec, plain_net
from sightline.models.architectures import ARCHITECTURES, write_network
from sightline.models.load import LoadedModel, load_model
from sightline.models.preprocess import Preprocess
from sightline.models.weights import fit_weights, read_weights
from sightline.models.zoo.cifar_names import is_cifar
from sightline.tasks.gate_search.accuracy import Accuracy
from sightline.tasks.gate_search.network import mask, supernet

CIFAR = 32
"""Side of the pictures of CIFAR networks."""


@dataclass(frozen=True)
class Photos:
    """Photos of classes.

    Args:
        paths: picture files.
        labels: index of the class of each.
        classes: names, in the order of their indices.
    """

    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]

    def some(self, most: int, seed: int) -> Photos:
        """At most so many, drawn without favour."""
        if most >= len(self.paths):
            return self
        order = torch.randperm(len(self.paths), generator=torch.Generator().manual_seed(seed))[:most]
        rows = sorted(order.tolist())
        return Photos(tuple(self.paths[k] for k in rows), tuple(self.labels[k] for k in rows), self.classes)

    def batches(
        self, preprocess: Preprocess, size: int, order: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and labels, read as they are asked for."""
        places = torch.arange(len(self.paths)) if order is None else order
        for part in torch.split(places, size):
            inputs = torch.stack([preprocess(read_photo(self.paths[k])).inputs for k in part.tolist()])
            yield inputs, torch.tensor([self.labels[k] for k in part.tolist()])


def read_classes(folder: Path, part: str) -> Photos:
    """The photos of `folder/part`, in which every class has a folder.

    Raises:
        DataError: there is no such folder, or fewer than two classes in it.
    """
    root = folder / part
    names = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if len(names) < 2:
        raise DataError(
            f"a search needs {str(folder)!r} to hold train/ and val/ with a folder for each of at least two classes; "
            f"found {len(names)} classes in {str(root)!r}"
        )
    photos = [(path, label) for label, name in enumerate(names) for path in find_photos([root / name])]
    paths, labels = zip(*photos, strict=True)
    return Photos(paths, labels, tuple(names))


@dataclass(frozen=True)
class Job:
    """What a worker needs to score schemes; it can be pickled.

    Args:
        folder: with train/ and val/.
        model: name of the network.
        weights: weights of the start: a file, `random`, or None for the published ones.
        model_args: arguments of the network's builder.
        gate: name of the gate.
        share: which blocks share one.
        reduction: channel reduction inside the gate.
        photos: most validation photos per evaluation.
        recalibrate: training photos by which batch norms are estimated anew for each scheme; 0 leaves them.
        batch: photos that go through the network together.
        seed: seed of all draws.
        device: where to compute.
        supernet: file of the trained supernet.
    """

    folder: Path
    model: str | None
    weights: str | None
    model_args: tuple[tuple[str, Any], ...]
    gate: str
    share: str
    reduction: int | None
    photos: int
    recalibrate: int
    batch: int
    seed: int
    device: str
    supernet: Path

    def build(self) -> LoadedModel:
        """The network with its gates, before any training."""
        train, val = read_classes(self.folder, "train"), read_classes(self.folder, "val")
        if train.classes != val.classes:
            odd = sorted(set(train.classes) ^ set(val.classes))
            raise DataError(f"train/ and val/ of {str(self.folder)!r} hold different classes: {', '.join(odd[:5])}")
        loaded = self._plain(train.classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            supernet(loaded.model, self.gate, share=self.share, reduction=self.reduction)
        return loaded

    def _plain(self, classes: tuple[str, ...]) -> LoadedModel:
        """The network without gates; one for CIFAR gets as many outputs as there are classes."""
        arguments = dict(self.model_args)
        if self.model is None or not is_cifar(self.model):
            return load_model(
                self.model, weights=self.weights, model_args=arguments, device=self.device, seed=self.seed
            )
        spec = GatedSpec(model=self.model, classes=classes, model_args=arguments)
        net = plain_net(spec, self.weights, self.seed).eval().to(self.device)
        return LoadedModel(net, self.model, classes, Preprocess((CIFAR, CIFAR), None), {"model": self.model})

    def score(self) -> Accuracy:
        """The accuracy of the trained supernet; photos are read once and kept."""
        loaded = self.build()
        fit_weights(loaded.model, read_weights(self.supernet), name="the supernet")
        val = read_classes(self.folder, "val").some(self.photos, self.seed)
        train = read_classes(self.folder, "train").some(self.recalibrate, self.seed) if self.recalibrate else None
        loaded.model.to(self.device)
        return Accuracy(
            loaded.model,
            self._batches(val, loaded.preprocess),
            calibration=self._batches(train, loaded.preprocess) if train else None,
        )

    def _batches(self, photos: Photos, preprocess: Preprocess) -> list[tuple[Tensor, Tensor]]:
        batches = photos.batches(preprocess, self.batch)
        return [(inputs.to(self.device), labels.to(self.device)) for inputs, labels in batches]


def train_supernet(
    loaded: LoadedModel,
    photos: Photos,
    *,
    epochs: int,
    rate: float = 0.05,
    batch: int = 32,
    seed: int = 0,
    step: Callable[[float], None] | None = None,
) -> nn.Module:
    """A plain loop: SGD with momentum, the rate falling along a cosine, and a fresh mask before every step.

    Args:
        loaded: a supernet; it is trained in place, on its device.
        photos: pictures of the classes that the network knows.
        epochs: times through the photos.
        rate: learning rate at the start.
        batch: photos per step; a last one of a single photo is left out.
        seed: seed of the order and of the masks.
        step: called with the loss of each step.

    Raises:
        GateError: the network has another number of classes, or the loss is no number any more.
    """
    model, generator = loaded.model, torch.Generator().manual_seed(seed)
    home = next(model.parameters()).device
    optimiser = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, epochs))
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(photos.paths), generator=generator)
        for inputs, labels in photos.batches(loaded.preprocess, batch, order):
            if len(labels) < 2:
                continue
            mask(model, generator)
            logits = model(inputs.to(home))
            _check_classes(logits, photos)
            loss = nn.functional.cross_entropy(logits, labels.to(home))
            if not bool(torch.isfinite(loss)):
                raise GateError(f"the supernet's loss is {float(loss)}; take a smaller --lr than {rate}")
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if step is not None:
                step(float(loss.detach()))
        plan.step()
    return model.eval()


def keep_supernet(job: Job, loaded: LoadedModel, classes: tuple[str, ...]) -> None:
    """Write a supernet with what its network, gates and classes are, so that the file alone is enough to open it.

    A network of our own kind with another head than its file's cannot be described; its tensors are kept alone.

    Args:
        job: says where to, and how it was built.
        loaded: the trained supernet.
        classes: names of the classes, in the order of its outputs.
    """
    tensors = loaded.model.state_dict()
    if loaded.name in ARCHITECTURES:
        write_tensors(job.supernet, tensors)
        return
    options = {} if job.reduction is None else {"reduction": job.reduction}
    spec = GatedSpec(
        model=loaded.name, classes=classes, model_args=dict(job.model_args), gate=job.gate, share=job.share,
        options=options, preprocess=loaded.preprocess.record(),
    )  # fmt: skip
    write_network(job.supernet, tensors, ARCHITECTURE, spec.to_json())


def _check_classes(logits: Tensor, photos: Photos) -> None:
    if logits.ndim != 2 or logits.shape[1] != len(photos.classes):
        raise GateError(
            f"the network gives {tuple(logits.shape[1:])} numbers for each photo, but the folder holds "
            f"{len(photos.classes)} classes; build it for them: --weights random --model-arg "
            f"num_classes={len(photos.classes)}"
        )
