"""Preprocessing: what a photo becomes on its way into a network, and what the network then sees of it.

One resampling step makes the view, straight from the part of the photo that it shows, so that a picture one pixel
wide and a hundred thousand long costs no more than any other. It knows nothing of models but their published
settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sightline.common.records import restored
from sightline.data.openers import Input
from sightline.data.photos import Photo
from sightline.errors import InputError, ModelError, near

Fit = Literal["crop", "stretch", "pad"]
Order = Literal["rgb", "bgr"]

INTERPOLATIONS: dict[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Prepared(NamedTuple):
    """A photo prepared for a network.

    Args:
        view: what the network sees of it, before normalisation: `[c, h, w]` in 0..1.
        inputs: the view less the mean, over the standard deviation: `[c, h, w]`.
    """

    view: Float[Tensor, "c h w"]
    inputs: Float[Tensor, "c h w"]


@dataclass(frozen=True)
class Preprocess:
    """How a photo is resized, cut and normalised.

    Args:
        size: `(h, w)` of the network's input, in pixels.
        resize: what the shorter side of `size` is taken from: the photo is first scaled as if to this many pixels and
            then cut to `size`; None scales it to `size` itself.
        mean: mean of each channel, in units of 0..1; as many as the network has channels (1 for grey, 3 for RGB).
        std: standard deviation of each channel, in units of 0..1.
        interpolation: one of `INTERPOLATIONS`, always with antialiasing.
        fit: `crop` keeps the shape of things and cuts the middle out, `stretch` distorts, `pad` shows the whole
            photo between bars of the mean colour.
        order: `rgb`, or `bgr` where the network takes blue first; mean and deviation are of red, green and blue.

    Raises:
        InputError: the settings contradict each other.

    Example:
        >>> Preprocess((224, 224), resize=256).with_(mean=(0.5,), std=(0.5,)).channels
        1
    """

    size: tuple[int, int] = (224, 224)
    resize: int | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    interpolation: str = "bilinear"
    fit: Fit = "crop"
    order: Order = "rgb"

    def __post_init__(self) -> None:
        _check(self)

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return len(self.mean)

    def __call__(self, photo: Input | Image.Image) -> Prepared:
        """Prepare one photo.

        Raises:
            InputError: it is an input of another kind.
        """
        image = photo.image if isinstance(photo, Photo) else photo
        if not isinstance(image, Image.Image):
            raise InputError(f"{image.path} is an input over {image.domain!r}, but this network takes pictures")
        image = image.convert("L" if self.channels == 1 else "RGB")
        pixels = np.asarray(self._placed(image), dtype=np.uint8)
        view = torch.from_numpy(np.atleast_3d(pixels).copy()).permute(2, 0, 1).contiguous().float() / 255
        inputs = self.normalise(view)
        return Prepared(view, inputs.flip(0) if self.order == "bgr" else inputs)

    def normalise(self, view: Float[Tensor, "*b c h w"]) -> Float[Tensor, "*b c h w"]:
        """`(view - mean) / std`."""
        mean = view.new_tensor(self.mean)[:, None, None]
        std = view.new_tensor(self.std)[:, None, None]
        return (view - mean) / std

    def placed(self, box: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """A box of a photo in pixels of the input; what was cut off lies outside of it.

        Args:
            box: x0, y0, x1, y1 in pixels of the photo.
            size: `(width, height)` of the photo.

        Example:
            >>> Preprocess((100, 100), fit="pad").placed((0, 0, 200, 100), (200, 100))
            (0.0, 25.0, 100.0, 75.0)
        """
        scaled = self._scaled(size)
        left, top = _offset(scaled[0], self.size[1]), _offset(scaled[1], self.size[0])
        x0, x1 = (side * scaled[0] / size[0] - left for side in (box[0], box[2]))
        y0, y1 = (side * scaled[1] / size[1] - top for side in (box[1], box[3]))
        return x0, y0, x1, y1

    def crop(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """What the network sees of a photo: x, y, width and height as shares of it; beyond 0..1 where bars are added.

        Args:
            size: `(width, height)` of the photo.

        Example:
            >>> Preprocess((100, 100), resize=125).crop((200, 100))
            (0.3, 0.096, 0.4, 0.8)
        """
        scaled = self._scaled(size)
        left, top = _offset(scaled[0], self.size[1]), _offset(scaled[1], self.size[0])
        return left / scaled[0], top / scaled[1], self.size[1] / scaled[0], self.size[0] / scaled[1]

    def with_(self, **changes: Any) -> Preprocess:
        """A copy with some settings changed; those that are None stay. A new size drops the old margin's pixels."""
        settings = {name: value for name, value in changes.items() if value is not None}
        if "size" in settings and "resize" not in settings and self.resize is not None:
            settings["resize"] = round(self.resize * min(settings["size"]) / min(self.size))
        return replace(self, **settings)

    def record(self) -> dict[str, Any]:
        """The settings as plain values, for a manifest."""
        return {
            "size": list(self.size),
            "resize": self.resize,
            "mean": list(self.mean),
            "std": list(self.std),
            "interpolation": self.interpolation,
            "fit": self.fit,
            **({} if self.order == "rgb" else {"order": self.order}),
        }

    @classmethod
    def from_record(cls, settings: Mapping[str, Any]) -> Preprocess:
        """Read what `record` wrote, or a part of it; JSON knows no tuples.

        Raises:
            ModelError: it holds something else.
        """
        try:
            return restored(cls, settings)
        except (ValueError, InputError) as problem:
            raise ModelError(f"the preprocessing that came with the weights is damaged: {problem}") from problem

    def _placed(self, image: Image.Image) -> Image.Image:
        resample = INTERPOLATIONS[self.interpolation]
        height, width = self.size
        scaled = self._scaled(image.size)
        left, top = _offset(scaled[0], width), _offset(scaled[1], height)
        inside = (max(left, 0), max(top, 0), min(left + width, scaled[0]), min(top + height, scaled[1]))
        across, down = image.size[0] / scaled[0], image.size[1] / scaled[1]
        box = (inside[0] * across, inside[1] * down, inside[2] * across, inside[3] * down)
        part = image.resize((inside[2] - inside[0], inside[3] - inside[1]), resample, box=box)
        if part.size == (width, height):
            return part
        fill = tuple(round(255 * value) for value in self.mean)
        canvas = Image.new(image.mode, (width, height), fill if len(fill) > 1 else fill[0])
        canvas.paste(part, (inside[0] - left, inside[1] - top))
        return canvas

    def _scaled(self, size: tuple[int, int]) -> tuple[int, int]:
        """`(width, height)` that the whole photo would have; it is cut to `self.size` from the middle of that."""
        width, height = size
        short = min(self.size)
        target_h, target_w = (round(side * (self.resize or short) / short) for side in self.size)
        if self.fit == "stretch":
            return target_w, target_h
        wide = target_w * height < target_h * width  # wider in shape than the target
        if self.fit == "crop" and target_w == target_h:  # rounded down, as torchvision does
            return (target_h * width // height, target_h) if wide else (target_w, target_w * height // width)
        if wide == (self.fit == "crop"):
            return max(1, round(width * target_h / height)), target_h
        return target_w, max(1, round(height * target_w / width))


def _offset(have: int, want: int) -> int:
    """Where the middle `want` of `have` pixels begin, rounded as torchvision does; negative where bars are added."""
    return round((have - want) / 2) if have >= want else -((want - have) // 2)


def from_torchvision(preset: Any) -> Preprocess:
    """The settings of a torchvision `ImageClassification` preset, as `weights.transforms()` gives it."""
    (size,) = preset.crop_size
    (resize,) = preset.resize_size
    return Preprocess(
        size=(size, size),
        resize=resize,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )


def from_timm(config: Mapping[str, Any]) -> Preprocess:
    """The settings of a timm data configuration, as `timm.data.resolve_model_data_config` gives it."""
    channels, height, width = config["input_size"]
    fits: dict[str, Fit] = {"center": "crop", "squash": "stretch", "border": "pad"}
    short = min(height, width)
    interpolation = config.get("interpolation", "bicubic")
    return Preprocess(
        size=(height, width),
        resize=int(short / config["crop_pct"]),
        mean=_per_channel(config["mean"], channels),
        std=_per_channel(config["std"], channels),
        interpolation=interpolation if interpolation in INTERPOLATIONS else "bicubic",
        fit=fits.get(config.get("crop_mode", "center"), "crop"),
    )


def _per_channel(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """One value per channel; colour values are averaged for a grey network."""
    if len(values) == channels:
        return tuple(float(value) for value in values)
    return (float(sum(values) / len(values)),) * channels


def _check(settings: Preprocess) -> None:
    if len(settings.size) != 2 or min(settings.size) < 1:
        raise InputError(f"an input size is height and width of at least 1 pixel; got {settings.size}")
    if settings.resize is not None and settings.resize < 1:
        raise InputError(f"the photo cannot be resized to {settings.resize} pixels; give at least 1")
    if len(settings.mean) != len(settings.std):
        raise InputError(
            f"mean has {len(settings.mean)} values and std {len(settings.std)}; give one of each per channel"
        )
    if settings.channels not in (1, 3):
        raise ModelError(
            f"a photo has 1 (grey) or 3 (RGB) channels; the model's settings ask for {settings.channels}"
        )
    if min(settings.std) <= 0:
        raise InputError(f"std must be above 0 in every channel; got {', '.join(map(str, settings.std))}")
    if settings.interpolation not in INTERPOLATIONS:
        raise InputError(
            f"there is no interpolation {settings.interpolation!r}; {near(settings.interpolation, INTERPOLATIONS)}"
        )
    if settings.order not in get_args(Order):
        raise InputError(f"there is no order {settings.order!r} of channels; known: {', '.join(get_args(Order))}")
    if settings.fit not in get_args(Fit):
        raise InputError(f"there is no fit {settings.fit!r}; known: {', '.join(get_args(Fit))}")
