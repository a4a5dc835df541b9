"""Image processors of Hugging Face: their settings, from `preprocessor_config.json`, in our own terms.

The package `transformers` is imported where a processor has to run itself; settings are read without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sightline.common.reading import parse_json, read_text
from sightline.errors import InputError, MissingExtraError
from sightline.models.preprocess import INTERPOLATIONS, Fit, Preprocess

CONFIGURATION = "preprocessor_config.json"
RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""Pillow's numbers, as the files have them."""

WARPED = 384
"""Side from which on ConvNeXt's processor stretches a picture, where it cuts smaller ones out of the middle."""

KNOWN = frozenset(
    {"", "BEiT", "Beit", "Bit", "CLIP", "ConvNext", "DeiT", "Flava", "MobileNetV1", "MobileNetV2", "MobileViT", "Pvt",
     "Segformer", "Siglip", "ViT"}
)  # fmt: skip
"""Processors whose settings mean what ours do; another one runs itself, as the same words may mean something else."""

OTHER_STEPS = ("do_pad", "do_color_quantize", "do_reduce_labels", "do_convert_grayscale")
"""Steps that a `Preprocess` does not know: where one is on, the processor runs itself."""


def from_processor(settings: Mapping[str, Any]) -> Preprocess | None:
    """An image processor's settings as ours; None where it does more, or something else, than these can say.

    Example:
        >>> from_processor({"size": {"height": 32, "width": 48}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}).fit
        'stretch'
    """
    kind = str(settings.get("image_processor_type", settings.get("feature_extractor_type", "")))
    if re.sub(r"(ImageProcessor|FeatureExtractor)(Fast|Pil)?$", "", kind) not in KNOWN:
        return None
    if any(settings.get(step) for step in OTHER_STEPS) or not settings.get("do_resize", True):
        return None
    if not settings.get("do_rescale", True) or abs(settings.get("rescale_factor", 1 / 255) - 1 / 255) > 1e-9:
        return None
    if settings.get("offset"):  # values of -1..1 before they are normalised
        return None
    frame = _frame(settings)
    interpolation = RESAMPLING.get(settings.get("resample", 2), "")
    if frame is None or interpolation not in INTERPOLATIONS:
        return None
    flipped = bool(settings.get("do_flip_channel_order"))
    normalised = settings.get("do_normalize", not flipped)  # MobileViT's processor flips, and does not normalise
    mean, std = (settings.get(f"image_{what}") if normalised else None for what in ("mean", "std"))
    size, resize, fit = frame
    return Preprocess(
        size=size,
        resize=resize,
        mean=tuple(mean or (0.0,) * 3),
        std=tuple(std or (1.0,) * 3),
        interpolation=interpolation,
        fit=fit,
        order="bgr" if flipped else "rgb",
    )


def processor_of(place: str | Path) -> Any:
    """The image processor whose configuration lies in a folder: its settings where these say all, or else itself.

    Raises:
        InputError: the folder holds no such configuration, or a damaged one.
        MissingExtraError: the processor has to run itself, and the package transformers is not installed.
    """
    place = Path(place)
    file = place / CONFIGURATION if place.is_dir() else place
    if not file.is_file():
        raise InputError(f"{str(place)!r} holds no {CONFIGURATION}; save the model's image processor there")
    try:
        settings = parse_json(read_text(file, "configuration"))
        own = from_processor(settings)
    except (ValueError, TypeError, AttributeError) as problem:
        raise InputError(f"the configuration {str(file)!r} cannot be understood: {problem}") from problem
    if own is not None:
        return own
    try:
        from transformers import AutoImageProcessor
    except ImportError as problem:
        raise MissingExtraError("transformers", "hub", f"the image processor in {str(file)!r}") from problem
    return AutoImageProcessor.from_pretrained(file.parent, local_files_only=True)


def _frame(settings: Mapping[str, Any]) -> tuple[tuple[int, int], int | None, Fit] | None:
    """Size, resize and fit; None where the size of the result depends on the picture."""
    size = settings.get("size")
    crop = settings.get("crop_size") if settings.get("do_center_crop", False) else None
    if isinstance(size, int):  # files of early versions
        size = {"height": size, "width": size} if crop is None else {"shortest_edge": size}
    if not isinstance(size, Mapping):
        return None
    cut = sides_of(crop)
    if "shortest_edge" in size and "longest_edge" not in size:
        short = int(size["shortest_edge"])
        if cut is not None:
            return cut, short, "crop"
        if settings.get("crop_pct") is None:
            return None
        if short >= WARPED:
            return (short, short), None, "stretch"
        return (short, short), int(short / settings["crop_pct"]), "crop"
    sides = sides_of(size)
    if sides is None:
        return None
    if cut is None or cut == sides:
        return sides, None, "stretch"
    if cut[0] * sides[1] != cut[1] * sides[0]:
        return None
    return cut, min(sides), "stretch"


def sides_of(size: Any) -> tuple[int, int] | None:
    """Height and width from one number or a mapping; None where it says neither."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and "height" in size and "width" in size:
        return int(size["height"]), int(size["width"])
    return None
