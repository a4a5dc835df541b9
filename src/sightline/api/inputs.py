"""What was passed to `explain`, as what the engine takes: a plain module, one batch, pictures to draw, names.

A tensor of floats is taken as it is. Pictures - paths, PIL images, arrays of pixels - are preprocessed as the model's
own preprocessing says, or as the user does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from sightline.api.arguments import Arguments, Explained
from sightline.api.decision import LabelsLike
from sightline.common.text import clipped
from sightline.data.openers import find_inputs, open_input
from sightline.data.photos import Photo
from sightline.data.pictures import is_pixels, photo_in_memory
from sightline.errors import InputError
from sightline.models import Adapter, adapt
from sightline.models.adapter.call import Call
from sightline.models.load import LoadedModel
from sightline.models.original import original_of
from sightline.models.prepare import Preparation, own_preparation, preparation
from sightline.results import Original

HOW = (
    "pass preprocess= (a Preprocess, torchvision's weights, an image processor, or a callable from PIL image to "
    "tensor), a model of sightline.open_model, or a tensor of floats"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Passed:
    """What `explain` works on.

    Args:
        model: the plain module, as the user holds it.
        inputs: one batch, on the model's device and in its type where it was made here.
        images: what the network sees of the pictures, 0..1, or None.
        originals: the pictures in their own resolution, or None for each that is not known.
        sources: a name for each sample, or None.
        labels: names of the classes that came with the model, or None.
        call: what goes to the model beside the inputs that are explained, or None.
        facts: what is known of model and pictures, for the provenance.
    """

    model: nn.Module
    inputs: Any
    images: Float[Tensor, "b c h w"] | None = None
    originals: Sequence[Original | None] = ()
    sources: Sequence[str] | None = None
    labels: LabelsLike = None
    call: Call | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """How images are preprocessed, as plain values, where that is known."""
        settings = self.facts.get("preprocess")
        return settings if isinstance(settings, Mapping) else None

    def adapter(self) -> Adapter:
        """The model as it is called for these inputs.

        Raises:
            ModelError: its inside cannot be read.
        """
        plain = adapt(self.model)
        return plain if self.call is None else replace(plain, call=self.call)

    def but(self, **own: Any) -> Passed:
        """The same, with what the user says of it; what is None is not said."""
        facts = {**self.facts, **(own.pop("facts", None) or {})}
        return replace(self, facts=facts, **{name: value for name, value in own.items() if value is not None})


def passed(model: Any, inputs: Any, *, preprocess: Any = None, explained: Explained = None) -> Passed:
    """What the user passed.

    Args:
        model: a module, or what `sightline.open_model` gives.
        inputs: a tensor of floats as the model takes it; or pictures: a path, a PIL image, an array or a tensor of
            bytes, a photo that is opened, or a list of these; or several inputs, as a mapping or a tuple.
        preprocess: how images are preprocessed; None is the model's own way. See `models.prepare.preparation`.
        explained: which of several inputs is explained; None finds it.

    Raises:
        InputError: the pictures cannot be read, or nobody says how they are preprocessed.
    """
    if (arguments := Arguments.of(inputs)) is not None:
        return _one_of(model, arguments, preprocess, explained)
    if explained is not None:
        raise InputError(f"explained={explained!r} names a part of the inputs, but they are one tensor, or pictures")
    plain = model.model if isinstance(model, LoadedModel) else model
    labels, facts = (model.labels, model.provenance) if isinstance(model, LoadedModel) else (None, {})
    pictures = _pictures(inputs)
    if pictures is None:
        batch = _batch(plain, inputs)
        view = _seen(model, batch) if isinstance(model, LoadedModel) else None
        return Passed(model=plain, inputs=batch, images=view, labels=labels, facts=facts)
    way = _way(model, pictures, preprocess)
    ready = [way.prepare(picture) for picture in pictures]
    shapes = sorted({tuple(one.inputs.shape) for one in ready})
    if len(shapes) > 1:
        raise InputError(
            f"the pictures were preprocessed to {len(shapes)} sizes ({shapes[0]}, {shapes[1]}), which cannot form "
            "one batch; pass them one by one, or a preprocess= that brings them to one size"
        )
    views = [one.view for one in ready]
    images = (
        None if any(view is None for view in views) else torch.stack([view for view in views if view is not None])
    )
    names = _names(pictures)
    notes = {name: list(photo.notes) for name, photo in zip(names, pictures, strict=True) if photo.notes}
    return Passed(
        model=plain,
        inputs=_at_home(plain, torch.stack([one.inputs for one in ready])),
        images=images,
        originals=[original_of(picture, way.settings) for picture in pictures],
        sources=names,
        labels=labels,
        facts={**facts, "preprocess": way.record, **({"notes": notes} if notes else {})},
    )


def one_photo(picture: Any) -> Photo:
    """One picture, opened: a path, a PIL image, an array of pixels, or what an opener made.

    Raises:
        InputError: it is something else, or several.
    """
    pictures = _pictures(picture)
    if pictures is None or len(pictures) != 1 or not isinstance(pictures[0], Photo):
        what = "no picture" if pictures is None else f"{len(pictures)} inputs, or another kind of input"
        raise InputError(
            f"one photo is read in tiles, but {type(picture).__name__} is {what}; pass a path, a PIL image or an "
            "array of pixels"
        )
    return pictures[0]


def check_lengths(inputs: Tensor, **companies: Tensor | Sequence[str] | None) -> None:
    """Refuse what does not come one for each sample.

    Raises:
        InputError: there are more or fewer.
    """
    for what, company in companies.items():
        if company is not None and len(company) != len(inputs):
            raise InputError(f"{len(inputs)} inputs came with {len(company)} {what}; give one for each")


def _one_of(model: Any, arguments: Arguments, preprocess: Any, explained: Explained) -> Passed:
    """One of several inputs, with the others beside it; pictures among them are what is explained."""
    pictures = [name for name, value in arguments.values.items() if _is_picture(value)]
    name = arguments.explained(pictures[0] if explained is None and len(pictures) == 1 else explained)
    value = arguments.values[name]
    if not isinstance(value, Tensor) and not _is_picture(value):
        raise InputError(f"the inputs have no part {name!r} of floats; they hold {arguments.wording}")
    one = passed(model, value, preprocess=preprocess)
    call = arguments.without(name, len(one.inputs))
    return replace(one, call=call, facts={**one.facts, "input": str(name)})


def _is_picture(value: Any) -> bool:
    """Whether a value among several inputs is pictures; a text is none, as models take texts too."""
    return isinstance(value, Path | Image.Image) or is_pixels(value)


def _pictures(inputs: Any) -> list[Any] | None:
    """The pictures, opened; None where what was passed is no picture."""
    if isinstance(inputs, str | Path):
        return [open_input(path) for path in find_inputs([_local(inputs)])]
    if isinstance(inputs, Image.Image) or is_pixels(inputs):
        return list(photo_in_memory(inputs))
    if not isinstance(inputs, Tensor | np.ndarray | Sequence) and _is_opened(inputs):
        return [inputs]
    if isinstance(inputs, list | tuple) and inputs:
        parts = [_pictures(part) for part in inputs]
        if all(part is not None for part in parts):
            return [photo for part in parts if part is not None for photo in part]
        if any(part is not None for part in parts):
            kinds = sorted({type(part).__name__ for part in inputs})
            raise InputError(f"pictures and other inputs were passed in one list ({', '.join(kinds)}); pass one kind")
    return None


def _local(path: str | Path) -> Path:
    """The path, which is of a file of this machine.

    Raises:
        InputError: it is an address.
    """
    if isinstance(path, str) and "://" in path:
        raise InputError(f"{clipped(path)} is an address; download the picture and pass its path")
    return Path(path).expanduser()


def _is_opened(inputs: Any) -> bool:
    """Whether this is what an opener makes of a file."""
    return all(hasattr(inputs, name) for name in ("path", "domain", "original_size", "notes"))


def _way(model: Any, pictures: Sequence[Any], preprocess: Any) -> Preparation:
    """How the images are preprocessed.

    Raises:
        InputError: nobody says it.
    """
    if preprocess is not None:
        return preparation(preprocess)
    own = preparation(model) if isinstance(model, LoadedModel) else own_preparation(model)
    if own is not None:
        return own
    what = "the picture that was passed" if len(pictures) == 1 else f"the {len(pictures)} pictures that were passed"
    raise InputError(
        f"{what} needs preprocessing, but {type(model).__name__} does not say how: normalise first, or {HOW}"
    )


def _names(pictures: Sequence[Any]) -> tuple[str, ...]:
    """A name for each picture: its file's, with the folder where two are alike, or a number."""
    names = [picture.path.name if picture.path else f"picture {i}" for i, picture in enumerate(pictures)]
    if len(pictures) == 1 and not pictures[0].path:
        return ("picture",)
    return tuple(
        name if names.count(name) == 1 or not picture.path else str(picture.path)
        for name, picture in zip(names, pictures, strict=True)
    )


def _batch(model: nn.Module, inputs: Any) -> Any:
    """Inputs as the model takes them: numpy's numbers and lists of tensors become one tensor."""
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind == "f":
        return _at_home(model, torch.from_numpy(np.ascontiguousarray(inputs)))
    if isinstance(inputs, list | tuple) and inputs and all(isinstance(part, Tensor) for part in inputs):
        shapes = {part.shape for part in inputs}
        if len(shapes) == 1 and inputs[0].ndim == 3:
            return torch.stack(tuple(inputs))
    return inputs


def _seen(model: LoadedModel, inputs: Any) -> Float[Tensor, "b c h w"] | None:
    """What the network sees, 0..1, of inputs that its own preprocessing may have made; None where it has not."""
    settings = model.preprocess
    if not isinstance(inputs, Tensor) or inputs.ndim != 4 or not inputs.numel():
        return None
    if inputs.shape[1] != settings.channels or settings.order == "bgr":
        return None
    shape = (1, -1, 1, 1)
    deviation, mean = (inputs.new_tensor(part).reshape(shape) for part in (settings.std, settings.mean))
    view = inputs.detach() * deviation + mean
    return view.clamp(0, 1) if -0.01 <= float(view.min()) <= float(view.max()) <= 1.01 else None


def _at_home(model: nn.Module, inputs: Tensor) -> Tensor:
    """The inputs on the model's device and in its type."""
    first = (
        next((p for p in model.parameters() if p.is_floating_point()), None) if isinstance(model, nn.Module) else None
    )
    return inputs if first is None else inputs.to(first.device, first.dtype)
