"""What gates cost: a forward with none, one per block, shared ones, and schemes of several densities, in one run.

    python benchmarks/gates_cost.py --toy
    python benchmarks/gates_cost.py --batches 1 50 --repetitions 15 --json out.json --write

Every forward is timed between two forwards of the plain network; its increment is the median of the ratios, minus 1.
For each gate the increments of the schemes are set against the density: the increment that density times the dense
one's increment foretells, and how far the measured one is from it. Beside them stands the DIA unit as a plain loop
over the blocks, written here. Feature maps are counted: bytes that a forward keeps for its backward, and the most
bytes that are alive in an inference forward.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from _measure import Ratio, conditions, dump, options, paired, seconds, table, write
from sightline.gates import Scheme, plug, sites

EAN = {"dia": (6, 3, 50, 3), "se": (2, 2, 51, 1), "sge": (4, 11, 19, 3)}
"""The published schemes of ResNet-50; SE's stands in the authors' code as a comment."""


@dataclass(frozen=True)
class Arm:
    """One network beside the plain one: its name, its gate, the share of plugged blocks, and its ratio."""

    name: str
    gate: str
    density: float
    ratio: Ratio


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
    return torchvision.models.get_model(name).eval()


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


def forward(model: nn.Module, inputs: Tensor) -> Callable[[], object]:
    def run() -> object:
        with torch.inference_mode():
            return model(inputs)

    return run


def measure(net: nn.Module, inputs: Tensor, gates: list[str], repetitions: int, device: str) -> list[Arm]:
    """Every network's forward against the plain one's."""
    plain = forward(net, inputs)
    found = arms(net, gates)
    if "dia" in gates:
        found["dia, hand-written loop", "dia", 1.0] = looped(net)
    yardstick = lambda: seconds(plain, device)  # noqa: E731
    return [
        Arm(name, gate, density, paired(forward(model, inputs), yardstick, repetitions=repetitions, device=device))
        for (name, gate, density), model in found.items()
    ]


def against_loop(net: nn.Module, inputs: Tensor, repetitions: int, device: str) -> Ratio:
    """Our DIA network's forward over the hand-written loop's; both give the same."""
    torch.manual_seed(1)
    ours = plug(copy.deepcopy(net), "dia")
    units = [getattr(ours, f"layer{stage}")[0].gate for stage in range(1, 5)]
    loop = LoopedResNet(net, units).eval()
    with torch.inference_mode():
        torch.testing.assert_close(ours(inputs), loop(inputs), rtol=1e-4, atol=1e-4)
    work, yardstick = forward(ours, inputs), lambda: seconds(forward(loop, inputs), device)
    return paired(work, yardstick, repetitions=repetitions, device=device)


def time_rows(found: list[Arm]) -> list[list[object]]:
    """One row per network: its increment, and that which its density foretells."""
    dense = {arm.gate: arm.ratio.median - 1 for arm in found if arm.name == f"{arm.gate}, shared"}
    rows: list[list[object]] = []
    for arm in found:
        got, told = arm.ratio.median - 1, dense[arm.gate] * arm.density
        off = f"{100 * (got / told - 1):+.0f} %" if told > 0 and arm.density < 1 else "-"
        spread = f"{100 * (arm.ratio.least - 1):+.1f} to {100 * (arm.ratio.most - 1):+.1f}"
        rows.append([arm.name, f"{arm.density:.2f}", f"{100 * got:+.1f} %", spread, off])
    return rows


def memory_rows(net: nn.Module, inputs: Tensor, gates: list[str]) -> list[list[object]]:
    """Feature maps of the plain network, of each gate one per block and shared."""
    plain = kept(net, inputs), alive(net, inputs)
    rows: list[list[object]] = [["plain", *(f"{size / 2**20:.1f}" for size in plain), "-", "-"]]
    models = {name: model for (name, _, density), model in arms(net, gates).items() if density == 1}
    if "dia" in gates:
        models["dia, hand-written loop"] = looped(net)
    for name, model in models.items():
        sizes = kept(model, inputs), alive(model, inputs)
        more = [f"{100 * (size / base - 1):+.1f} %" for size, base in zip(sizes, plain, strict=True)]
        rows.append([name, *(f"{size / 2**20:.1f}" for size in sizes), *more])
    return rows


def main() -> None:
    parser = options(__doc__, models=("resnet50",))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 50], help="batch sizes")
    parser.add_argument("--gates", nargs="+", default=["se", "sge", "dia"], help="gates to measure")
    asked = parser.parse_args()
    if asked.toy:
        asked.models, asked.batches, asked.repetitions = ["toy"], [1, 4], 3
    torch.set_num_threads(1)
    side = 64 if asked.toy else 224
    command = f"python benchmarks/gates_cost.py --batches {' '.join(map(str, asked.batches))}"
    facts: dict[str, Any] = {"command": command, "models": {}}
    parts = []
    for name in asked.models:
        net = network(name).to(asked.device)
        for batch in asked.batches:
            inputs = torch.randn(batch, 3, side, side, device=asked.device)
            found = measure(net, inputs, asked.gates, asked.repetitions, asked.device)
            head = ["network", "density", "increment", "least to most, %", "from density x dense"]
            parts.append(f"{name}, batch {batch}\n\n{table(head, time_rows(found))}")
            facts["models"][f"{name} batch {batch}"] = found
            if "dia" in asked.gates:
                ratio = against_loop(net, inputs, asked.repetitions, asked.device)
                parts.append(f"DIA here over the hand-written loop: {ratio} ({ratio.least:.2f} to {ratio.most:.2f})")
                facts["models"][f"{name} batch {batch} over loop"] = ratio
        inputs = torch.randn(2, 3, side, side, device=asked.device)
        rows = memory_rows(net, inputs, asked.gates)
        head = ["network", "kept for backward, MiB", "most alive in inference, MiB", "kept, more", "alive, more"]
        parts.append(f"{name}, feature maps at batch 2\n\n{table(head, rows)}")
        facts["models"][f"{name} memory"] = rows
    about = conditions(command, asked.device)
    facts["about"] = about
    text = "\n\n".join(parts)
    print(f"{about}\n\n{text}")
    dump(asked.json, facts)
    if asked.write:
        write("gates", f"{about}; {asked.repetitions} pairs each\n\n{text}")


if __name__ == "__main__":
    main()
