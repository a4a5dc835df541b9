"""Several inputs - by name, by position, from a processor - give the maps of the model with the others filled in."""

from __future__ import annotations

from collections import UserDict
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import sightline
from sightline.errors import InputError
from sightline.explainers import METHODS

GRADCAM = {"method": "gradcam"}


class Two(nn.Module):
    """Pixels and tokens of a text; the text weighs the channels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())
        self.words = nn.Embedding(20, 6)
        self.head = nn.Linear(6, 4)

    def forward(self, pixel_values, input_ids=None, attention_mask=None, return_dict=False):
        pooled = self.conv(pixel_values).mean((2, 3))
        words = self.words(input_ids)
        if attention_mask is not None:
            words = words * attention_mask[..., None]
        logits = self.head(pooled * words.mean(1))
        return {"logits": logits} if return_dict else logits


class Alone(nn.Module):
    """The same with its words inside: what is right."""

    def __init__(self, net: Two, **others) -> None:
        super().__init__()
        self.net, self.others = net, others

    def forward(self, x):
        return self.net(x, **self.others)


def pixels(b=3, side=12):
    return torch.randn(b, 3, side, side, generator=torch.Generator().manual_seed(1))


def ids(b=3):
    return torch.arange(b * 5).reshape(b, 5) % 20


def right(b, **others):
    """Sample by sample, each with its own words."""
    maps = []
    for i in range(b):
        own = {name: value[i : i + 1] if isinstance(value, torch.Tensor) else value for name, value in others.items()}
        one = sightline.explain(Alone(Two(), **own), pixels()[i : i + 1], layers="net.conv.3", **GRADCAM)[0]
        maps.append(one.flow.maps[0].values)
    return maps


FORMS = {
    "dict": lambda: {"pixel_values": pixels(), "input_ids": ids()},
    "other order": lambda: {"input_ids": ids(), "pixel_values": pixels()},
    "UserDict, as a BatchFeature is": lambda: UserDict(pixel_values=pixels(), input_ids=ids()),
    "numpy inside": lambda: {"pixel_values": pixels().numpy(), "input_ids": ids().numpy()},
    "tuple": lambda: (pixels(), ids()),
}


@pytest.mark.parametrize("size", [None, 1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_each_sample_is_explained_with_what_belongs_to_it(form, size):
    found = sightline.explain(Two(), FORMS[form](), layers="conv.3", batch_size=size, **GRADCAM)
    for one, expected in zip(found, right(3, input_ids=ids()), strict=True):
        assert torch.allclose(one.flow.maps[0].values, expected, atol=1e-6)
    assert found[0].provenance["input"] in ("pixel_values", "0")


def test_what_has_no_row_for_each_sample_goes_with_all():
    mask = torch.ones(1, 5)
    mask[0, 3:] = 0
    inputs = {"pixel_values": pixels(), "input_ids": ids(), "attention_mask": mask, "return_dict": True}
    found = sightline.explain(Two(), inputs, layers="conv.3", batch_size=2, **GRADCAM)
    for one, expected in zip(found, right(3, input_ids=ids(), attention_mask=mask.repeat(3, 1)), strict=True):
        assert torch.allclose(one.flow.maps[0].values, expected, atol=1e-6)


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.needs != "attention" and n != "smoothgrad"])
def test_every_method_takes_several_inputs(name):
    options = {"scorecam": {"groups": 3}, "ablationcam": {"groups": 3}, "integrated_gradients": {"steps": 4}}
    wishes = {"method": name, "options": {name: options[name]} if name in options else None}
    inputs = {"pixel_values": pixels(2), "input_ids": ids(2)}
    found = sightline.explain(Two(), inputs, target=1, **wishes)
    for i, one in enumerate(found):
        alone = sightline.explain(
            Alone(Two(), input_ids=ids(2)[i : i + 1]), pixels(2)[i : i + 1], target=1, **wishes
        )[0]
        for a, b in zip(one.flow.maps, alone.flow.maps, strict=True):
            assert torch.allclose(a.values, b.values, atol=1e-5), a.layer


class Pair(nn.Module):
    """Two pictures of different sizes and a row of a table."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.near, self.far, self.table = nn.Conv2d(3, 4, 3), nn.Conv2d(1, 4, 3), nn.Linear(5, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, near, far, table):
        seen = torch.cat([self.near(near).relu().mean((2, 3)), self.far(far).relu().mean((2, 3))], 1)
        return self.head(seen * self.table(table))


def rooms():
    return {"near": pixels(2), "far": pixels(2)[:, :1], "table": torch.ones(2, 5)}


@pytest.mark.parametrize(("wish", "layer"), [("near", "near"), ("far", "far")])
def test_the_input_that_is_named_is_explained(wish, layer):
    one = sightline.explain(Pair(), rooms(), explained=wish, **GRADCAM)[0]
    assert (one.flow.layers, one.provenance["input"]) == ((layer,), wish)


def test_by_position_too():
    one = sightline.explain(Pair(), tuple(rooms().values()), explained=1, **GRADCAM)[0]
    assert (one.flow.layers, one.provenance["input"]) == (("far",), "1")


def test_all_inputs_are_explained_in_turn_and_one_that_has_no_places_is_left_out():
    found = sightline.explain(Pair(), rooms(), explained="all", **GRADCAM)
    assert [one.provenance["input"] for one in found] == ["near", "near", "far", "far"]
    assert "table" in found[0].provenance["inputs_left_out"]


def test_pictures_may_stand_among_the_inputs():
    from sightline.models.preprocess import Preprocess

    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    inputs = {"pixel_values": picture, "input_ids": ids(1)}
    one = sightline.explain(Two(), inputs, preprocess=Preprocess((12, 12)), **GRADCAM)[0]
    assert one.image.shape == (3, 12, 12)


def test_embeddings_take_several_inputs():
    assert sightline.embed(Two(), FORMS["dict"](), batch_size=2).shape == (3, 6)


BAD = {
    "not clear": (rooms(), None, "several parts of the inputs hold floats: 'near', 'far'; say .*explained='near'"),
    "no such name": (rooms(), "depth", "no part 'depth' of floats; they hold 'near' .2, 3, 12, 12. float32, 'far'"),
    "no such position": (tuple(rooms().values()), 7, "no part 7 of floats"),
    "no floats": ({"input_ids": ids()}, None, "no part of the inputs holds floats.*'input_ids' .3, 5. int64"),
    "nothing": ({}, None, "they hold nothing"),
    "no tensor is named": (
        {"pixel_values": pixels(), "mode": "fast"},
        "mode",
        "no part 'mode' of floats; they hold .*'mode' str",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_told_apart_is_asked_in_a_sentence(name):
    inputs, explained, says = BAD[name]
    with pytest.raises(InputError, match=says):
        sightline.explain(Pair(), inputs, explained=explained)


def test_all_is_for_several_inputs():
    with pytest.raises(InputError, match="a mapping or a tuple"):
        sightline.explain(Two(), pixels(), explained="all")


class Towers(nn.Module):
    """Every picture against every sentence, whatever their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.two = Two()

    def forward(self, pixel_values, input_ids):
        seen, words = self.two.conv(pixel_values).mean((2, 3)), self.two.words(input_ids).mean(1)
        return seen @ words.T


@pytest.mark.parametrize("b", [1, 2])
@pytest.mark.parametrize("method", ["gradcam", "lrp", "scorecam", "saliency"])
def test_sentences_that_are_classes_go_with_every_picture(b, method):
    both = {"pixel_values": pixels(b), "input_ids": ids(3)}
    found = sightline.explain(Towers(), both, target=2, method=method)
    for i, one in enumerate(found):
        alone = sightline.explain(Towers(), {**both, "pixel_values": pixels(b)[i : i + 1]}, target=2, method=method)[
            0
        ]
        assert torch.allclose(one.flow.maps[-1].values, alone.flow.maps[-1].values, atol=1e-6)
        assert one.decision.index == 2


def test_rows_that_do_not_fit_are_the_models_own_error_in_a_sentence():
    with pytest.raises(sightline.SightlineError, match="Two failed on inputs"):
        sightline.explain(Two(), {"pixel_values": pixels(4), "input_ids": ids(3)})


def test_what_the_model_does_not_take_is_its_own_error_in_a_sentence():
    with pytest.raises(sightline.SightlineError, match=r"Two failed.*unexpected keyword"):
        sightline.explain(Two(), {"pixel_values": pixels(), "input_ids": ids(), "foo": 1})


def test_the_inputs_stay_as_they_were():
    inputs = FORMS["dict"]()
    sightline.explain(Two(), inputs, **GRADCAM)
    assert list(inputs) == ["pixel_values", "input_ids"]
    assert torch.equal(inputs["input_ids"], ids())
    assert not inputs["pixel_values"].requires_grad


@pytest.mark.parametrize("call", [partial(nn.Module.train), partial(nn.Module.eval)], ids=["train", "eval"])
def test_in_any_mode(call):
    net = Two()
    call(net)
    assert len(sightline.explain(net, FORMS["dict"](), **GRADCAM)) == 3
