"""What `sightline explain` can be asked for, by panel, and the job that it makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sightline.cli.job import FORMATS, ExplainJob
from sightline.common.numbers import SEEDS
from sightline.common.settings import Settings, setting
from sightline.terminal.options import method_options, one_of, selection

if TYPE_CHECKING:
    from sightline.targets import Target


@dataclass(frozen=True, kw_only=True)
class InputOptions(Settings):
    """How photos become the model's input."""

    PANEL = "Model"

    size: str | None = setting(None, "Input size: 224, or 224x320 for height x width.")
    mean: str | None = setting(None, "Mean per channel in 0..1: 0.5, or 0.485,0.456,0.406.")
    std: str | None = setting(None, "Standard deviation per channel, likewise.")
    fit: str | None = setting(None, "crop, stretch or pad the photo to the input.")
    white: float | None = setting(None, "Value that is white in files of more than 8 bits: 4095 of a 12-bit camera.")
    black: float | None = setting(None, "Value that is black in them: -1000 of a CT, for air.")
    tiles: int | None = setting(
        None,
        "Read a large photo in tiles of so many of its pixels, such as 512, with one map over all.",
        low=1,
        panel="Large photos",
    )
    tile_overlap: float = setting(
        0.25, "Share of a tile's side that neighbours have in common, at least.", low=0, panel="Large photos"
    )
    frames: int | None = setting(
        None, "Frames of a clip, spread evenly; a folder of pictures is a clip then. A video's default: 16.", low=1
    )

    @property
    def complete(self) -> bool:
        """Whether the user says all of it, so that nothing had to be assumed."""
        return None not in (self.size, self.mean, self.std)

    @property
    def levels(self) -> dict[str, float | None]:
        """What `open_input` takes beside the file."""
        return {"black": self.black, "white": self.white, "frames": self.frames}


@dataclass(frozen=True, kw_only=True)
class TargetOptions(Settings):
    """Which decision is explained, and how."""

    PANEL = "What to explain"

    target: list[str] | None = setting(
        None, "A class by name or index, or top3; repeat for more. Default: the top class."
    )
    box: list[str] | None = setting(
        None, "Of a detector: x0,y0,x1,y1[,CLASS] in pixels of the photo, or top3; repeat for more."
    )
    segment: list[str] | None = setting(None, "Of a segmenter: a class where it is, or top3; repeat for more.")
    text: list[str] | None = setting(None, "Of a model of images and text: a sentence; repeat for more.")
    contrast: str | None = setting(
        None, "Why the target rather than this class; or 'runner-up', 'others', 'closest:3'."
    )
    contrast_weight: float | None = setting(None, "How much the closest classes weigh. Default: 0.6.", low=0)
    probabilities: str = setting(
        "auto", "What the outputs are: softmax, sigmoid, given, none, or auto (read off the model, else softmax)."
    )
    target_score: str = setting("logit", "What is explained of a class: logit or log-softmax.")
    method: tuple[str, ...] = setting(
        (),
        "One or more methods (`sightline methods`), with commas. Default: SIGHTLINE_METHOD, or lrp.",
        panel="Method",
    )
    option: list[str] | None = setting(
        None, "METHOD.NAME=VALUE, scorecam.groups=64 for example; repeat for more.", panel="Method"
    )
    layers: tuple[str, ...] = setting(
        (), "all, last, convs, or layer names and wildcards (`sightline layers`).", panel="Method"
    )
    masks: Path | None = setting(
        None,
        "Where the object is, bright on dark: a picture for one photo, or a folder with one of each name.",
        panel="What is known of the photos",
    )
    truth: str | None = setting(
        None,
        "True classes: a CSV file with the columns image and label, or 'folders' for the folders' names.",
        panel="What is known of the photos",
    )
    set: list[str] | None = setting(
        None, "Of a network that decides by attributes: 'bill colour=red', and see the decision; repeat for more."
    )
    topk: int | None = setting(None, "Explain the k highest classes; the same as --target topK.", low=1)
    seed: int = setting(0, "Seed of everything random.", low=0, high=SEEDS - 1, panel="Method")

    @property
    def classes(self) -> str | list[str] | Target | None:
        """The target as a job has it."""
        from sightline.cli.dense_targets import dense_target

        dense = dense_target(box=self.box, segment=self.segment, text=self.text)
        if dense is not None:
            if self.target or self.topk is not None:
                raise typer.BadParameter("it excludes --target and --topk", param_hint=dense[0])
            return dense[1]
        if self.topk is not None:
            if self.target or self.contrast:
                raise typer.BadParameter("it excludes --target and --contrast", param_hint="--topk")
            return f"top{self.topk}"
        if not self.target:
            return None
        return self.target[0] if len(self.target) == 1 else self.target


@dataclass(frozen=True, kw_only=True)
class MatchOptions(Settings):
    """What a photo is compared with."""

    PANEL = "What to compare"

    similarity: str | None = setting(None, "Why two photos match: cosine, dot or euclidean, of their embeddings.")
    embedding: str | None = setting(
        None,
        "Module whose output is the embedding, or 'none' for the model's output; found automatically if not given.",
    )
    gallery: list[Path] | None = setting(None, "Gallery to search for the best match; repeat for more.")
    support: Path | None = setting(None, "Few-shot: a folder with a folder of examples for each class.")

    @property
    def measure(self) -> str | None:
        """How embeddings are compared: as the user says, or by the cosine in a gallery."""
        from sightline.targets import SIMILARITIES

        if self.gallery and self.support:
            raise typer.BadParameter("it excludes --gallery", param_hint="--support")
        if self.similarity is None:
            return "cosine" if self.gallery else None
        return str(one_of(self.similarity, tuple(SIMILARITIES), option="--similarity"))


@dataclass(frozen=True, kw_only=True)
class OutputOptions(Settings):
    """What is written, and where."""

    PANEL = "What to write"

    out: Path = setting(Path("sightline_out"), "Every photo gets a folder of its own in here.")
    formats: tuple[str, ...] = setting(
        (), "png, gif, webp, mp4, html, arrays, with commas. Default: png,html,arrays.", "--format"
    )
    texts: Path | None = setting(
        None, "What the network says, a row per picture, instead of pages: a .csv, .json or .jsonl file."
    )
    cmap: str = setting("glow", "Colours of the maps: glow, cobalt, inferno or classic.")
    opacity: float = setting(1.0, "Factor on the opacity of the maps over the photo, 0..1.", low=0, high=1)
    batch_size: int | None = setting(None, "Photos that go through the network together.", low=1)
    as_json: bool = setting(False, "The summary as JSON on standard output.", "--json")


def job_of(inputs: InputOptions, target: TargetOptions, match: MatchOptions, output: OutputOptions) -> ExplainJob:
    """What is to be explained, before anything is read."""
    from sightline.api.methods import chosen
    from sightline.reports import CMAPS

    methods = target.method or None
    return ExplainJob(
        out=output.out,
        formats=tuple(selection(output.formats, FORMATS, option="--format")) or ExplainJob.formats,
        target=target.classes,
        contrast=target.contrast,
        contrast_weight=target.contrast_weight,
        probabilities=one_of(
            target.probabilities, ("auto", "softmax", "sigmoid", "none", "given"), option="--probabilities"
        ),
        score=one_of(target.target_score, ("logit", "log-softmax"), option="--target-score"),
        similarity=match.measure,
        embedding=match.embedding,
        methods=methods,
        options=method_options(target.option, chosen(methods).names),
        layers=list(target.layers) or None,
        levels=inputs.levels,
        batch_size=output.batch_size,
        cmap=one_of(output.cmap, tuple(CMAPS), option="--cmap"),
        opacity=output.opacity,
        seed=target.seed,
        changes=tuple(target.set or ()),
        tiles=inputs.tiles,
        overlap=inputs.tile_overlap,
    )
