"""What `events.py` measures of networks that learn from frozen features of a real encoder (`--study real`).

Nothing but the pack's eleven clips is real and has sound, and their events are not labelled. So each clip is an event
of its own: its picture with its own sound has its name, with the sound of another clip or with silence it has none.
Neither picture nor sound alone says which. A network learns from the first part of the clips and is judged on the
rest. Beside it stand drawn scenes through the same encoder.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from _events_cells import Cell, real_clips
from sightline.common.files import make_folder, write_text
from sightline.tasks.audiovisual.data.encoding import FrameEncoder, as_frames, frame_encoder
from sightline.tasks.audiovisual.data.feature_folder import LIST, write_facts, write_features
from sightline.tasks.audiovisual.data.feature_set import FeatureFacts
from sightline.tasks.audiovisual.explain.clip import EventClip, read_event_clip
from sightline.tasks.audiovisual.explain.readers import encoded_reader, own_reader
from sightline.tasks.audiovisual.features.command import FeatureOptions, make_features
from sightline.tasks.audiovisual.features.train import FeatureExperiment
from sightline.tasks.audiovisual.metrics.clips import SILENT, changes, lacking
from sightline.tasks.audiovisual.metrics.strangers import negative_reader
from sightline.tasks.audiovisual.network.net import EventNet
from sightline.tasks.audiovisual.network.spec import EventSpec
from sightline.tasks.audiovisual.network.store import load_net
from sightline.tasks.audiovisual.recipe import EventRecipe
from sightline.tasks.audiovisual.report.player import save_scene
from sightline.tasks.audiovisual.world import HELD_OUT, WorldConfig, scenes

SECONDS = 0.5
WINDOW = 4
"""Segments of a piece of a clip."""
LEARNED = 0.6
"""Share of each clip that is learned from."""


class Source(NamedTuple):
    """Where features come from.

    Args:
        model: what encodes frames.
        layer: which of its layers.
        size: sides of the frames for it; 0 for its own.
        drawn: number of drawn scenes; 0 for real clips.
        epochs: of the training.
    """

    model: str
    layer: str
    size: int
    drawn: int
    epochs: int


SOURCES = {
    "real clips": Source("imagenet", "blocks.4", 0, 0, 100),
    "48 drawn scenes": Source("imagenet", "blocks.4", 0, 48, 100),
    "1,200 drawn scenes": Source("imagenet", "blocks.2", 96, 1_200, 40),
}
"""By name; the encoder is that of the extra `imagenet`."""


class Tiny(nn.Module):
    """The encoder of the toy."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 5, 4, 1), nn.ReLU())
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Two logits."""
        logits: Tensor = self.head(self.body(x).mean((2, 3)))
        return logits


TOYS = {
    "real clips": Source(f"{__file__}:Tiny", "body.1", 32, 0, 2),
    "48 drawn scenes": Source(f"{__file__}:Tiny", "body.1", 32, 48, 2),
    "1,200 drawn scenes": Source(f"{__file__}:Tiny", "body.1", 32, 60, 2),
}


def real_cell(work: Path, name: str, recipe: EventRecipe) -> Cell:
    """Recognition beside its controls, and the negative-sound test, of features from a source."""
    toy = recipe.loop.epochs <= 2
    source = (TOYS if toy else SOURCES)[name]
    own, folder = recipe.but(epochs=source.epochs), work / "real" / name / "features"
    encoder = frame_encoder(source.model, source.layer, (source.size, source.size))
    clips = [] if source.drawn else some_clips(work, encoder, toy=toy)
    if not (folder / LIST).is_file():
        write_source(folder, source, encoder, clips)
    out = work / "real" / name / f"{recipe.machine.seed}.safetensors"
    experiment = FeatureExperiment(own, out, out.with_suffix(".work"), folder=folder)
    found = experiment.run()
    if found is None or experiment.probe is None:
        raise RuntimeError("a single process has figures and a probe")
    net, probe = load_net(out), experiment.probe.right
    return {
        "accuracy": found.accuracy,
        "picture": found.picture,
        "sound": found.sound,
        "majority": found.majority,
        "probe": sum(probe) / len(probe),
        "judged": len(found.right),
        "sounds": tested_scenes(net, 10 if toy else 40) if source.drawn else tested_clips(net, clips),
    }


def write_source(folder: Path, source: Source, encoder: FrameEncoder, clips: Sequence[EventClip]) -> None:
    """Features with their labels; the list is written last."""
    if clips:
        write_pieces(folder, clips, encoder, source)
    else:
        make_features(
            FeatureOptions(
                out=folder, model=source.model, layer=source.layer, size=source.size or None, scenes=source.drawn
            )
        )


def some_clips(work: Path, encoder: FrameEncoder, *, toy: bool) -> list[EventClip]:
    """Real clips with picture and sound, of four seconds or more; for the toy two drawn ones."""
    paths = real_clips()
    if toy:
        drawn = scenes(WorldConfig(frames=50), HELD_OUT, 2)
        make_folder(work)
        paths = [save_scene(drawn, number, work / f"toy{number}.mkv") for number in range(2)]
    found = []
    for path in paths:
        clip = read_event_clip(path, EventSpec(("any",), seconds=SECONDS))
        if clip.footage is not None and not lacking(clip) and len(clip.spectra[0]) >= 2 * WINDOW:
            features = encoder(as_frames(clip.footage.frames[clip.ruler.frames]))
            found.append(replace(clip, features=features[None]))
    return found


def write_pieces(folder: Path, clips: Sequence[EventClip], encoder: FrameEncoder, source: Source) -> None:
    """Each piece of each clip with its own sound, and once with another: that of another clip, or silence."""
    make_folder(folder)
    write_facts(folder, FeatureFacts(source.model, encoder.layer, encoder.size, SECONDS))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("file", "label", "split"))
    for number, clip in enumerate(clips):
        for place, (split, at) in enumerate(pieces(clip)):
            picture, sound = clip.pictures[0, at : at + WINDOW], clip.spectra[0, at : at + WINDOW]
            other = clips[(number + 1 + place % (len(clips) - 1)) % len(clips)]
            elsewhere = [start for part, start in pieces(other) if part == split]
            start = elsewhere[place % len(elsewhere)]
            wrong = other.spectra[0, start : start + WINDOW] if place % 3 else torch.full_like(sound, SILENT)
            for label, what, heard in ((f"clip {number}", "own", sound), ("", "other", wrong)):
                name = f"c{number:02d}_{place:03d}_{what}"
                write_features(folder / f"{name}.npz", picture, heard)
                table.writerow((name, label, split))
    write_text(folder / LIST, text.getvalue())


def pieces(clip: EventClip) -> Iterator[tuple[str, int]]:
    """Split and first segment of every piece; those to learn from and those to judge on share no segment."""
    count = len(clip.spectra[0])
    border = max(WINDOW, round(LEARNED * count))
    for at in range(count - WINDOW + 1):
        if at + WINDOW <= border:
            yield "train", at
        elif at >= border:
            yield "test", at


def tested_clips(net: EventNet, clips: Sequence[EventClip]) -> list[Cell]:
    """The negative-sound test on the parts that were not learned from: overlap with the map as it was."""
    parts = []
    for clip in clips:
        at = max(WINDOW, round(LEARNED * len(clip.spectra[0])))
        cut = {name: getattr(clip, name)[:, at:] for name in ("frames", "features", "spectra", "pictured", "audible")}
        parts.append(replace(clip, **cut))
    rows = list(changes(own_reader(net), parts))
    result = []
    for name in dict.fromkeys(row.sound for row in rows):
        own = [row for row in rows if row.sound == name]
        curves = [row.when for row in own if row.when is not None]
        result.append(
            {
                "sound": name,
                "where": sum(row.where for row in own) / len(own),
                "when": sum(curves) / len(curves) if curves else None,
                "same": sum(row.same for row in own) / len(own),
            }
        )
    return result


def tested_scenes(net: EventNet, count: int) -> list[Cell]:
    """The negative-sound test on drawn scenes: mass on the former source."""
    drawn = scenes(WorldConfig(), HELD_OUT, count)
    return [
        {"sound": one.sound, "mass": one.mass.mean, "area": one.area, "same": one.same}
        for one in negative_reader(encoded_reader(net), drawn)
    ]
