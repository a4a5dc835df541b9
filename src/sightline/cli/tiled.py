"""`--tiles SIDE`: large photos read in tiles, one map over each, and a table of what was decided in each tile."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.common.files import write_text
from sightline.errors import InputError

if TYPE_CHECKING:
    from sightline.cli.job import ExplainJob
    from sightline.data.openers import Input
    from sightline.models.load import LoadedModel
    from sightline.results import Explanations

TABLE = "tiles.csv"
"""Name of the table in a photo's folder."""


def check_tiles(job: ExplainJob, *, compared: bool) -> None:
    """Refuse what has no meaning for tiles.

    Args:
        job: what is asked.
        compared: whether the photo is compared with others.

    Raises:
        InputError: an option is about the whole photo as the network sees it.
    """
    if job.tiles is None:
        return
    from sightline.targets import Target

    whole = {
        "--masks": bool(job.masks),
        "--set": bool(job.changes),
        "--box, --segment and --text": isinstance(job.target, Target),
        "--similarity, --gallery and --support": compared,
        "--frames": job.levels.get("frames") is not None,
    }
    for options, asked in whole.items():
        if asked:
            raise InputError(f"--tiles shows the network parts of a photo, so {options} cannot be used with it")


def check_size(photo: Input, job: ExplainJob, shape: tuple[int, int]) -> None:
    """Refuse a photo that cannot be read in tiles, before any is.

    Args:
        photo: what was opened.
        job: what is asked.
        shape: `(h, w)` of the network's input.

    Raises:
        InputError: there would be too many tiles, or it is no photo.
    """
    if job.tiles is None:
        return
    from sightline.data.photos import Photo
    from sightline.models.tiles import Tiling

    if not isinstance(photo, Photo):
        raise InputError(f"--tiles is for photos, but {str(photo.path)!r} is an input over {photo.domain!r}")
    Tiling.of(photo.size, job.tiles, shape=shape, overlap=job.overlap)


def together(job: ExplainJob, usual: int) -> int:
    """How many photos are open at once: with tiles one, as those are large, and `batch_size` counts tiles.

    Args:
        job: what is asked.
        usual: how many, where the user does not say.
    """
    return 1 if job.tiles is not None else job.batch_size or usual


def in_tiles(
    photos: Sequence[Input], loaded: LoadedModel, job: ExplainJob, names: Mapping[Path, str]
) -> Iterator[tuple[Input, Explanations]]:
    """Each photo with its explanations over all of it."""
    from sightline.api.explain_tiles import explain_tiles

    asked: dict[str, Any] = {
        "contrast": job.contrast,
        "contrast_weight": job.contrast_weight,
        "score": job.score,
        "probabilities": job.probabilities,
        "method": job.methods,
        "options": job.options,
        "layers": job.layers,
        "seed": job.seed,
    }
    for photo in photos:
        source = names[photo.path or Path("photo")]
        yield (
            photo,
            explain_tiles(
                loaded,
                photo,
                job.tiles or 0,
                overlap=job.overlap,
                target=job.target,
                batch_size=job.batch_size,
                sources=[source],
                **asked,
            ),
        )


def write_tiles(items: Explanations, folder: Path) -> None:
    """The table of tiles, where there are any: a row for each tile and decision."""
    rows: dict[tuple[int, int, str], dict[str, Any]] = {}
    for item in items:
        for row in item.provenance.get("tiles", {}).get("rows", ()):
            rows.setdefault((row["row"], row["column"], row["decision"]), row)
    if not rows:
        return
    sink = io.StringIO()
    table = csv.DictWriter(sink, next(iter(rows.values())).keys(), lineterminator="\n")
    table.writeheader()
    table.writerows(rows.values())
    write_text(folder / TABLE, sink.getvalue())
