"""The graph of one module's own forward: its parts stay calls of modules.

`torch.fx.Tracer.trace` replaces `nn.Module.__call__` and `nn.Module.__getattr__` while it reads. Python then renews
the tables of every class of modules, which takes 5 to 30 ms a trace once timm, torchvision and transformers are
loaded, and modules that run in other threads are recorded as well. Here each part of the block records its own call.
It knows nothing of gates and branches.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, fx, nn
from torch.fx import _symbolic_trace


class _Proxy(fx.Proxy):
    """A traced value; `x += y` stays in place, where torch.fx reads `x = x + y` and needs memory for it."""

    def __iadd__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


class _Parameters(dict[str, Any]):
    """A module's table of parameters while its code is read: what is looked up becomes a node of the graph."""

    def __init__(self, table: dict[str, Any], tracer: Shallow) -> None:
        super().__init__(table)
        self._tracer = tracer

    def __getitem__(self, name: str) -> Any:
        return self._tracer.getattr(name, super().__getitem__(name), self._tracer.proxies)


class Shallow(fx.Tracer):
    """Traces one module's own code; every module inside is a leaf."""

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """A value whose `+=` stays in place."""
        return _Proxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Every module."""
        return True

    def read(self, block: nn.Module) -> fx.Graph:
        """The graph of a module's forward.

        Raises:
            Exception: what its code raises when it is run on values that are not known.
        """
        kind = type(block)
        if _calls_wrapped(kind):
            return self.trace(block)
        try:
            return self._read_alone(block, kind)
        except TypeError:  # `math.sqrt` of a traced value, which torch.fx can read with its replacements only
            return type(self)().trace(block)

    def _read_alone(self, block: nn.Module, kind: type[nn.Module]) -> fx.Graph:
        self.root = block
        self.root_module_name = kind.__name__
        self.graph = fx.Graph(tracer_cls=type(self))
        self.proxies: dict[str, fx.Proxy] = {}
        modules = dict(block.named_modules())
        self.submodule_paths = {module: path for path, module in modules.items()}
        self.tensor_attrs = {
            value: f"{path}.{name}".lstrip(".")
            for path, module in modules.items()
            for name, value in vars(module).items()
            if isinstance(value, Tensor)
        }
        forward, arguments = self.create_args_for_root(kind.forward, True)
        with self._recording(block):
            self.create_node("output", "output", (self.create_arg(forward(*arguments)),), {})
        return self.graph

    @contextmanager
    def _recording(self, block: nn.Module) -> Iterator[None]:
        """The block's parts record their calls instead of running, and lookups of parameters are recorded."""
        before = [(vars(module), vars(module).copy()) for module in block.modules()]
        try:
            for module in block.modules():
                live = vars(module)
                if module is not block:
                    live["_compiled_call_impl"] = partial(self._record, module)
                if live.get("_parameters"):
                    live["_parameters"] = _Parameters(live["_parameters"], self)
            yield
        finally:
            for live, old in before:
                for name in ("_compiled_call_impl", "_parameters"):
                    if name in old:
                        live[name] = old[name]
                    else:
                        live.pop(name, None)

    def _record(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return self.call_module(module, module.forward, args, kwargs)


def _calls_wrapped(kind: type[nn.Module]) -> bool:
    """Whether functions that `torch.fx.wrap` keeps whole are used where the class is written."""
    code = getattr(kind.forward, "__globals__", {})
    return any(place == id(code) for place, _ in _symbolic_trace._wrapped_fns_to_patch)
