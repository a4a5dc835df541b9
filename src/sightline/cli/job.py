"""The work behind `sightline explain`: photos in, a result folder for each, one index over all.

It knows nothing of what is printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sightline.cli.chunks import chunks
from sightline.cli.index import INDEX, card_of, make_index
from sightline.cli.tiled import check_size, in_tiles, together, write_tiles
from sightline.common.files import check_ours
from sightline.errors import InputError
from sightline.terminal.folder import SUMMARY, check_place, folder_names, whole_folder, write_summary
from sightline.terminal.summary import explanation_record

if TYPE_CHECKING:
    from torch import Tensor

    from sightline.data.openers import Input
    from sightline.models.load import LoadedModel
    from sightline.models.outputs import Probabilities
    from sightline.models.preprocess import Prepared
    from sightline.reports.index_page import Card
    from sightline.results import Explanations
    from sightline.targets import Score, Target

FORMATS = ("png", "gif", "webp", "mp4", "html", "arrays")
CHUNK = 4
"""Photos that go through the network together, where the user does not say."""


@dataclass(frozen=True)
class ExplainJob:
    """What is to be explained, and what is to be written.

    Args:
        out: folder in which each photo gets a folder of its own.
        formats: some of `FORMATS`.
        target: a class, several, or none for the top class; or a target that is made already.
        contrast: the class against which it is explained.
        contrast_weight: how much the closest classes weigh, where it is explained against those.
        score: what is explained of a class, its `logit` or its `log-softmax`.
        probabilities: what the model's outputs are; see `sightline.explain`.
        similarity: how embeddings are compared, where they are.
        embedding: where the embedding is read; None finds it.
        methods: registry names; None is the default.
        options: options of the methods, by method.
        layers: names, wildcards and the words that the adapter knows; None is each method's own choice.
        batch_size: photos, or tiles, per pass.
        masks: for each photo, a picture of where the object is; empty where that is not known.
        truths: for each photo, the name of its true class; empty where that is not known.
        levels: which values of deep files are black and white, and frames of a clip, as `open_input` takes them.
        cmap: colour map of the pictures.
        opacity: factor on the colour map's own opacity, 0..1.
        seed: seed of everything random.
        changes: attributes that are set otherwise, `name=value`.
        tiles: side of a tile in pixels of the photo; None shows the network the photo as it preprocesses it.
        overlap: share of a tile's side that neighbours have in common.
        indexed: whether an index over all photos is written, for which each gets a thumbnail.
    """

    out: Path
    formats: tuple[str, ...] = ("png", "html", "arrays")
    target: str | list[str] | Target | None = None
    contrast: str | None = None
    contrast_weight: float | None = None
    score: Score = "logit"
    probabilities: Probabilities = "auto"
    similarity: str | None = None
    embedding: str | None = None
    methods: tuple[str, ...] | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    layers: list[str] | None = None
    batch_size: int | None = None
    masks: Mapping[Path, Path] = field(default_factory=dict)
    truths: Mapping[Path, str] = field(default_factory=dict)
    levels: Mapping[str, float | None] = field(default_factory=dict)
    cmap: str = "glow"
    opacity: float = 1.0
    seed: int = 0
    changes: tuple[str, ...] = ()
    tiles: int | None = None
    overlap: float = 0.25
    indexed: bool = False

    @property
    def whites(self) -> Mapping[str, float | None]:
        """Which values of deep files are black and white, as `read_photo` takes them."""
        return {name: value for name, value in self.levels.items() if name in ("black", "white")}


@dataclass
class JobResult:
    """What came of it: a record per photo, what could not be read, and methods that do not fit the model."""

    photos: list[dict[str, Any]] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    index: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)


def gather(
    paths: Sequence[Path], result: JobResult, levels: Mapping[str, float | None] = MappingProxyType({})
) -> list[Path]:
    """The photos of files and folders; what is not there is noted, and raised if nothing is left.

    Args:
        paths: files and folders; where a number of frames is wished for, folders are clips and stay whole.
        result: what is not there is noted in it.
        levels: which values of deep files are black and white, and the number of frames.

    Raises:
        InputError: there is no photo at all.
    """
    from sightline.data.openers import find_inputs, open_input

    photos: dict[Path, None] = {}
    clips = levels.get("frames") is not None
    for path in paths:
        try:
            photos.update(dict.fromkeys([path] if clips and path.is_dir() else find_inputs([path])))
        except InputError as problem:
            result.errors.append({"source": str(path), "error": str(problem)})
    if not photos:
        raise InputError("; ".join(error["error"] for error in result.errors))
    if len(photos) == 1 and not result.errors:
        open_input(next(iter(photos)), **levels)  # a single bad photo is found out before a model is loaded
    return list(photos)


def run(
    photos: Sequence[Path], loaded: LoadedModel, job: ExplainJob, *, result: JobResult, step: Callable[[Path], None]
) -> JobResult:
    """Explain every photo and write its folder; photos that cannot be read are noted and passed over.

    Args:
        photos: files.
        loaded: the model.
        job: what to do.
        result: filled as the work goes on.
        step: called after each photo.

    Raises:
        SightlineError: whatever stands in the way of all of them.
    """
    folders = {photo: job.out / name for photo, name in zip(photos, folder_names(photos), strict=True)}
    names = display_names(photos)
    for folder in folders.values():
        check_place(folder)
    job = with_index(job, len(photos))
    with_others = bool(job.masks) and job.batch_size is None
    for chunk in chunks(photos, together(job, CHUNK), together=with_others):
        for photo, items in explained(list(readable(chunk, loaded, job, result)), loaded, job, names):
            record = _write(photo, items, folders[_path(photo)], loaded, job)
            result.left_out |= record["left_out"]
            result.photos.append(record)
            result.cards += [card_of(record)] if job.indexed else []
        for path in chunk:
            step(path)
    if job.indexed and result.photos:
        result.index = make_index(job.out, result.cards, result.errors)
    return result


def with_index(job: ExplainJob, photos: int) -> ExplainJob:
    """The job, with an index where there are several photos and pages are written.

    Raises:
        ResultError: a file that is not ours has the index's name.
    """
    job = replace(job, indexed=photos > 1 and "html" in job.formats)
    if job.indexed:
        check_ours(job.out / INDEX)
    return job


def readable(chunk: Sequence[Path], loaded: LoadedModel, job: ExplainJob, result: JobResult) -> Iterator[Input]:
    """Files as inputs; what cannot be read is noted."""
    from sightline.data.openers import open_input

    for path in chunk:
        try:
            photo = open_input(path, **job.levels)
            check_size(photo, job, loaded.preprocess.size)
            yield photo
        except InputError as problem:
            result.errors.append({"source": str(path), "error": str(problem)})


def display_names(photos: Sequence[Path]) -> dict[Path, str]:
    """What each photo is called in its result: its file name, or the path where two have the same name."""
    count = Counter(photo.name for photo in photos)
    return {photo: photo.name if count[photo.name] == 1 else str(photo) for photo in photos}


def explained(
    photos: Sequence[Input], loaded: LoadedModel, job: ExplainJob, names: Mapping[Path, str]
) -> Iterator[tuple[Input, Explanations]]:
    """Each photo with its explanations; those of one kind and size go through the network together."""
    from sightline.api.intervention import intervened
    from sightline.cli.prepared import alike, prepared
    from sightline.models.original import original_of

    if job.tiles is not None:
        yield from in_tiles(photos, loaded, job, names)
        return
    for group, ready in alike(photos, [prepared(photo, loaded) for photo in photos]):
        explanations = _together(group, ready, loaded, job, names)
        for photo, one in zip(group, ready, strict=True):
            whole = original_of(photo, loaded.preprocess)
            own = explanations.of(source=names[_path(photo)])
            more = (intervened(loaded.model, one.inputs[None], job.changes),) if job.changes else ()
            items = (replace(item, original=whole, sentences=(*item.sentences, *more)) for item in own)
            yield photo, type(own)(tuple(items))


def _together(
    photos: Sequence[Input],
    ready: Sequence[Prepared],
    loaded: LoadedModel,
    job: ExplainJob,
    names: Mapping[Path, str],
) -> Explanations:
    """Explanations of inputs of one size."""
    import torch

    from sightline.api.explain import explain
    from sightline.cli.dense_targets import on_photos
    from sightline.cli.prepared import domain_of, rate_of

    device = next((parameter.device for parameter in loaded.model.parameters()), torch.device("cpu"))
    return explain(
        loaded.model,
        torch.stack([one.inputs for one in ready]).to(device),
        target=on_photos(job.target, photos, loaded.preprocess),
        contrast=job.contrast,
        contrast_weight=job.contrast_weight,
        score=job.score,
        probabilities=job.probabilities,
        embedding=job.embedding,
        method=job.methods,
        options=job.options,
        layers=job.layers,
        labels=loaded.labels,
        images=torch.stack([one.view for one in ready]),
        sources=[names[_path(photo)] for photo in photos],
        foreground=_foreground(photos, loaded, job),
        domain=domain_of(photos[0]),
        rate=[rate_of(photo) for photo in photos],
        batch_size=job.batch_size,
        seed=job.seed,
        provenance=loaded.provenance,
    ).to("cpu")


def _foreground(photos: Sequence[Input], loaded: LoadedModel, job: ExplainJob) -> Tensor | None:
    """Where the object is, as the network sees the photos."""
    if not job.masks:
        return None
    from sightline.compare.samples import Sample, prepare

    samples = [Sample(_path(photo), mask=job.masks[_path(photo)]) for photo in photos]
    return prepare(samples, loaded.preprocess).masks


def _write(photo: Input, items: Explanations, folder: Path, loaded: LoadedModel, job: ExplainJob) -> dict[str, Any]:
    """Write one photo's folder; returns its record, which is also in the folder."""
    from sightline._version import __version__
    from sightline.api.other_maps import alone
    from sightline.api.scope import known_of
    from sightline.reports.headline import main_record

    record: dict[str, Any] = {
        "source": str(photo.path),
        "size": list(photo.original_size),
        "notes": [*photo.notes, *known_of(items), *alone(items)],
        "left_out": left_out(items),
        "folder": str(folder),
        "files": [],
        "explanations": [{**explanation_record(item), "main": main_record(item)} for item in items],
        **_judged(_path(photo), items, loaded, job),
    }
    with whole_folder(folder) as partial:
        title = f"Where the network looks in {_path(photo).name}"
        write_formats(items, partial, job, title=title)
        write_tiles(items, partial)
        record["files"] = sorted({path.name for path in partial.iterdir()} | {SUMMARY})
        content = {"sightline": __version__, "model": loaded.provenance, **record}
        write_summary(partial, content)
    return record


def _judged(path: Path, items: Explanations, loaded: LoadedModel, job: ExplainJob) -> dict[str, Any]:
    """The true class where it is known, and whether the top class, if that is explained, is it."""
    from sightline.cli.truth import is_right

    if path not in job.truths:
        return {}
    truth, decision = job.truths[path], items[0].decision
    right = is_right(truth, decision.index, decision.label, loaded.labels) if job.target is None else None
    return {"truth": truth, "right": right}


def write_formats(
    items: Explanations, folder: Path, job: ExplainJob, *, title: str, arrays: Explanations | None = None
) -> None:
    """Write explanations in the formats that are wished for.

    Args:
        items: what is drawn.
        folder: where to.
        job: formats and looks.
        title: title of the page.
        arrays: what is kept as arrays, where that is something else than what is drawn.
    """
    from sightline.reports import save_animation, save_montage, save_page
    from sightline.reports.index_page import THUMBNAIL, save_thumbnail

    if "png" in job.formats:
        save_montage(items, folder / "montage.png", cmap=job.cmap, opacity=job.opacity)
    for kind in ("gif", "webp", "mp4"):
        if kind in job.formats:
            save_animation(items, folder / f"walk.{kind}", cmap=job.cmap, opacity=job.opacity)
    if "html" in job.formats:
        save_page(items, folder / "page.html", title=title, cmap=job.cmap)
    if job.indexed:
        save_thumbnail(items, folder / THUMBNAIL, cmap=job.cmap)
    if "arrays" in job.formats:
        (arrays or items).save(folder)


def left_out(items: Explanations) -> dict[str, str]:
    """The methods that do not fit the model, and why."""
    return dict(items[0].provenance.get("left_out", {}))


def _path(photo: Input) -> Path:
    return photo.path or Path("photo")
