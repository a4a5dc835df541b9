"""`sightline explain`: photos in, the flow of attention out."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli.explain_options import InputOptions, MatchOptions, OutputOptions, TargetOptions, job_of
from sightline.common.text import printable_name
from sightline.terminal.model import LabelledModelOptions
from sightline.terminal.screen import progress, say, say_error, say_json, say_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sightline.cli.job import ExplainJob, JobResult
    from sightline.cli.texts import Texts
    from sightline.models.load import LoadedModel

DRAWN = "birdnet"
"""The network that knows drawn birds only; without a photo it shows a scene of them."""


def explain(
    model: LabelledModelOptions,
    inputs: InputOptions,
    target: TargetOptions,
    match: MatchOptions,
    output: OutputOptions,
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Photos and folders of photos; without a photo and a model, the bundled bird network and its scene.",
            metavar="PHOTO",
        ),
    ] = None,
) -> None:
    """Show where a network looks in photos: at every layer, for any class."""
    from sightline.cli.job import JobResult, gather
    from sightline.cli.prepared import all_photos
    from sightline.cli.texts import run_texts
    from sightline.cli.truth import masks_of, truths_of
    from sightline.models.load import default_model, load_model

    if _explains_itself(photos or [], model, target, output):
        return
    paths, job, result = _photos(photos, model.model), job_of(inputs, target, match, output), JobResult()
    _check(job)
    texts = _texts(output, match)
    files = gather(paths, result, job.levels)
    _check_options(job, files, match, result)
    job = replace(job, masks=masks_of(files, target.masks), truths=truths_of(files, target.truth))
    others = gather(match.gallery, result) if match.gallery else []
    name = default_model(model.model, model.weights) if photos else model.model
    network = load_model(name, **model.arguments(), seed=target.seed)
    loaded = _adjusted(network, inputs, pictures=all_photos(files))
    for note in () if inputs.complete else loaded.notes:
        say_note(note)
    with _quiet("sightline.api.methods"), progress() as bar:  # what is left out is said once, at the end
        task = bar.add_task("explaining", total=len(files))
        job = _with_support(job, match.support, loaded, result)
        if texts is not None:
            count = run_texts(files, loaded, job, texts, result=result, step=lambda: bar.update(task, advance=1))
        else:
            _run(files, others, loaded, job, result, lambda: bar.update(task, advance=1))
    if texts is not None:
        say(f"{printable_name(str(texts.path))} written: {count} rows")
    _tell(result, loaded, as_json=output.as_json)


def _texts(output: OutputOptions, match: MatchOptions) -> Texts | None:
    """Where texts of the whole set go; None where pages are written.

    Raises:
        InputError: options that do not go together, or an ending that is not known.
        ResultError: the file is there already.
    """
    from sightline.cli.texts import Texts
    from sightline.errors import InputError

    if output.texts is None:
        return None
    if output.formats or output.as_json or match.gallery or match.similarity:
        raise InputError(
            "--texts writes what the network says of each picture instead of pages; leave --format, --json, "
            "--similarity and --gallery out"
        )
    texts = Texts(output.texts)
    texts.check()
    return texts


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """A logger that tells errors only inside."""
    log = logging.getLogger(name)
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _explains_itself(
    photos: list[Path], model: LabelledModelOptions, target: TargetOptions, output: OutputOptions
) -> bool:
    """Hand the files to what registered for a network that explains itself; False where none did."""
    from sightline.cli.job import FORMATS
    from sightline.terminal.folder import check_writable
    from sightline.terminal.intrinsic import Request, intrinsic_for
    from sightline.terminal.options import selection

    own = intrinsic_for(model.model, model.weights, photos)
    if own is None:
        return False
    if not photos:
        raise typer.BadParameter("name at least one clip", param_hint="PHOTO...")
    check_writable(output.out)
    request = Request(
        files=photos,
        weights=None if model.weights is None else Path(model.weights),
        out=output.out,
        formats=tuple(selection(output.formats, FORMATS, option="--format")) or Request.formats,
        targets=tuple(target.target or ()),
        as_json=output.as_json,
    )
    if not own.run(request):
        raise typer.Exit(1)
    return True


def _photos(photos: list[Path] | None, model: str | None) -> list[Path]:
    """The photos that were named; without any, a drawn scene for the bundled network of drawn birds."""
    if photos:
        return photos
    if model not in (None, DRAWN):
        raise typer.BadParameter("name at least one photo or folder", param_hint="PHOTO...")
    from importlib.resources import files

    return [Path(str(files("sightline") / "assets" / "scene.png"))]


def _check_options(job: ExplainJob, files: list[Path], match: MatchOptions, result: JobResult) -> None:
    """Find out before anything is loaded whether the photos are as many as the question needs.

    Raises:
        InputError: they are not.
    """
    from sightline.cli.tiled import check_tiles
    from sightline.errors import InputError

    check_tiles(job, compared=job.similarity is not None or match.support is not None)
    pair = job.similarity is not None and not match.gallery and match.support is None
    if pair and result.errors:
        raise InputError("; ".join(error["error"] for error in result.errors))
    if pair and len(files) != 2:
        raise InputError(
            f"--similarity compares two photos, but {len(files)} were given; give two, or add --gallery FOLDER to "
            "search for the best match of each"
        )
    if (pair or match.gallery) and (job.target is not None or job.contrast is not None or job.score != "logit"):
        raise InputError(
            "a match of two photos has no class; leave --target, --contrast, --topk and --target-score out"
        )


def _with_support(job: ExplainJob, support: Path | None, loaded: LoadedModel, result: JobResult) -> ExplainJob:
    """The job with prototypes as its target, where examples are given."""
    if support is None:
        return job
    from sightline.cli.match import prototypes

    return replace(
        job, target=prototypes(support, loaded, job, result), contrast=None, contrast_weight=None, score="logit"
    )


def _run(
    files: list[Path],
    gallery: list[Path],
    loaded: LoadedModel,
    job: ExplainJob,
    result: JobResult,
    step: Callable[[], None],
) -> None:
    """Explain photos one by one, a pair of them, or each with its match."""
    from sightline.cli.job import run
    from sightline.cli.match import run_pair, run_retrieval
    from sightline.targets import Target

    if gallery:
        run_retrieval(files, gallery, loaded, job, result=result, step=lambda path: step())
    elif job.similarity is not None and not isinstance(job.target, Target):
        run_pair(files, loaded, job, result=result)
    else:
        run(files, loaded, job, result=result, step=lambda path: step())


def _check(job: ExplainJob) -> None:
    """Find out what cannot be result before anything is loaded."""
    from importlib.util import find_spec

    from sightline.errors import MissingExtraError
    from sightline.terminal.folder import check_writable

    check_writable(job.out)
    if "mp4" in job.formats and find_spec("imageio_ffmpeg") is None:
        raise MissingExtraError("imageio-ffmpeg", "video", "--format mp4")


def _adjusted(loaded: LoadedModel, inputs: InputOptions, *, pictures: bool) -> LoadedModel:
    """The model with its preprocessing as the user wants it."""
    from sightline.terminal.options import numbers_of, size_of

    channels = loaded.preprocess.channels
    preprocess = loaded.preprocess.with_(
        size=size_of(inputs.size),
        mean=numbers_of(inputs.mean, channels, option="--mean"),
        std=numbers_of(inputs.std, channels, option="--std"),
        fit=inputs.fit,
    )
    adjusted = replace(
        loaded, preprocess=preprocess, provenance={**loaded.provenance, "preprocess": preprocess.record()}
    )
    if inputs.size is not None and pictures:
        _try_size(adjusted)
    return adjusted


def _try_size(loaded: LoadedModel) -> None:
    """One forward of an empty picture, to find out whether the network takes the size that the user wants.

    Raises:
        InputError: it does not.
    """
    import torch

    from sightline.errors import InputError

    height, width = loaded.preprocess.size
    parameter = next(loaded.model.parameters())
    try:
        with torch.inference_mode():
            loaded.model(parameter.new_zeros(1, loaded.preprocess.channels, height, width))
    except Exception as problem:  # a network may raise anything on a size that it was not made for
        reason = next(iter(str(problem).splitlines()), "") or type(problem).__name__
        raise InputError(
            f"{loaded.name} cannot take an input of {height} x {width} ({reason}); leave --size out, or build the "
            f"network for it where it allows that: --model-arg img_size={height}"
        ) from problem


def _tell(result: JobResult, loaded: LoadedModel, *, as_json: bool) -> None:
    """Say what came of it; exit code 1 if a photo could not be read."""
    from sightline._version import __version__
    from sightline.terminal.summary import say_summary

    if as_json:
        facts = {
            "photos": result.photos,
            "index": result.index,
            "errors": result.errors,
            "left_out": result.left_out,
        }
        say_json({"sightline": __version__, "model": loaded.provenance, **facts})
    elif result.photos:
        say_summary(result.photos, index=result.index)
    for method, reason in result.left_out.items():
        say_note(f"{method} was left out: {reason}")
    for photo in result.photos:
        for note in photo["notes"]:
            say_note(f"{photo['source']}: {note}")
    for error in result.errors:
        say_error(error["error"])
    if result.errors:
        raise typer.Exit(1)
