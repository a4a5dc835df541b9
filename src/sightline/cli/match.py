"""The work behind `sightline explain --similarity`: pairs, the best match in a gallery, examples of classes.

It knows nothing of what is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.cli.index import card_of, make_index
from sightline.cli.job import CHUNK, ExplainJob, JobResult, left_out, with_index, write_formats
from sightline.errors import InputError
from sightline.terminal.folder import SUMMARY, check_place, folder_names, whole_folder, write_summary
from sightline.terminal.summary import explanation_record

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from sightline.data.photos import Photo
    from sightline.models.load import LoadedModel
    from sightline.results import Explanation, Explanations
    from sightline.targets import Prototypes, Target

BEST = 5
"""Matches of a gallery that the summary names."""


def run_pair(photos: Sequence[Path], loaded: LoadedModel, job: ExplainJob, *, result: JobResult) -> JobResult:
    """Explain why two photos match, into a folder of their own.

    Raises:
        InputError: there are not two photos.
    """
    one, other = photos
    folder = job.out / f"{folder_names([one])[0]}-and-{folder_names([other])[0]}"
    _explain_into(folder, one, other, loaded, job, result=result, more={})
    return result


def run_retrieval(
    photos: Sequence[Path],
    gallery: Sequence[Path],
    loaded: LoadedModel,
    job: ExplainJob,
    *,
    result: JobResult,
    step: Callable[[Path], None],
) -> JobResult:
    """Seek every photo in a gallery, and explain why its best match is one; a photo never matches itself.

    Raises:
        InputError: the gallery holds nothing else than the photo.
    """
    job = with_index(job, len(photos))
    vectors, sources = _embeddings(gallery, loaded, job, result)
    for photo, name in zip(photos, folder_names(photos), strict=True):
        if photo in [Path(error["source"]) for error in result.errors]:
            continue
        ranked = _ranked(photo, vectors, sources, loaded, job)
        more = {"gallery": len(sources), "matches": [{"source": str(p), "score": s} for p, s in ranked[:BEST]]}
        _explain_into(job.out / name, photo, ranked[0][0], loaded, job, result=result, more=more)
        step(photo)
    if job.indexed and result.photos:
        result.index = make_index(job.out, result.cards, result.errors)
    return result


def prototypes(folder: Path, loaded: LoadedModel, job: ExplainJob, result: JobResult) -> Prototypes:
    """Prototypes of the classes that lie as folders of examples in a folder.

    Raises:
        InputError: it holds fewer than two folders with photos.
    """
    import torch

    from sightline.data.photos import find_photos
    from sightline.targets import Prototypes, prototypes_of

    classes = sorted(place for place in folder.iterdir() if place.is_dir()) if folder.is_dir() else []
    if len(classes) < 2:
        raise InputError(
            f"--support {str(folder)!r} must hold a folder of example photos for each of two classes or more, but "
            f"holds {len(classes)} folders"
        )
    examples = [(photo, k) for k, place in enumerate(classes) for photo in find_photos([place])]
    vectors, sources = _embeddings([photo for photo, _ in examples], loaded, job, result)
    label_of = dict(examples)
    labels = torch.tensor([label_of[photo] for photo in sources])
    metric: Any = job.similarity or "euclidean"
    return Prototypes(
        prototypes_of(vectors, labels), _decision(job), names=tuple(place.name for place in classes), metric=metric
    )


def _decision(job: ExplainJob) -> Target:
    """The choice among prototypes to explain; against the others if nothing is said, as that cannot saturate."""
    from sightline.targets import parse_target

    several = isinstance(job.target, list) or str(job.target).startswith("top")
    contrast = job.contrast or ("others" if job.score == "logit" and not several else None)
    return parse_target(
        job.target,
        contrast=contrast,
        contrast_weight=job.contrast_weight,
        score="log-softmax" if several else job.score,
    )


def _explain_into(
    folder: Path,
    one: Path,
    other: Path,
    loaded: LoadedModel,
    job: ExplainJob,
    *,
    result: JobResult,
    more: dict[str, Any],
) -> None:
    """Explain a pair and write its folder."""
    from sightline._version import __version__
    from sightline.api.scope import known_of
    from sightline.data.photos import read_photo
    from sightline.reports.headline import main_record

    check_place(folder)
    photos = (read_photo(one, **job.whites), read_photo(other, **job.whites))
    names = (one.name, other.name) if one.name != other.name else (str(one), str(other))
    items = _pair(photos, names, loaded, job)
    figures = _pairs(items)
    record: dict[str, Any] = {
        "source": f"{one.name} | {other.name}",
        "photos": [str(one), str(other)],
        "size": [list(photo.original_size) for photo in photos],
        "notes": [*(f"{photo.path}: {note}" for photo in photos for note in photo.notes), *known_of(items)],
        "folder": str(folder),
        "left_out": left_out(items),
        **more,
        "files": [],
        "explanations": [{**explanation_record(item), "main": main_record(item)} for item in items],
    }
    with whole_folder(folder) as partial:
        title = f"Why {names[0]} and {names[1]} match: {job.similarity} {items[0].decision.score:.3g}"
        write_formats(figures, partial, job, title=title, arrays=items)
        record["files"] = sorted({path.name for path in partial.iterdir()} | {SUMMARY})
        content = {"sightline": __version__, "model": loaded.provenance, **record}
        write_summary(partial, content)
    result.left_out |= record["left_out"]
    result.photos.append(record)
    result.cards += [card_of(record, main_record(figures[0]))] if job.indexed else []


def _pair(photos: tuple[Photo, Photo], names: tuple[str, str], loaded: LoadedModel, job: ExplainJob) -> Explanations:
    from sightline.api.explain_pair import explain_pair

    (a, b) = (loaded.preprocess(photo) for photo in photos)
    device = next(loaded.model.parameters()).device
    return explain_pair(
        loaded.model,
        a.inputs[None].to(device),
        b.inputs[None].to(device),
        similarity=job.similarity or "cosine",
        embedding=job.embedding or "auto",
        images=(a.view[None], b.view[None]),
        sources=((names[0],), (names[1],)),
        method=job.methods,
        options=job.options,
        layers=job.layers,
        batch_size=job.batch_size,
        seed=job.seed,
        provenance=loaded.provenance,
    ).to("cpu")


def _pairs(items: Explanations) -> Explanations:
    """For each method the two flows as one."""
    from sightline.api.explain_pair import side_by_side
    from sightline.results import Explanations

    half = len(items) // 2
    both: list[Explanation] = [side_by_side(a, b) for a, b in zip(items[:half], items[half:], strict=True)]
    return Explanations(tuple(both))


def _embeddings(
    photos: Sequence[Path], loaded: LoadedModel, job: ExplainJob, result: JobResult
) -> tuple[Float[Tensor, "n d"], list[Path]]:
    """Embeddings of the photos that can be read, on the CPU, and which these are; the others are noted.

    Raises:
        InputError: none can be read.
    """
    import torch

    from sightline.api.embed import embed
    from sightline.data.photos import read_photo

    device = next(loaded.model.parameters()).device
    vectors, sources = [], []
    size = job.batch_size or 8 * CHUNK
    for start in range(0, len(photos), size):
        ready = []
        for path in photos[start : start + size]:
            try:
                ready.append(loaded.preprocess(read_photo(path, **job.whites)).inputs)
                sources.append(path)
            except InputError as problem:
                result.errors.append({"source": str(path), "error": str(problem)})
        if ready:
            vectors.append(
                embed(loaded.model, torch.stack(ready).to(device), embedding=job.embedding or "auto").cpu()
            )
    if not vectors:
        raise InputError("; ".join(error["error"] for error in result.errors) or "there is no photo to compare with")
    return torch.cat(vectors), sources


def _ranked(
    photo: Path, vectors: Float[Tensor, "n d"], sources: list[Path], loaded: LoadedModel, job: ExplainJob
) -> list[tuple[Path, float]]:
    """The gallery from the best match down, without the photo itself."""
    from sightline.targets import similarity_of

    vector, _ = _embeddings([photo], loaded, replace(job, batch_size=1), JobResult())
    scores = similarity_of(job.similarity or "cosine")(vector[0]).read(vectors, None).scores[:, 0].tolist()
    others = [(p, s) for p, s in zip(sources, scores, strict=True) if p.resolve() != photo.resolve()]
    if not others:
        raise InputError(f"the gallery holds nothing else than {photo.name}; give a folder of other photos")
    return sorted(others, key=lambda pair: -pair[1])
