"""Nested structures: the order, the class, what is opened, and what stays the very same object."""

import dataclasses
from collections import OrderedDict, UserDict, namedtuple
from types import MappingProxyType, SimpleNamespace

import pytest
import torch

from sightline.common.nested import carriers_of, mapped, parts_of, replaced, tensors_of

Pair = namedtuple("Pair", "a b")


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: object
    b: object


@dataclasses.dataclass(slots=True)
class Slotted:
    a: object
    b: object


class Output:
    def __init__(self, a: object, b: object) -> None:
        self.a, self.b = a, b


class Cache:
    """Holds tensors, but none itself."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.layers = [tensor]


KINDS = {
    "tuple": lambda a, b: (a, b),
    "list": lambda a, b: [a, b],
    "dict": lambda a, b: {"a": a, "b": b},
    "ordered": lambda a, b: OrderedDict(a=a, b=b),
    "user dict": lambda a, b: UserDict(a=a, b=b),
    "named tuple": Pair,
    "namespace": lambda a, b: SimpleNamespace(a=a, b=b),
    "frozen": Frozen,
    "slotted": Slotted,
    "object": Output,
}


@pytest.mark.parametrize("opener", [parts_of, carriers_of])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inner", KINDS)
def test_every_structure_is_read_and_rebuilt_in_one_order(kind, inner, opener):
    x, y, z = torch.tensor(1.0), torch.tensor(2.0), torch.tensor(3.0)
    value = KINDS[kind](x, KINDS[inner](y, KINDS["tuple"](z, "text")))
    assert [t.item() for t in tensors_of(value, opener)] == [1, 2, 3]
    order = []

    def doubled(tensor):
        order.append(tensor.item())
        return tensor * 2

    twin = mapped(value, doubled, opener)
    assert order == [1, 2, 3]
    assert type(twin) is type(value)
    assert [t.item() for t in tensors_of(twin, opener)] == [2, 4, 6]
    assert [t.item() for t in tensors_of(value, opener)] == [1, 2, 3]  # the old one is as it was


@pytest.mark.parametrize("kind", KINDS)
def test_one_tensor_is_replaced_wherever_it_stands(kind):
    x, y = torch.tensor(1.0), torch.tensor(2.0)
    twin = replaced(KINDS[kind](x, [y, x]), x, torch.tensor(5.0))
    assert [t.item() for t in tensors_of(twin)] == [5, 2, 5]


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_change_is_the_very_same_object(kind):
    value = KINDS[kind](torch.ones(1), [torch.ones(2)])
    assert mapped(value, lambda tensor: tensor) is value
    assert replaced(value, torch.ones(1), torch.ones(1)) is value
    assert replaced(value, None, torch.ones(1)) is value


def test_a_cache_between_modules_stays_closed_and_that_of_an_output_is_opened():
    cache = Cache(torch.ones(1))
    assert tensors_of((cache,)) == []
    assert len(tensors_of((cache,), parts_of)) == 1


def test_a_structure_that_holds_itself_is_read_once():
    value: dict[str, object] = {"x": torch.ones(1)}
    value["self"] = value
    assert len(tensors_of(value)) == 1
    assert mapped(value, torch.neg)["x"].item() == -1


def test_a_mapping_that_cannot_be_written_becomes_a_dictionary():
    assert mapped(MappingProxyType({"x": torch.ones(1)}), torch.neg) == {"x": -torch.ones(1)}


def test_modules_functions_classes_and_text_hold_nothing():
    for value in (torch.nn.Linear(2, 2), len, Output, "text", b"bytes", 3, None):
        assert parts_of(value) == {}
