"""The verb `events features`: clips as frozen features of any model's layer, to learn events from."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.common.settings import Settings, setting
from sightline.errors import InputError
from sightline.terminal.screen import picture_bar, say, say_error, say_json

if TYPE_CHECKING:
    from torch import Tensor

    from sightline.tasks.audiovisual.data.encoding import FrameEncoder


@dataclass(frozen=True, kw_only=True)
class FeatureOptions(Settings):
    """Which features are made, and where to."""

    PANEL = "What to write"

    out: Path = setting(Path("features"), "Folder of the features.")
    model: str = setting("imagenet", "Model that encodes each frame (`sightline models`).")
    layer: str | None = setting(None, "Layer of the model whose places are read. Default: its last block.")
    size: int | None = setting(
        None, "Sides of the frames for the model, in pixels. Default: those that the model was made for.", low=8
    )
    seconds: float = setting(0.5, "Length of a segment of sound, and time from a frame to the next.", above=0)
    scenes: int = setting(0, "Drawn scenes beside, or instead of, the clips; their labels are written too.", low=0)
    seed: int = setting(0, "Seed of the drawn scenes.", low=0)
    as_json: bool = setting(False, "What was written as JSON on standard output.", "--json")


def make_features(
    options: FeatureOptions,
    clips: Annotated[list[Path] | None, typer.Argument(help="Clips with sound.", metavar="CLIP")] = None,
) -> None:
    """Write clips as features of a frozen model and log-mel sound; with labels.csv they are learned from.

    Interrupted? Clips whose features are there are passed over.
    """
    from sightline.common.files import make_folder
    from sightline.tasks.audiovisual.data.encoding import frame_encoder
    from sightline.tasks.audiovisual.data.feature_folder import write_facts, write_features
    from sightline.tasks.audiovisual.data.feature_set import FeatureFacts

    paths = clips or []
    if not paths and not options.scenes:
        raise InputError("name clips, or ask for drawn scenes with --scenes N")
    if twice := [path.stem for path in paths if sum(other.stem == path.stem for other in paths) > 1]:
        raise InputError(f"two clips are called {twice[0]!r}, and features are kept by that name; rename one")
    size = (options.size or 0, options.size or 0)
    encoder = frame_encoder(options.model, options.layer, size)
    make_folder(options.out)
    seconds = 0.2 if options.scenes else options.seconds
    facts = FeatureFacts(options.model, encoder.layer, encoder.size, seconds, drawn=not paths)
    _check_facts(options.out, facts)
    write_facts(options.out, facts)
    errors: list[dict[str, str]] = []
    names: list[str] = []
    with picture_bar() as bar:
        todo = [path for path in paths if not (options.out / f"{path.stem}.npz").exists()]
        for path, part in _of_clips(todo, encoder, seconds, errors):
            write_features(options.out / f"{path.stem}.npz", *part)
            bar(1)
        names += [path.stem for path in paths if (options.out / f"{path.stem}.npz").exists()]
        for name, part in _of_scenes(options, encoder):
            write_features(options.out / f"{name}.npz", *part)
            names.append(name)
            bar(1)
    _report(options, names, errors)


def _check_facts(folder: Path, facts: object) -> None:
    """Features of another model are not mixed with these."""
    from sightline.tasks.audiovisual.data.feature_folder import FACTS, read_facts

    if (folder / FACTS).exists() and (old := read_facts(folder)) != facts:
        raise InputError(f"{str(folder)!r} holds features made otherwise ({old}); name another folder")


def _of_clips(
    paths: Sequence[Path], encoder: FrameEncoder, seconds: float, errors: list[dict[str, str]]
) -> Iterator[tuple[Path, tuple[Tensor, Tensor]]]:
    """Features of each clip; those that cannot be read are reported and passed over."""
    from sightline.tasks.audiovisual.data.encoding import as_frames
    from sightline.tasks.audiovisual.explain.clip import read_event_clip
    from sightline.tasks.audiovisual.network.spec import EventSpec

    for path in paths:
        try:
            clip = read_event_clip(path, EventSpec(("any",), seconds=seconds))
            if clip.footage is None:
                raise InputError(f"{str(path)!r} has no picture, so it has no features of frames; leave it out")
        except InputError as problem:
            errors.append({"source": str(path), "error": str(problem)})
            continue
        pictures = encoder(as_frames(clip.footage.frames[clip.ruler.frames]))
        yield path, (pictures, clip.spectra[0])


def _of_scenes(options: FeatureOptions, encoder: FrameEncoder) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Features of drawn scenes, whose list of labels is written; a fifth of them is to be measured on."""
    from sightline.common.files import write_text
    from sightline.tasks.audiovisual.data.feature_folder import LIST
    from sightline.tasks.audiovisual.world import CLASSES, WorldConfig, scenes

    if not options.scenes:
        return
    config = WorldConfig(negatives=0.15)
    drawn = scenes(config, 0, options.scenes, seed=options.seed)
    held = options.scenes - max(1, options.scenes // 5)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("file", "label", "start", "end", "split"))
    frames, spectra = drawn.inputs()
    for number in range(options.scenes):
        name, answer = f"scene_{number:05d}", int(drawn.labels[number])
        event = CLASSES[answer] if answer < len(CLASSES) else ""
        spans = drawn.when[number].nonzero()[:, 0].tolist()
        times = (f"{spans[0] * config.seconds:g}", f"{(spans[-1] + 1) * config.seconds:g}") if spans else ("", "")
        table.writerow((name, event, *times, "test" if number >= held else "train"))
        yield name, (encoder(frames[number]), spectra[number])
    write_text(options.out / LIST, text.getvalue())


def _report(options: FeatureOptions, names: Sequence[str], errors: Sequence[dict[str, str]]) -> None:
    from sightline.tasks.audiovisual.data.feature_folder import LIST

    if options.as_json:
        say_json({"folder": str(options.out), "clips": list(names), "errors": list(errors)})
    else:
        say(f"features of {len(names)} clips are in {options.out}")
        if not (options.out / LIST).exists():
            say(
                f"write {options.out / LIST} with the columns file and label, then: sightline train events --features"
            )
    for error in errors:
        say_error(error["error"])
    if errors:
        raise typer.Exit(1)
