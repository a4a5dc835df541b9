"""Only what is certified to drive the decision judges an explainer: scenes of a world, one cue, its mask.

For a folder that `sightline world render` wrote. Scenes are drawn again with the cue exchanged; those where the
decision follows the cue and nothing else are kept, the cue's own pixels are what a map must find.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from sightline.common.files import make_folder, write_bytes, write_text
from sightline.common.modes import evaluating
from sightline.common.runs import read_record
from sightline.compare.samples import Sample, prepare
from sightline.compare.store import RUN
from sightline.data.classes import folded_name
from sightline.errors import DataError, InputError, ResultError, near
from sightline.models.load import LoadedModel
from sightline.worlds.aviary import PARTS, Rendering, Scene, render
from sightline.worlds.aviary.attributes import part_id
from sightline.worlds.aviary.rendered import Drawn, read_world
from sightline.worlds.aviary.scene_certificate import CERTIFIED, SceneCertificates, Verdict, certify_scenes

CERTIFICATE = "certificate.json"
LEAST = 8
"""Certified scenes below which no explainer is judged: intervals over fewer say nothing."""
SAME = 8.0
"""Mean difference in bytes up to which a JPEG is the scene that is drawn again."""


@dataclass(frozen=True, eq=False)
class Certified:
    """What an explainer may be judged on.

    Args:
        rendered: the world, drawn and written to its folder.
        certificates: the verdict on every scene, with the rates.
        samples: certified scenes alone; the mask of each is the cue.
        verdicts: verdicts of these scenes, in the same order.
    """

    rendered: Drawn
    certificates: SceneCertificates
    samples: tuple[Sample, ...]
    verdicts: tuple[Verdict, ...]


def cue_of(text: str) -> str:
    """`foreground`, `background` or `part:NAME` from what was asked for; `wing` is `part:wing`.

    Raises:
        DataError: there is no such cue.
    """
    if text in ("foreground", "background"):
        return text
    name = text.removeprefix("part:")
    if name not in PARTS:
        raise DataError(f"there is no cue {text!r}; {near(name, ('foreground', 'background', *PARTS), most=12)}")
    return f"part:{name}"


def cue_mask(drawing: Rendering, cue: str) -> NDArray[np.bool_]:
    """Where a cue is seen."""
    if cue.startswith("part:"):
        return np.asarray(drawing.parts == part_id(cue.removeprefix("part:")))
    return drawing.foreground if cue == "foreground" else ~drawing.foreground


def certified_samples(
    loaded: LoadedModel,
    data: Path,
    samples: Sequence[Sample],
    cue: str,
    *,
    folder: Path,
    step: Callable[[int], None] = lambda done: None,
) -> Certified:
    """Certify a cue for every sample, and keep those that are.

    `folder` gets `certificate.json`, with every scene and why it was or was not certified, and the cue's masks.

    Args:
        loaded: model and preprocessing.
        data: the world's folder.
        samples: scenes of it.
        cue: what `cue_of` takes.
        folder: where the table goes.
        step: called for every scene that is done.

    Raises:
        DataError: the folder is not a world, its pictures are not what is drawn today, or there is no such cue.
        InputError: too few scenes are certified, or the model's classes are not the world's.
    """
    rendered, cue = read_world(data), cue_of(cue)
    scenes = [rendered.scene(sample.path) for sample in samples]
    for sample, scene in zip(samples, scenes, strict=True):
        _same_picture(sample.path, render(scene, rendered.size).image)
    decide = Decider(loaded, rendered)
    certificates = certify_scenes(decide, rendered.world, scenes, cue, step=step)
    fair = map(partial(_fair, cue=cue, size=rendered.size), certificates.verdicts, scenes, decide.photos(samples))
    certificates = replace(certificates, verdicts=tuple(fair))
    places = [i for i, verdict in enumerate(certificates.verdicts) if verdict.status == CERTIFIED]
    make_folder(folder)
    if os.path.lexists(folder / CERTIFICATE) and "verdicts" not in (read_record(folder / CERTIFICATE) or {}):
        raise ResultError(f"{str(folder / CERTIFICATE)!r} was not written by sightline, and is left alone")
    if not (folder / RUN).is_file():
        write_text(folder / CERTIFICATE, json.dumps(_record(certificates, samples, loaded), indent=1))
    if len(places) < LEAST:
        raise InputError(
            f"no explainer can be judged on {cue}: {certificates}; at least {LEAST} certified scenes are needed. "
            "Ask for more scenes (--count), another cue, or `--cue none` for a comparison without certificate"
        )
    masks = folder / "cue_masks" / cue.replace(":", "-")
    masked = tuple(_masked(samples[i], scenes[i], rendered.size, cue, masks) for i in places)
    return Certified(rendered, certificates, masked, tuple(certificates.verdicts[i] for i in places))


class Decider:
    """A model as the certificate sees it: scenes in, species out.

    Args:
        loaded: model and preprocessing.
        rendered: the world, drawn and written to its folder.

    Raises:
        InputError: the model has other classes.
    """

    def __init__(self, loaded: LoadedModel, rendered: Drawn) -> None:
        self.loaded, self.size = loaded, rendered.size
        self.classes = classes_of(loaded.labels, rendered.world.labels)
        self.species = {index: species for species, index in enumerate(self.classes)}

    @torch.inference_mode()
    def __call__(self, scenes: Sequence[Scene], step: int = 32) -> list[int]:
        """Decisions; -1 for a class that is no species of this world."""
        indices: list[int] = []
        for start in range(0, len(scenes), step):
            inputs = as_inputs([render(scene, self.size) for scene in scenes[start : start + step]], self.loaded)
            indices += _logits(self.loaded.model, inputs).argmax(1).tolist()
        return [self.species.get(index, -1) for index in indices]

    @torch.inference_mode()
    def photos(self, samples: Sequence[Sample], step: int = 32) -> list[int]:
        """Decisions for the pictures as they lie on the disk, which are the ones to be explained."""
        device, indices = next(self.loaded.model.parameters()).device, []
        for start in range(0, len(samples), step):
            plain = [Sample(sample.path) for sample in samples[start : start + step]]
            inputs = prepare(plain, self.loaded.preprocess).inputs.to(device)
            indices += _logits(self.loaded.model, inputs).argmax(1).tolist()
        return [self.species.get(index, -1) for index in indices]


def classes_of(labels: Sequence[str] | None, species: Sequence[str]) -> list[int]:
    """The model's class of each species; by name, or by place where the model names none.

    Raises:
        InputError: a species is not among the model's classes.
    """
    if labels is None:
        return list(range(len(species)))
    plain = {folded_name(label): index for index, label in enumerate(labels)}
    missing = [name for name in species if folded_name(name) not in plain]
    if missing:
        raise InputError(
            f"the model's classes are not this world's: it lacks {len(missing)} of {len(species)} species, such as "
            f"{missing[0]!r}. Train it on this world, take a world it knows, or judge with `--cue none`"
        )
    return [plain[folded_name(name)] for name in species]


def as_inputs(drawings: Sequence[Rendering], loaded: LoadedModel) -> torch.Tensor:
    """Drawings as the network takes them, on its device."""
    device = next(loaded.model.parameters()).device
    return torch.stack([loaded.preprocess(Image.fromarray(one.image)).inputs for one in drawings]).to(device)


def _logits(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Class scores in evaluation mode."""
    with evaluating(model):
        out: torch.Tensor = model(inputs)
        return out


def _same_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Refuse a picture that is not the scene."""
    on_disk = np.asarray(Image.open(path).convert("RGB")).astype(float)
    if on_disk.shape != pixels.shape or np.abs(on_disk - pixels).mean() > SAME:
        raise DataError(f"{path} is not what its scene looks like when drawn again; render the world anew")


def _fair(verdict: Verdict, scene: Scene, decision: int, *, size: int, cue: str) -> Verdict:
    """Nobody can find a cue that cannot be seen, nor explain a decision that the compressed picture changed."""
    if verdict.status == CERTIFIED and decision != scene.species:
        return replace(verdict, status="not known")
    if verdict.status == CERTIFIED and not cue_mask(render(scene, size), cue).any():
        return replace(verdict, status="out of sight")
    return verdict


def _masked(sample: Sample, scene: Scene, size: int, cue: str, folder: Path) -> Sample:
    """The sample with the cue as its mask."""
    sink = BytesIO()
    Image.fromarray(cue_mask(render(scene, size), cue).astype(np.uint8) * 255).save(sink, "PNG")
    path = folder / f"{scene.index:08d}.png"
    make_folder(folder)
    write_bytes(path, sink.getvalue())
    return replace(sample, boxes=(), mask=path)


def _record(certificates: SceneCertificates, samples: Sequence[Sample], loaded: LoadedModel) -> dict[str, Any]:
    """The certificate as JSON."""
    rows = [{"sample": s.path.name, **asdict(v)} for s, v in zip(samples, certificates.verdicts, strict=True)]
    return {
        "cue": certificates.cue,
        "sentence": str(certificates),
        "threshold": certificates.threshold,
        "scenes": len(certificates.verdicts),
        "certified": certificates.certified,
        "share": certificates.rate.share,
        "interval": certificates.rate.interval,
        "counts": certificates.counts,
        "model": sha256(json.dumps(loaded.provenance, sort_keys=True, default=str).encode()).hexdigest()[:16],
        "verdicts": rows,
    }
