"""Giving a module another forward without touching what it holds: its class is exchanged, in place.

Weights, names, children, hooks, mode and `isinstance` stay as they are; copies and pickles work, because they name
the class that the module had. It knows nothing of gates.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar, cast

from torch import nn


class ClassSwapped(nn.Module):
    """A mix-in whose forward goes before that of the class that a module had."""

    plain: ClassVar[type[nn.Module]]

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        """A copy of everything that the module holds, under the same joint class."""
        copy = _blank(type(self).__mro__[1], type(self).plain)
        memo[id(self)] = copy
        vars(copy).update({name: deepcopy(value, memo) for name, value in vars(self).items()})
        return copy

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickles name the mix-in and the plain class, since the class made of both has no address."""
        kind = type(self)
        return _blank, (kind.__mro__[1], kind.plain), self._saved_state()

    def _saved_state(self) -> dict[str, Any]:
        """What a pickle takes along."""
        return dict(self.__dict__)


_JOINT: dict[tuple[type, type], type[nn.Module]] = {}


def swap(module: nn.Module, mixin: type[ClassSwapped]) -> None:
    """Give a module the forward of `mixin`."""
    module.__class__ = _swapped(mixin, type(module))


def swap_back(module: nn.Module) -> None:
    """Give a module the class that it had."""
    module.__class__ = type(cast(ClassSwapped, module)).plain


def _swapped(mixin: type[ClassSwapped], plain: type[nn.Module]) -> type[nn.Module]:
    """One class for each pair; it goes by the plain class's name."""
    body = {"plain": plain, "__module__": plain.__module__, "__qualname__": plain.__qualname__}
    return _JOINT.setdefault((mixin, plain), type(plain.__name__, (mixin, plain), body))


def _blank(mixin: type[ClassSwapped], plain: type[nn.Module]) -> nn.Module:
    """An empty module of the joint class, for a copy or a pickle to fill."""
    kind = _swapped(mixin, plain)
    return kind.__new__(kind)
