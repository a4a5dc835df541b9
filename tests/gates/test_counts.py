"""Parameters, counted to the unit, of networks whose sizes are published."""

from functools import cache, partial

import pytest
import torch
import torchvision
from torch import nn

from sightline.gates import DIA, plug
from sightline.gates.modules.stateless import SpatialGroups, SqueezeExcite
from sightline.models.zoo.cifar import cifar_preresnet, cifar_resnet, wide_resnet, with_biases


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def tv(name: str) -> nn.Module:
    """Without its weights, which would take longer to draw than all else."""
    with torch.device("meta"):
        return torchvision.models.get_model(name)


def cifar(build, *args, **wishes):
    """With weights: networks as deep and narrow as these are plugged faster than on meta."""
    return partial(build, *args, **wishes)


PLAIN = {
    "ResNet-20 C10": (cifar(cifar_resnet, 20), 272_474),
    "ResNet-20 padded": (cifar(cifar_resnet, 20, pad=True), 269_722),
    "ResNet-164BN C100": (cifar(cifar_resnet, 164, 100, bottleneck=True), 1_727_284),
    "ResNet-50": (lambda: tv("resnet50"), 25_557_032),
    "fbresnet-50": (lambda: with_biases(tv("resnet50")), 25_583_592),
}

DIA_NETS = {
    "ResNet-20 C10": (cifar(cifar_resnet, 20), 286_866),
    "ResNet-20 C100": (cifar(cifar_resnet, 20, 100), 292_716),
    "ResNet-56 C10": (cifar(cifar_resnet, 56), 870_162),
    "ResNet-56 C100": (cifar(cifar_resnet, 56, 100), 876_012),
    "ResNet-110 C10": (cifar(cifar_resnet, 110), 1_745_106),
    "ResNet-110 C100": (cifar(cifar_resnet, 110, 100), 1_750_956),
    "ResNet-164BN C10": (cifar(cifar_resnet, 164, bottleneck=True), 1_923_002),
    "ResNet-164BN C100": (cifar(cifar_resnet, 164, 100, bottleneck=True), 1_946_132),
    "PreResNet-20 C10": (cifar(cifar_preresnet, 20), 286_674),
    "PreResNet-56 C10": (cifar(cifar_preresnet, 56), 869_970),
    "PreResNet-110 C10": (cifar(cifar_preresnet, 110), 1_744_914),
    "PreResNet-164BN C10": (cifar(cifar_preresnet, 164, bottleneck=True), 1_922_106),
    "PreResNet-164BN C100": (cifar(cifar_preresnet, 164, 100, bottleneck=True), 1_945_236),
    "PreResNet-164BN C100, authors": (
        cifar(cifar_preresnet, 164, 100, bottleneck=True, last_norm=True), 1_961_364),
    "ResNet-18": (lambda: tv("resnet18"), 12_568_072),
    "ResNet-34": (lambda: tv("resnet34"), 22_676_232),
    "ResNet-50": (lambda: tv("resnet50"), 39_516_072),
    "ResNet-101": (lambda: tv("resnet101"), 58_508_200),
    "ResNet-152": (lambda: tv("resnet152"), 74_151_848),
}  # fmt: skip
"""Networks with the DIA unit at reduction 4."""


@pytest.mark.parametrize("name", PLAIN)
def test_plain_networks_have_their_published_size(name):
    build, parameters = PLAIN[name]
    assert count(build()) == parameters


@pytest.mark.parametrize("name", DIA_NETS)
def test_dia_networks_have_their_published_size(name):
    assert with_dia(name) == DIA_NETS[name][1]


@cache
def with_dia(name: str) -> int:
    return count(plug(DIA_NETS[name][0](), "dia", reduction=4))


@pytest.mark.parametrize(
    ("gate", "share", "parameters"),
    [
        ("se", "block", 28_114_584),
        ("se", "stage", 26_283_992),
        ("sge", "block", 25_583_592 + 2_048),
        ("sge", "stage", 25_584_104),
        ("dia", "stage", 28_384_612),
        ("constant", "stage", 25_583_592),
    ],
)
def test_the_networks_of_the_ean_study_have_their_size(gate, share, parameters):
    assert count(plug(with_biases(tv("resnet50")), gate, share=share)) == parameters


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (lambda: tv("resnet50"), 28_088_024),
        (cifar(cifar_resnet, 20), 274_847),
        (cifar(cifar_resnet, 164, 100, bottleneck=True), 1_929_388),
    ],
)
def test_se_in_every_block_has_its_published_size(build, parameters):
    assert count(plug(build(), "se", share="block")) == parameters


@pytest.mark.parametrize(
    ("channels", "reduction", "parameters"),
    [(256, 20, 32_792), (512, 20, 132_146), (1024, 20, 530_534), (2048, 20, 2_105_548), (64, 4, 10_784)],
)
def test_the_unit_has_the_closed_form_with_its_floors(channels, reduction, parameters):
    middle = channels // reduction
    assert count(DIA(channels, reduction=reduction)) == parameters
    assert parameters == 10 * channels * middle + 2 * middle + 8 * channels


def test_reductions_and_cells_of_the_ablations():
    def extra(**wishes):
        return sum(count(DIA(channels, **wishes)) for channels in (64, 128, 256))

    found = {reduction: extra(reduction=reduction) for reduction in (1, 2, 4, 8, 16)}
    assert found == {1: 864_640, 2: 434_112, 4: 218_848, 8: 111_216, 16: 57_400}
    assert extra(cells=2) - extra() == extra(cells=3) - extra(cells=2) == 691_712


def test_resnet152_takes_the_papers_reduction_of_ten():
    net = tv("resnet152")
    assert count(plug(net, "dia", reduction=10)) == 60_192_808 + 5_579_004


def test_no_default_reduction_adds_half_a_network():
    assert count(plug(tv("resnet50"), "dia")) == 25_557_032 + 2_801_020
    assert count(plug(tv("resnet18"), "dia")) == 12_568_072


def test_extra_parameters_do_not_grow_with_depth():
    extra = {with_dia(f"ResNet-{depth} C10") - count(cifar_resnet(depth)) for depth in (20, 56, 110)}
    assert extra == {14_392}


def test_depth_of_the_se_and_dia_table():
    def pair(depth):
        nets = [cifar_resnet(depth, 100, bottleneck=True) for _ in range(2)]
        return count(plug(nets[0], "se", share="block")), count(plug(nets[1], "dia"))

    assert pair(83) == (993_712, 1_111_508)
    assert pair(245) == (2_865_064, 2_780_756)


def test_a_wide_resnet_has_the_size_of_the_papers_table():
    plain, gated = (wide_resnet(52, 4, 100, last_norm=last) for last in (False, True))
    assert round(count(plain) / 1e6, 2) == 12.07
    assert count(plug(gated, "dia")) - count(plain) == 218_848 + 8 * 2 * (64 + 128 + 256)


def test_shared_units_of_the_ean_study_alone():
    widths = (256, 512, 1024, 2048)
    assert sum(count(SqueezeExcite(width)) for width in widths) == 700_400
    assert sum(count(SpatialGroups(width)) for width in widths) == 512
