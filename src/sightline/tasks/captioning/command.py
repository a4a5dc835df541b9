"""`sightline train captions` and `sightline caption`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.common.settings import Settings, setting
from sightline.tasks.captioning.recipe import CaptionRecipe
from sightline.terminal.config import Config, command_line
from sightline.terminal.guard import WEIGHTS, RunOptions, training
from sightline.terminal.screen import picture_bar, say, say_json, say_note, say_table

if TYPE_CHECKING:
    from sightline.tasks.captioning.explain.caption import Caption
    from sightline.tasks.captioning.explain.opened import Opened
    from sightline.tasks.captioning.network.captioner import Captioner


@dataclass(frozen=True, kw_only=True)
class CaptionRun(RunOptions):
    """What this training reads and where it writes."""

    out: Path = setting(Path("captioner.safetensors"), WEIGHTS)
    captions: Path | None = setting(
        None, "Captions in Karpathy's or COCO's layout; generated scenes if none.", panel="Data"
    )
    held_out_captions: Path | None = setting(
        None, "Captions to measure on; the file's own test or validation split if none.", panel="Data"
    )
    features: Path | None = setting(None, "Region features: TSV, HDF5, or a folder of npz and npy.", panel="Data")
    images: Path | None = setting(
        None, "Folder of the photos, to make grid features of; with --features only for their sizes.", panel="Data"
    )
    grid: str = setting(
        "imagenet", "Network of `sightline models` whose last grid of features is taken.", "--model", panel="Data"
    )


def captions(ctx: typer.Context, run: CaptionRun, recipe: CaptionRecipe, config: Config = None) -> None:
    """Train a captioner on captions with regions, or on generated scenes; measure and write it.

    Interrupted? The same command goes on after the last finished epoch.
    """
    with training(run.folder):
        from sightline.tasks.captioning.data.sources import CaptionFiles
        from sightline.tasks.captioning.train import train_captions
        from sightline.terminal.lines import EpochLines
        from sightline.training.reporter import Reporter

        chosen = recipe.toy() if run.toy else recipe
        epochs = chosen.loop.epochs + chosen.optim.critical_epochs
        lines = EpochLines(epochs, {"loss": "train/loss", "gain in CIDEr-D": "train/gain"})
        reporter = Reporter(picture_bar, lines, sys.stderr.isatty(), command_line(ctx))
        files = CaptionFiles(run.captions, run.held_out_captions, run.features, run.images, run.grid)
        measures = train_captions(run.out, chosen, run.work, files=files, reporter=reporter)
    if measures is None:
        return
    written = [str(run.out.with_suffix(end)) for end in (run.out.suffix, ".md", ".html")]
    if run.as_json:
        relations = {kind: hits.share for kind, hits in measures.relations}
        true = None if measures.true is None else measures.true.share
        say_json({**measures.scores.row(), "true": true, "relations": relations, "files": written})
        return
    from sightline.tasks.captioning.report import TITLES, verdict

    say(verdict(measures))
    for kind, hits in measures.relations:
        say(f"{TITLES[kind]}: {hits.share:.3f} of {hits.total} right (majority {hits.majority:.3f})")
    say(f"{', '.join(written)} written")


@dataclass(frozen=True, kw_only=True)
class CaptionOptions(Settings):
    """Which captioner, and what it does."""

    PANEL = "What to caption"

    weights: Path | None = setting(
        None, "A captioner: what `train captions` wrote. Default: the bundled one, of generated scenes."
    )
    score: str | None = setting(None, "A sentence whose words are scored instead of writing one.")
    beam: int = setting(3, "Sentences that are kept while writing; 1 is greedy.", low=1)
    picture: int | None = setting(None, "Number of the picture in a features file; the first if none.", low=0)
    images: Path | None = setting(
        None, "Folder of the photos of a features file: for their sizes, and the picture on the page."
    )
    scene: int = setting(0, "Seed of the generated scene, where no file is given.", low=0)
    method: str = setting("left-out", "How a word's regions are found; see the documentation of captions.")
    page: Path | None = setting(None, "Folder for a page that shows each word's regions.")
    geometry: Path | None = setting(None, "File for a picture of what attention has learnt of boxes: .png or .svg.")
    region: int | None = setting(
        None, "Region that looks in that picture, from 1; the one with most weight if none.", low=1
    )
    as_json: bool = setting(False, "Words with log-probabilities and regions as JSON.", "--json")


def caption(
    options: CaptionOptions,
    source: Annotated[
        Path | None,
        typer.Argument(help="A photo, or a file of region features; a generated scene if none.", metavar="INPUT"),
    ] = None,
) -> None:
    """Write a caption of a photo, of region features or of a generated scene, and show each word's regions.

    With --score, print the log-probability of each word of a given sentence.
    """
    from sightline.tasks.captioning.explain.caption import captioned
    from sightline.tasks.captioning.explain.opened import open_captioner, open_regions

    net = open_captioner(options.weights)
    opened = open_regions(net, source, number=options.picture, scene=options.scene, images=options.images)
    for note in opened.regions.notes:
        say_note(note)
    result = captioned(net, opened.regions, sentence=options.score, width=options.beam, method=options.method)
    for note in result.notes:
        say_note(note)
    _draw(net, opened, result, options)
    _tell(result, options)


def _draw(net: Captioner, opened: Opened, result: Caption, options: CaptionOptions) -> None:
    """The page, and the picture of learned geometry."""
    if options.page is None and options.geometry is None:
        return
    from sightline.tasks.captioning.explain.geometry import learned_geometry, region_most_seen, save_geometry
    from sightline.tasks.captioning.explain.page import write_page

    geometry, region = None, region_most_seen(result) if options.region is None else options.region - 1
    if options.geometry is not None or net.spec.attention.geometry:
        geometry = learned_geometry(net, opened.regions, region)
    if options.geometry is not None and geometry is not None:
        say_note(f"{save_geometry(geometry, options.geometry)} written: attention of region {region + 1} to boxes")
    if options.page is not None:
        write_page(options.page, result, opened.image, geometry=geometry)


def _tell(result: Caption, options: CaptionOptions) -> None:
    words = zip(result.words, result.logs, result.weights, strict=True)
    if options.as_json:
        records = [{"word": word, "log_probability": log, "regions": weights} for word, log, weights in words]
        page = None if options.page is None else str(options.page / "caption.html")
        say_json({"caption": " ".join(result.words), "log_probability": result.score, "words": records, "page": page})
        return
    say(" ".join(result.words))
    rows = [(word, f"{log:.3f}", result.most(place)) for place, (word, log, _) in enumerate(words)]
    say_table(("word", ">log-probability", "regions (share)"), [*rows, ("(end)", f"{result.end:.3f}", "")])
    say(f"log-probability of the sentence: {result.score:.3f}")
    if options.page is not None:
        say(f"page: {options.page / 'caption.html'}")
