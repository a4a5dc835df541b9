"""The LRP flow against zennit at every layer of four networks, in float64.

zennit is asked in its own words, with what it cannot know by itself made explicit: sums and pooling are modules, and
the batch norms' epsilon is moved into the variance, since its canonizer leaves it behind in the emptied norms.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

import sightline
from tests.differential.agreement import assert_same, needs

TARGET = 3
DOUBLE = torch.float64


def vgg11_bn() -> nn.Module:
    model = models.vgg11_bn(num_classes=5)
    model.classifier = nn.Sequential(nn.Linear(512 * 49, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 5))
    return model


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "vgg11_bn": vgg11_bn,
    "resnet18": lambda: models.resnet18(num_classes=5),
    "mobilenet_v2": lambda: models.mobilenet_v2(num_classes=5),
    "squeezenet1_1": lambda: models.squeezenet1_1(num_classes=5),
}


def network(name: str) -> tuple[nn.Module, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = NETWORKS[name]().to(DOUBLE).eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.normal_(0, 0.3)
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
        return model, torch.randn(1, 3, 64, 64, dtype=DOUBLE)


def for_zennit(model: nn.Module) -> nn.Module:
    """The same network in the parts that zennit has rules for."""
    layer = needs("zennit.layer")
    twin = copy.deepcopy(model)
    for module in twin.modules():
        if getattr(module, "inplace", False):
            module.inplace = False
        if isinstance(module, nn.BatchNorm2d):
            module.running_var += module.eps
            module.eps = 0.0
        if isinstance(module, models.mobilenetv2.InvertedResidual) and module.use_res_connect:
            module.sum = layer.Sum()
            module.forward = lambda x, m=module: m.sum(torch.stack([x, m.conv(x)], -1))
    if isinstance(twin, models.MobileNetV2):
        twin.pool = nn.AdaptiveAvgPool2d(1)
        twin.forward = lambda x: twin.classifier(twin.pool(twin.features(x)).flatten(1))
    return twin


def relevance(model: nn.Module, x: Tensor, gamma: float, layers: tuple[str, ...]) -> dict[str, Tensor]:
    """Relevance at the outputs of some layers, summed over channels."""
    needs("zennit")
    from zennit.canonizers import SequentialMergeBatchNorm
    from zennit.composites import LayerMapComposite
    from zennit.rules import Epsilon, Gamma, Norm, Pass
    from zennit.torchvision import ResNetCanonizer
    from zennit.types import Activation, AvgPool, Convolution, Linear

    tiny = 1e-14
    rule: Any = Epsilon(tiny) if gamma == 0 else Gamma(1e9 if math.isinf(gamma) else gamma, stabilizer=tiny)
    layer = needs("zennit.layer")
    rules = [(Activation, Pass()), (layer.Sum, Norm(tiny)), (AvgPool, Norm(tiny)), (Convolution, rule),
             (Linear, Epsilon(tiny)), (nn.BatchNorm2d, Pass())]  # fmt: skip
    canonizers = [ResNetCanonizer() if isinstance(model, models.ResNet) else SequentialMergeBatchNorm()]
    kept: dict[str, Tensor] = {}

    def keep(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Tensor) -> None:
            output.retain_grad()
            kept[path] = output

        return hook

    with LayerMapComposite(rules, canonizers=canonizers).context(model) as ruled:
        handles = [ruled.get_submodule(path).register_forward_hook(keep(path)) for path in layers]
        y = ruled(x.clone().requires_grad_())
        start = torch.zeros_like(y)
        start[:, TARGET] = y[:, TARGET].detach()
        torch.autograd.backward(y, start)
        for handle in handles:
            handle.remove()
    return {path: tensor.grad.sum(1) for path, tensor in kept.items()}


@pytest.mark.parametrize("gamma", [0.0, 0.25, math.inf])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layers_relevance_is_zennits(name: str, gamma: float) -> None:
    model, x = network(name)
    twin = for_zennit(model)
    assert torch.allclose(twin(x), model(x), rtol=1e-9)
    flow = sightline.explain(model, x, target=TARGET, method="lrp", options={"gamma": gamma})[0].flow
    theirs = relevance(twin, x, gamma, flow.layers)
    assert len(theirs) == len(flow)
    for path, expected in theirs.items():
        assert_same(flow[path].values.double(), expected[0], within=1e-6)


def test_zennits_z_plus_is_ours_only_behind_a_relu() -> None:
    """One layer: equal where relevance comes back to positive outputs alone, another rule where it does not."""
    rules = needs("zennit.rules")
    torch.manual_seed(0)
    for rectified in (True, False):
        layer = nn.Conv2d(3, 4, 3, bias=False).to(DOUBLE)
        head = nn.Linear(4 * 36, 5).to(DOUBLE)

        class Net(nn.Module):
            def __init__(self, layer: nn.Module = layer, head: nn.Module = head, rectified: bool = rectified) -> None:
                super().__init__()
                self.here, self.layer, self.head, self.rectified = nn.Identity(), layer, head, rectified

            def forward(self, x: Tensor) -> Tensor:
                z = self.layer(self.here(x * 1.0))
                return self.head((F.relu(z) if self.rectified else z).flatten(1))

        x = torch.rand(1, 3, 8, 8, dtype=DOUBLE)
        options = {"gamma": "inf", "first": "gamma"}
        ours = (
            sightline.explain(Net().eval(), x, target=1, method="lrp", layers=["here"], options=options)[0]
            .flow[0]
            .values.double()
        )
        z = layer(x).detach()
        R = (z.relu() if rectified else z) * head.weight[1].detach().reshape(z.shape[1:])
        hook, copied = rules.ZPlus(stabilizer=1e-14), copy.deepcopy(layer)
        handles = hook.register(copied)
        leaf = x.clone().requires_grad_()
        (theirs,) = torch.autograd.grad(copied(leaf), leaf, R)
        handles.remove()
        same = torch.allclose(ours, theirs[0].sum(0), rtol=1e-5, atol=1e-6 * float(theirs.abs().max()))
        assert same == rectified
