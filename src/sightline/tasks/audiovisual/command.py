"""The verbs of events: `train events`, `events test`, `events draw`."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.common.settings import Settings, setting
from sightline.tasks.audiovisual.recipe import EventRecipe
from sightline.terminal.config import Config, command_line
from sightline.terminal.guard import WEIGHTS, RunOptions, training
from sightline.terminal.screen import picture_bar, say, say_json, say_note, say_table

if TYPE_CHECKING:
    from sightline.tasks.audiovisual.metrics.clips import Change
    from sightline.training.reporter import Reporter


@dataclass(frozen=True, kw_only=True)
class EventRun(RunOptions):
    """Where this training writes."""

    out: Path = setting(Path("events.safetensors"), WEIGHTS)
    features: Path | None = setting(
        None, "Folder of frozen features to learn from instead of drawn scenes: labels.csv and .npz, or AVE's HDF5."
    )


def events(ctx: typer.Context, run: EventRun, recipe: EventRecipe, config: Config = None) -> None:
    """Train a network that names events in video with sound, and shows where and when.

    It learns from drawn scenes, or from frozen features of clips (`--features`, made by `sightline events features`).

    Interrupted? The same command goes on after the last finished epoch, to the same weights bit for bit.
    """
    with training(run.folder):
        from sightline.tasks.audiovisual.train import train_events
        from sightline.terminal.lines import EpochLines
        from sightline.training.reporter import Reporter

        chosen = recipe.toy() if run.toy else recipe
        lines = EpochLines(chosen.loop.epochs, {"loss": "train/loss", "accuracy": "val/accuracy"})
        reporter = Reporter(picture_bar, lines, sys.stderr.isatty(), command_line(ctx))
        if run.features is not None:
            _train_features(run, chosen, reporter)
            return
        judged = train_events(run.out, chosen, run.folder, reporter=reporter)
    if judged is None:
        return
    from sightline.tasks.audiovisual.metrics.measure import record
    from sightline.tasks.audiovisual.report.card import verdict

    files = [run.out, run.out.with_suffix(".md"), run.out.with_suffix(".html")]
    if run.as_json:
        say_json({**record(judged), "files": [str(path) for path in files]})
        return
    say(verdict(judged))
    for one in judged.negative[1:]:
        say(f"sound {one.sound}: mass on the former source {one.mass.mean:.3f}, its area {one.area:.3f}")
    say(f"{', '.join(map(str, files))} written")


def _train_features(run: EventRun, recipe: EventRecipe, reporter: Reporter) -> None:
    """From frozen features; the figures of what was written are said."""
    from sightline.tasks.audiovisual.features.train import FeatureExperiment
    from sightline.tasks.audiovisual.metrics.features import record
    from sightline.tasks.audiovisual.report.feature_card import feature_verdict

    experiment = FeatureExperiment(recipe, run.out, run.folder, reporter, folder=run.features or Path())
    figures = experiment.run()
    if figures is None:
        return
    files = [str(path) for path in (run.out, run.out.with_suffix(".md"), run.out.with_suffix(".html"))]
    if run.as_json:
        say_json({**record(figures), "files": files})
        return
    say(feature_verdict(figures, experiment.probe))
    say(f"{', '.join(files)} written")


@dataclass(frozen=True, kw_only=True)
class TestOptions(Settings):
    """What is tested."""

    PANEL = "What to test"

    weights: Path | None = setting(None, "Weights of a network of events (`sightline train events`).")
    model: str | None = setting(
        None, "Or any model of frames [b, t, 3, h, w] and spectra [b, s, m, f]: file.py:Net, module:build."
    )
    takes: str = setting(
        "frames,spectra",
        "What --model takes, in its order or by name (audio=wave,video=clip): frames, or clip [b, 3, t, h, w]; and "
        "spectra, spectrogram [b, t, f], image [b, 1, t, f], or wave at 16 kHz.",
    )
    method: str = setting("gradcam", "Explanation method for --model.")
    layer: str | None = setting(None, "Layer for --model. Default: the method's own choice.", "--layers")
    size: int = setting(24, "Short side of the frames for --model, in pixels.", low=4)
    seconds: float = setting(0.2, "Length of a segment of sound for --model.", above=0)
    scenes: int = setting(200, "Number of drawn scenes where no clip is named.", low=10)
    seed: int = setting(0, "Seed of the drawn scenes.", low=0)
    as_json: bool = setting(False, "The figures as JSON on standard output.", "--json")


def negative_test(
    options: TestOptions,
    clips: Annotated[
        list[Path] | None, typer.Argument(help="Clips with sound. Default: drawn scenes.", metavar="CLIP")
    ] = None,
) -> None:
    """The negative-sound test: does the map go away when the sound is swapped, silenced, shifted or off screen?"""
    from sightline.errors import InputError

    if (options.weights is None) == (options.model is None):
        raise InputError("name what is tested: --weights FILE of a network of events, or --model NAME of any other")
    if clips:
        _test_clips(options, clips)
    else:
        _test_scenes(options)


def _test_scenes(options: TestOptions) -> None:
    """On drawn scenes, where the source is known; a model that is brought is read scene by scene."""
    from sightline.tasks.audiovisual.explain.forms import Takes
    from sightline.tasks.audiovisual.explain.readers import encoded_reader, reader_of
    from sightline.tasks.audiovisual.metrics.negative import negative_sound
    from sightline.tasks.audiovisual.metrics.strangers import negative_reader
    from sightline.tasks.audiovisual.network.store import load_net
    from sightline.tasks.audiovisual.world import HELD_OUT, WorldConfig, scenes

    net = None if options.weights is None else load_net(options.weights)
    size = options.size if net is None or net.spec.encoder else net.spec.size
    config = WorldConfig(side=size, seconds=options.seconds if net is None else net.spec.seconds)
    drawn = scenes(config, HELD_OUT, options.scenes, seed=options.seed)
    if net is not None and not net.spec.picture_features:
        rows = list(negative_sound(net, drawn))
    elif net is not None:
        rows = list(negative_reader(encoded_reader(net), drawn))
    else:
        from sightline.models.load import load_model

        model = load_model(options.model).model
        read = reader_of(model, method=options.method, layer=options.layer, takes=Takes.of(options.takes))
        rows = list(negative_reader(read, drawn))
    if options.as_json:
        say_json({"sounds": [{**asdict(one), "passes": one.passes} for one in rows], "there": rows[0].is_there})
        return
    say_table(
        ("sound", ">mass on the former source", ">its area", ">curve at the tone", ">same answer", "map"),
        (
            (
                one.sound,
                str(one.mass),
                f"{one.area:.3f}",
                "-" if one.moved != one.moved else f"{one.moved:.3f}",
                "-" if one.same != one.same else f"{one.same:.3f}",
                _verdict(one.passes, one.sound, there=rows[0].is_there),
            )
            for one in rows
        ),
    )


def _verdict(passes: bool, sound: str, *, there: bool) -> str:
    if sound.startswith("control"):
        return "uses no sound"
    if sound in ("as it is", "shifted"):
        return "is there" if not passes else "is not there"
    return "was never there" if not there else "goes away" if passes else "stays"


def _test_clips(options: TestOptions, paths: list[Path]) -> None:
    """On clips, by how much the map changes."""
    from sightline.tasks.audiovisual.explain.clip import read_event_clip
    from sightline.tasks.audiovisual.explain.forms import Takes
    from sightline.tasks.audiovisual.explain.readers import own_reader, reader_of
    from sightline.tasks.audiovisual.metrics.clips import changes, lacking
    from sightline.tasks.audiovisual.network.spec import EventSpec
    from sightline.tasks.audiovisual.network.store import load_net

    if options.weights is not None:
        net = load_net(options.weights)
        spec, read = net.spec, own_reader(net)
    else:
        from sightline.models.load import load_model

        spec = EventSpec(("any",), size=options.size, seconds=options.seconds)
        takes = Takes.of(options.takes)
        read = reader_of(load_model(options.model).model, method=options.method, layer=options.layer, takes=takes)
    clips = [read_event_clip(path, spec) for path in paths]
    # one clip without sound among many does not end the test of the others
    whole = [clip for clip in clips if not lacking(clip)]
    rows = list(changes(read, whole or clips))
    left = {str(clip.path): lacking(clip) for clip in clips if lacking(clip)}
    if options.as_json:
        changed = [{**asdict(one), "ignores_sound": one.ignores_sound} for one in rows]
        say_json({"changes": changed, "left_out": left})
        return
    say_table(
        ("clip", "sound", ">where: overlap", ">when: overlap", "same answer", ">its probability", "map"),
        (
            (
                one.clip,
                one.sound,
                f"{one.where:.3f}",
                "-" if one.when is None else f"{one.when:.3f}",
                "yes" if one.same else "no",
                f"{one.probability:.3f}",
                _change(one),
            )
            for one in rows
        ),
    )
    for path, what in left.items():
        say_note(f"{path} lacks {what} and is left out")


def _change(one: Change) -> str:
    from sightline.tasks.audiovisual.metrics.clips import EVEN

    if one.sound == EVEN:
        return "is even: says nothing" if one.even else "-"
    if one.even:
        return "was even"
    return "stays: the sound is not used" if one.ignores_sound else "changes"


@dataclass(frozen=True, kw_only=True)
class DrawOptions(Settings):
    """Which scenes are drawn, and where to."""

    PANEL = "What to write"

    out: Path = setting(Path("clips"), "Folder of the clips.")
    count: int = setting(4, "Number of clips.", low=1, high=1_000)
    seed: int = setting(0, "Seed of the world.", low=0)
    as_json: bool = setting(False, "Names and answers of the clips as JSON on standard output.", "--json")


def draw_clips(options: DrawOptions) -> None:
    """Write drawn scenes as clips with sound (.mkv), to look at and to explain."""
    from sightline.common.files import make_folder
    from sightline.data.ffmpeg import need_ffmpeg
    from sightline.tasks.audiovisual.report.player import save_scene
    from sightline.tasks.audiovisual.world import CLASSES, HELD_OUT, WorldConfig, scenes

    need_ffmpeg("writing clips")
    make_folder(options.out)
    drawn = scenes(WorldConfig(), HELD_OUT, options.count, seed=options.seed)
    records = []
    for number in range(options.count):
        answer = CLASSES[int(drawn.labels[number])]
        path = options.out / f"{number:03d}_{answer}.mkv"
        save_scene(drawn, number, path)
        records.append({"file": str(path), "event": answer})
        if not options.as_json:
            say(f"{path}")
    if options.as_json:
        say_json({"clips": records})
