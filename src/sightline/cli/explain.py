"""`sightline explain`: photos in, the flow of attention out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.terminal.screen import progress, say_error, say_json, say_note

if TYPE_CHECKING:
    from collections.abc import Callable

    from sightline.cli.job import Done, Wish
    from sightline.models.load import LoadedModel

MODEL, LOOK, MATCH, OUT = "Model", "What to look for", "What to compare", "What to write"


def explain(
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Photos and folders of photos; none, and no model, shows the bundled scene.", metavar="PHOTO"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="resnet50, timm:resnet50, ...; the bundled bird model if none.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="A weights file, or 'random'; the published weights if none.", rich_help_panel=MODEL),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Class names: .txt with one per line, .csv or .json.", rich_help_panel=MODEL)
    ] = None,
    model_arg: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE for the network's builder; repeat for more.", rich_help_panel=MODEL),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Input size: 224, or 224x320 for height x width.", rich_help_panel=MODEL)
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Mean per channel in 0..1: 0.5, or 0.485,0.456,0.406.", rich_help_panel=MODEL)
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="Standard deviation per channel, likewise.", rich_help_panel=MODEL)
    ] = None,
    fit: Annotated[
        str | None, typer.Option(help="crop, stretch or pad the photo to the input.", rich_help_panel=MODEL)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=MODEL)] = "auto",
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            "-t",
            help="A class by name or index, or top3; repeat for more. Default: the top class.",
            rich_help_panel=LOOK,
        ),
    ] = None,
    contrast: Annotated[
        str | None,
        typer.Option(help="Why the target rather than this class; or 'runner-up', 'others'.", rich_help_panel=LOOK),
    ] = None,
    target_score: Annotated[
        str, typer.Option(help="What is explained of a class: logit or log-softmax.", rich_help_panel=LOOK)
    ] = "logit",
    similarity: Annotated[
        str | None,
        typer.Option(
            help="Why two photos match: cosine, dot or euclidean, of their embeddings.", rich_help_panel=MATCH
        ),
    ] = None,
    embedding: Annotated[
        str | None,
        typer.Option(
            help="Module whose output is the embedding, or 'none' for the model's output; found if not said.",
            rich_help_panel=MATCH,
        ),
    ] = None,
    gallery: Annotated[
        list[Path] | None,
        typer.Option(help="Photos to seek each photo's best match in; repeat for more.", rich_help_panel=MATCH),
    ] = None,
    support: Annotated[
        Path | None,
        typer.Option(help="Few-shot: a folder with a folder of examples for each class.", rich_help_panel=MATCH),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="One or more methods (`sightline methods`), with commas. Default: lrp.", rich_help_panel=LOOK
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="METHOD.NAME=VALUE, scorecam.groups=64 for example; repeat for more.", rich_help_panel=LOOK
        ),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            help="all, last, convs, or layer names and wildcards (`sightline layers`).", rich_help_panel=LOOK
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Where the object is, bright on dark: a picture for one photo, or a folder with one of each name.",
            rich_help_panel=LOOK,
        ),
    ] = None,
    topk: Annotated[
        int | None,
        typer.Option(help="Explain the k highest classes; the same as --target topK.", min=1, rich_help_panel=LOOK),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of whatever is random.", rich_help_panel=LOOK)] = 0,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Every photo gets a folder of its own in here.", rich_help_panel=OUT)
    ] = Path("sightline_out"),
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="png, gif, mp4, html, arrays, with commas. Default: png,html,arrays.",
            rich_help_panel=OUT,
        ),
    ] = None,
    opacity: Annotated[
        float | None, typer.Option(help="Of the maps over the photo, 0..1.", min=0.0, max=1.0, rich_help_panel=OUT)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Photos that go through the network together.", min=1, rich_help_panel=OUT)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The summary as JSON on standard output.", rich_help_panel=OUT)
    ] = False,
) -> None:
    """Show where a network looks in photos: at every layer, for any class."""
    from sightline.cli.job import FORMATS, Done, Wish, gather, masks_of
    from sightline.explainers.default import DEFAULT
    from sightline.terminal.options import arguments_of, chosen, device_of, listed, method_options, one_of

    paths = _photos(photos, model)
    methods = tuple(listed(method)) or None
    wish = Wish(
        out=out,
        formats=tuple(chosen(formats, FORMATS, option="--format")) or Wish.formats,
        target=_target(target, topk, contrast),
        contrast=contrast,
        score=one_of(target_score, ("logit", "log-softmax"), option="--target-score"),
        similarity=_similarity(similarity, gallery, support),
        embedding=embedding,
        methods=methods,
        options=method_options(option, methods or (DEFAULT,)),
        layers=listed(layers) or None,
        batch_size=batch_size,
        opacity=opacity,
        seed=seed,
    )
    _check(wish)
    done = Done()
    files = gather(paths, done)
    _check_company(wish, files, gallery, support, done)
    wish = replace(wish, masks=masks_of(files, masks))
    others = gather(gallery, done) if gallery else []
    from sightline.models.load import load_model

    loaded = load_model(
        model, weights=weights, labels=labels, model_args=arguments_of(model_arg), device=device_of(device), seed=seed
    )
    loaded = _adjusted(loaded, size=size, mean=mean, std=std, fit=fit)
    if size is not None:
        _try_size(loaded)
    with progress() as bar:
        task = bar.add_task("explaining", total=len(files))
        _run(
            files,
            others,
            loaded,
            _with_support(wish, support, loaded, done),
            done,
            lambda: bar.update(task, advance=1),
        )
    _tell(done, loaded, as_json=as_json)


def _photos(photos: list[Path] | None, model: str | None) -> list[Path]:
    """The photos that were named, or the bundled scene where nothing at all was."""
    if photos:
        return photos
    if model is not None:
        raise typer.BadParameter("name at least one photo or folder", param_hint="PHOTO...")
    from importlib.resources import files

    return [Path(str(files("sightline") / "assets" / "scene.png"))]


def _target(target: list[str] | None, topk: int | None, contrast: str | None) -> str | list[str] | None:
    if topk is not None:
        if target or contrast:
            raise typer.BadParameter("it excludes --target and --contrast", param_hint="--topk")
        return f"top{topk}"
    if not target:
        return None
    return target[0] if len(target) == 1 else target


def _similarity(similarity: str | None, gallery: list[Path] | None, support: Path | None) -> str | None:
    """How embeddings are compared: as the user says, or by the cosine in a gallery."""
    from sightline.targets import SIMILARITIES
    from sightline.terminal.options import one_of

    if gallery and support:
        raise typer.BadParameter("it excludes --gallery", param_hint="--support")
    if similarity is None:
        return "cosine" if gallery else None
    return str(one_of(similarity, tuple(SIMILARITIES), option="--similarity"))


def _check_company(
    wish: Wish, files: list[Path], gallery: list[Path] | None, support: Path | None, done: Done
) -> None:
    """Find out before anything is loaded whether the photos are as many as the question needs.

    Raises:
        InputError: they are not.
    """
    from sightline.errors import InputError

    pair = wish.similarity is not None and not gallery and support is None
    if pair and done.errors:
        raise InputError("; ".join(error["error"] for error in done.errors))
    if pair and len(files) != 2:
        raise InputError(
            f"--similarity compares two photos, but {len(files)} were given; give two, or add --gallery FOLDER to "
            "seek each photo's best match"
        )
    if (pair or gallery) and (wish.target is not None or wish.contrast is not None or wish.score != "logit"):
        raise InputError(
            "a match of two photos has no class; leave --target, --contrast, --topk and --target-score out"
        )


def _with_support(wish: Wish, support: Path | None, loaded: LoadedModel, done: Done) -> Wish:
    """The wish with prototypes as its target, where examples are given."""
    if support is None:
        return wish
    from sightline.cli.match import prototypes

    return replace(wish, target=prototypes(support, loaded, wish, done), contrast=None, score="logit")


def _run(
    files: list[Path], gallery: list[Path], loaded: LoadedModel, wish: Wish, done: Done, step: Callable[[], None]
) -> None:
    """Explain photos one by one, a pair of them, or each with its match."""
    from sightline.cli.job import run
    from sightline.cli.match import run_pair, run_retrieval
    from sightline.targets import Target

    if gallery:
        run_retrieval(files, gallery, loaded, wish, done=done, step=lambda path: step())
    elif wish.similarity is not None and not isinstance(wish.target, Target):
        run_pair(files, loaded, wish, done=done)
    else:
        run(files, loaded, wish, done=done, step=lambda path: step())


def _check(wish: Wish) -> None:
    """Find out what cannot be done before anything is loaded."""
    from importlib.util import find_spec

    from sightline.errors import MissingExtraError
    from sightline.terminal.folder import check_writable

    check_writable(wish.out)
    if "mp4" in wish.formats and find_spec("imageio_ffmpeg") is None:
        raise MissingExtraError("imageio-ffmpeg", "video", "--format mp4")


def _adjusted(
    loaded: LoadedModel, *, size: str | None, mean: str | None, std: str | None, fit: str | None
) -> LoadedModel:
    """The model with its preprocessing as the user wants it."""
    from sightline.terminal.options import numbers_of, size_of

    channels = loaded.preprocess.channels
    preprocess = loaded.preprocess.with_(
        size=size_of(size),
        mean=numbers_of(mean, channels, option="--mean"),
        std=numbers_of(std, channels, option="--std"),
        fit=fit,
    )
    provenance = {**loaded.provenance, "preprocess": preprocess.record()}
    return replace(loaded, preprocess=preprocess, provenance=provenance)


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


def _tell(done: Done, loaded: LoadedModel, *, as_json: bool) -> None:
    """Say what came of it; exit code 1 if a photo could not be read."""
    from sightline._version import __version__
    from sightline.terminal.summary import say_summary

    if as_json:
        facts = {"photos": done.photos, "index": done.index, "errors": done.errors}
        say_json({"sightline": __version__, "model": loaded.provenance, **facts})
    elif done.photos:
        say_summary(done.photos, index=done.index)
    for photo in done.photos:
        for note in photo["notes"]:
            say_note(f"{photo['source']}: {note}")
    for error in done.errors:
        say_error(error["error"])
    if done.errors:
        raise typer.Exit(1)
