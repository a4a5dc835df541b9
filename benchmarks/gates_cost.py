"""What gates cost: a forward with none, one per block, shared ones, and schemes of several densities, in one run.

    python benchmarks/gates_cost.py --toy
    python benchmarks/gates_cost.py --json out.json --write

A round times every network once, in an order of its own, and the plain one before every fourth. A network's whole
increment is its time over the mean of the round's plain ones, minus 1, the median over rounds. It moves by some
hundredths from round to round, as much as a small gate costs; so the time that is spent in gates is taken as well,
inside the same forward, over the time that is not. For each gate that figure of a scheme is set against its
density: what density times the dense scheme's foretells, and how far the measured one is from it, with an interval
over rounds. Beside them stands the DIA unit as a plain loop over the blocks, written here. Feature maps are
counted: bytes that a forward keeps for its backward, and the most bytes that are alive in an inference forward.

Large tensors come fresh from the kernel at every forward, and clearing their pages takes about as long as computing.
`--memory kept` lets the process keep its memory instead (glibc only), so that what is timed is the network; `system`
leaves the allocator as it is.
"""

from __future__ import annotations

import copy
import ctypes
import itertools
import math
import random
import statistics
import sys
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from _measure import Ratio, command, conditions, dump, options, paired, seconds, table, write
from sightline.gates import Scheme, plug, sites
from sightline.gates.analysis.probing import at_gates
from sightline.gates.surgery.block import GatedBlock
from sightline.models.zoo.cifar_names import cifar_net, is_cifar

EAN = {"dia": (6, 3, 50, 3), "se": (2, 2, 51, 1), "sge": (4, 11, 19, 3)}
"""The published schemes of ResNet-50; SE's stands in the authors' code as a comment."""

LOOP = "dia, hand-written loop"
TIMES = ["network", "density", "whole forward", "in gates", "from density x dense", "from map values x dense"]
BYTES = ["network", "kept for backward, MiB", "most alive in inference, MiB", "kept, more", "alive, more"]

PLAIN_EVERY = 4
"""A round times the plain network before every fourth other one, and once at its end."""

MALLOPT = {"kept": {-4: 0, -1: 2**31 - 1}, "system": {-4: 65536, -1: 128 * 1024}}
"""Settings of glibc's allocator: M_MMAP_MAX (-4) and M_TRIM_THRESHOLD (-1)."""


@dataclass(frozen=True)
class Arm:
    """One network beside the plain one.

    Its name, its gate, the shares of gated blocks and of gated map values; and per round its time over the plain
    one's, and its time in gates over that outside of them (NaN where that cannot be seen).
    """

    name: str
    gate: str
    density: float
    maps: float
    ratios: list[float]
    inside: list[float]

    @property
    def increment(self) -> float:
        """Of the whole time: median over rounds."""
        return statistics.median(self.ratios) - 1

    @property
    def share(self) -> float:
        """Time in gates over time outside of them: median over rounds."""
        return statistics.median(self.inside)


class LoopedResNet(nn.Module):
    """DIA in a ResNet as one would write it by hand: a loop over the blocks, the cell's equations in line."""

    def __init__(self, net: Any, units: list[nn.Module]) -> None:
        super().__init__()
        self.net = net
        self.units = nn.ModuleList(units)

    def forward(self, x: Tensor) -> Tensor:
        """Class logits."""
        net = self.net
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        for unit, stage in zip(self.units, (net.layer1, net.layer2, net.layer3, net.layer4), strict=True):
            h = torch.zeros(x.shape[0], stage[-1].bn2.num_features * stage[-1].expansion)
            c = torch.zeros_like(h)
            for block in stage:
                y = self.branch(block, x)
                i, f, g, o = (unit.read[0](y.mean((2, 3))) + unit.recall[0](h)).chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.sigmoid(c)
                y = y * h[:, :, None, None]
                y += x if block.downsample is None else block.downsample(x)
                x = block.relu(y)
        return net.fc(net.avgpool(x).flatten(1))

    @staticmethod
    def branch(block: Any, x: Tensor) -> Tensor:
        """A block up to its last norm."""
        x = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x)))))
        return block.bn3(block.conv3(block.relu(x))) if hasattr(block, "conv3") else x


class Alive(TorchDispatchMode):
    """The most bytes of new tensors that are alive at once while it is on; the model's own do not count."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else (out,):
            if isinstance(one, Tensor):
                self._note(one.untyped_storage())
        return out

    def _note(self, storage: Any) -> None:
        address, size = storage.data_ptr(), storage.nbytes()
        if address and address not in self._known:
            self._known.add(address)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._drop, address, size)

    def _drop(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.now -= size


def alive(model: nn.Module, inputs: Tensor) -> int:
    """The most bytes alive in an inference forward."""
    with torch.no_grad(), Alive(model) as watch:
        model(inputs)
    return watch.most


def kept(model: nn.Module, inputs: Tensor) -> int:
    """Bytes of activations that a forward keeps for its backward, each storage once; parameters do not count."""
    own = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    found: dict[int, tuple[int, Tensor]] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = model(inputs)
    del out
    return sum(size for size, _ in found.values())


def network(name: str) -> nn.Module:
    """A torchvision ResNet with seeded weights; the toy has four narrow stages of two blocks."""
    import torchvision

    torch.manual_seed(0)
    if name == "toy":
        return torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2], num_classes=10).eval()
    return (cifar_net(name, 10) if is_cifar(name) else torchvision.models.get_model(name)).eval()


def arms(net: nn.Module, gates: list[str]) -> dict[tuple[str, str, float], nn.Module]:
    """Every network that is measured, by name, gate and density."""
    lengths = sites(net).lengths
    found: dict[tuple[str, str, float], nn.Module] = {}
    for gate in gates:
        found[f"{gate}, one per block", gate, 1.0] = plug(copy.deepcopy(net), gate, share="block")
        found[f"{gate}, shared", gate, 1.0] = plug(copy.deepcopy(net), gate)
        for label, scheme in schemes(gate, lengths).items():
            found[f"{gate}, shared, {label}", gate, scheme.density] = plug(copy.deepcopy(net), gate, scheme=scheme)
    return found


def schemes(gate: str, lengths: tuple[int, ...]) -> dict[str, Scheme]:
    """The published scheme where it fits, and every second and third block."""
    named = {f"every {k}": Scheme.every(k, lengths) for k in (2, 3)}
    if lengths == (3, 4, 6, 3) and gate in EAN:
        named = {f"EAN {EAN[gate]}": Scheme.from_ints(EAN[gate], lengths), **named}
    return named


def looped(net: nn.Module) -> LoopedResNet:
    """The hand-written DIA network with the weights of the plugged one."""
    plugged = plug(copy.deepcopy(net), "dia")
    units = [getattr(plugged, f"layer{stage}")[0].gate for stage in range(1, 5)]
    return LoopedResNet(copy.deepcopy(net), units).eval()


def forward(model: nn.Module, inputs: Tensor, times: int = 1) -> Callable[[], object]:
    def run() -> None:
        with torch.inference_mode():
            for _ in range(times):
                model(inputs)

    return run


def measure(net: nn.Module, inputs: Tensor, gates: list[str], rounds: int, device: str, least: float) -> list[Arm]:
    """Every network's forward against the plain one's; a reading takes `least` seconds or more."""
    found = arms(net, gates)
    if "dia" in gates and hasattr(net, "layer4"):
        found[LOOP, "dia", 1.0] = looped(net)
    forward(net, inputs)()
    times = math.ceil(least / seconds(forward(net, inputs), device))
    plain, works = forward(net, inputs, times), {key: forward(model, inputs, times) for key, model in found.items()}
    for work in (plain, *works.values()):
        work()
    clocks = {key: GateClock(model) for key, model in found.items()}
    ratios: dict[tuple[str, str, float], list[float]] = {key: [] for key in works}
    inside: dict[tuple[str, str, float], list[float]] = {key: [] for key in works}
    dice = random.Random(0)
    for done in range(rounds):
        order, base, took = dice.sample(list(works), len(works)), [], {}
        for at, key in enumerate(order):
            if at % PLAIN_EVERY == 0:
                base.append(seconds(plain, device))
            clocks[key].seconds = 0.0
            took[key] = seconds(works[key], device)
            within = clocks[key].seconds if device == "cpu" and clocks[key].gates else math.nan
            inside[key].append(within / (took[key] - within))
        base.append(seconds(plain, device))
        for key, whole in took.items():
            ratios[key].append(whole / statistics.mean(base))
        print(
            f"round {done + 1} of {rounds}: plain {statistics.mean(base) / times:.3f} s", file=sys.stderr, flush=True
        )
    through = {key: passed(model, inputs[:1]) for key, model in found.items()}
    return [
        Arm(*key, through[key] / through[f"{key[1]}, shared", key[1], 1.0], ratios[key], inside[key]) for key in works
    ]


class GateClock:
    """CPU seconds that a model spends in its gates."""

    def __init__(self, model: nn.Module) -> None:
        gated = [module for module in model.modules() if isinstance(module, GatedBlock)]
        self.gates = {id(block.shared_gate()): block.shared_gate() for block in gated}
        self.seconds = self._since = 0.0
        for gate in self.gates.values():
            gate.register_forward_pre_hook(self._enter)
            gate.register_forward_hook(self._leave)

    def _enter(self, *_: Any) -> None:
        self._since = time.process_time()

    def _leave(self, *_: Any) -> None:
        self.seconds += time.process_time() - self._since


def passed(model: nn.Module, inputs: Tensor) -> int:
    """How many values of feature maps pass through gates in one forward; none in the hand-written loop."""
    if isinstance(model, LoopedResNet):
        return 0
    counts: list[int] = []
    with at_gates(model, lambda path, gate, given, out: counts.append(given[0].numel())), torch.no_grad():
        model(inputs)
    return sum(counts)


def over_loop(net: nn.Module, inputs: Tensor, pairs: int, device: str, least: float) -> Ratio:
    """Our DIA network's forward over that of the hand-written loop before and behind it; both give the same."""
    torch.manual_seed(1)
    ours = plug(copy.deepcopy(net), "dia")
    units = [getattr(ours, f"layer{stage}")[0].gate for stage in range(1, 5)]
    loop = LoopedResNet(net, units).eval()
    with torch.inference_mode():
        torch.testing.assert_close(ours(inputs), loop(inputs), rtol=1e-4, atol=1e-4)
    times = math.ceil(least / seconds(forward(loop, inputs), device))
    work, yardstick = forward(ours, inputs, times), forward(loop, inputs, times)
    return paired(work, lambda: seconds(yardstick, device), repetitions=pairs, device=device)


def from_foretold(arm: Arm, dense: Arm, share: float) -> tuple[float, float, float]:
    """How far time in gates is from the dense scheme's times a share, with a 95 % bootstrap interval over rounds."""
    rounds = np.random.default_rng(0).integers(len(arm.inside), size=(4000, len(arm.inside)))
    got, full = (np.median(np.array(one.inside)[rounds], 1) for one in (arm, dense))
    low, high = np.percentile(got / (full * share) - 1, [2.5, 97.5])
    return arm.share / (dense.share * share) - 1, float(low), float(high)


def time_rows(found: list[Arm]) -> list[list[object]]:
    """One row per network: its increments, and that which its density and its share of map values foretell."""
    dense = {arm.gate: arm for arm in found if arm.name == f"{arm.gate}, shared"}
    rows: list[list[object]] = []
    for arm in found:
        spread = f"{100 * (min(arm.ratios) - 1):+.1f} to {100 * (max(arm.ratios) - 1):+.1f}"
        seen = not math.isnan(arm.share)
        row: list[object] = [arm.name, f"{arm.density:.2f}", f"{100 * arm.increment:+.1f} % ({spread})"]
        row += [f"{100 * arm.share:.2f} %" if seen else "-", "-", "-"]
        if arm.density < 1 and seen:
            off, low, high = (100 * v for v in from_foretold(arm, dense[arm.gate], arm.density))
            maps = 100 * from_foretold(arm, dense[arm.gate], arm.maps)[0]
            row[4:] = [f"{off:+.0f} % [{low:+.0f}, {high:+.0f}]", f"{maps:+.0f} %"]
        rows.append(row)
    return rows


def set_memory(how: str) -> None:
    """Let the process keep freed memory, or give large pieces back to the kernel; only glibc can be told."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    for name, value in MALLOPT[how].items() if mallopt else ():
        mallopt(name, value)


def memory_rows(net: nn.Module, inputs: Tensor, gates: list[str]) -> list[list[object]]:
    """Feature maps of the plain network, of each gate one per block and shared."""
    plain = kept(net, inputs), alive(net, inputs)
    rows: list[list[object]] = [["plain", *(f"{size / 2**20:.1f}" for size in plain), "-", "-"]]
    models = {name: model for (name, _, density), model in arms(net, gates).items() if density == 1}
    if "dia" in gates and hasattr(net, "layer4"):
        models[LOOP] = looped(net)
    for name, model in models.items():
        sizes = kept(model, inputs), alive(model, inputs)
        more = [f"{100 * (size / base - 1):+.1f} %" for size, base in zip(sizes, plain, strict=True)]
        rows.append([name, *(f"{size / 2**20:.1f}" for size in sizes), *more])
    return rows


def main() -> None:
    parser = options(__doc__, models=("cifar-resnet164bn", "resnet50"), repetitions=7)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 50], help="batch sizes")
    parser.add_argument("--gates", nargs="+", default=["se", "sge", "dia"], help="gates to measure")
    parser.add_argument("--memory", nargs="+", default=["kept"], choices=MALLOPT, help="what becomes of freed memory")
    parser.add_argument(
        "--least", type=float, default=0.3, help="seconds of a reading; small networks run several times"
    )
    parser.add_argument("--table", default="gates", help="name of the table in docs/studies/performance.md")
    asked = parser.parse_args()
    if asked.toy:
        asked.models, asked.batches, asked.repetitions, asked.least = ["toy"], [2], 2, 0.02
    torch.set_num_threads(1)
    facts: dict[str, Any] = {"command": command(), "models": {}}
    parts = []
    for name in asked.models:
        net, side = network(name).to(asked.device), 64 if name == "toy" else 32 if is_cifar(name) else 224
        for memory, batch in itertools.product(asked.memory, asked.batches):
            set_memory(memory)
            inputs = torch.randn(batch, 3, side, side, device=asked.device)
            found = measure(net, inputs, asked.gates, asked.repetitions, asked.device, asked.least)
            label = f"{name}, batch {batch}, memory {memory}"
            parts.append(f"{label}\n\n{table(TIMES, time_rows(found))}")
            facts["models"][label] = found
            if any(arm.name == LOOP for arm in found):
                ratio = over_loop(net, inputs, 2 * asked.repetitions, asked.device, asked.least)
                spread = f"{ratio.least:.2f} to {ratio.most:.2f}; {ratio.repetitions} pairs"
                parts.append(f"DIA here over the hand-written loop: {ratio} ({spread})")
        rows = memory_rows(net, torch.randn(2, 3, side, side, device=asked.device), asked.gates)
        parts.append(f"{name}, feature maps at batch 2\n\n{table(BYTES, rows)}")
        facts["models"][f"{name}, feature maps"] = rows
    about = conditions(asked.device)
    facts["about"] = about
    text = "\n\n".join(parts)
    print(f"{about}\n\n{text}")
    dump(asked.json, facts)
    if asked.write:
        write(asked.table, f"{about}; {asked.repetitions} rounds\n\n{text}")


if __name__ == "__main__":
    main()
