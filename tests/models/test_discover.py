"""Layers of real architectures are found, with the layouts that their computation gives them."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

from sightline.errors import LayerError
from sightline.models import adapt
from sightline.models.adapter.discover import discover_convolutions
from sightline.models.zoo.birdnet import load_birdnet

KNOWN = {
    "torchvision:resnet50": (16, "layer1.0", "layer4.2", 53),
    "torchvision:vgg16": (13, "features.1", "features.29", 13),
    "torchvision:densenet121": (62, "features.denseblock1.denselayer1", "features.norm5", 120),
    "torchvision:mobilenet_v2": (19, "features.0", "features.18", 52),
    "torchvision:squeezenet1_0": (10, "features.1", "classifier.2", 26),
    "torchvision:inception_v3": (16, "Conv2d_1a_3x3", "Mixed_7c", 96),
    "torchvision:convnext_tiny": (22, "features.0", "features.7.2", 22),
    "torchvision:maxvit_t": (35, "stem.0", "blocks.3.layers.1.layers.grid_attention", None),
    "torchvision:vit_b_16": (12, "encoder.layers.encoder_layer_0.ln_1", "encoder.layers.encoder_layer_11.ln_1", 1),
    "torchvision:swin_t": (16, "features.0", "features.7.1", 1),
    "timm:resnet18": (8, "layer1.0", "layer4.1", 20),
    "timm:vit_small_patch16_224": (13, "patch_embed", "blocks.11.norm1", 1),
    "timm:efficientnet_b0": (16, "blocks.0.0", "blocks.6.0", 81),
    "timm:mixer_s32_224": (9, "stem", "blocks.7", 1),
    "timm:regnety_002": (14, "stem", "s4.b7", None),
}


def on_meta(name: str) -> nn.Module:
    """The architecture without weights: costs no memory and no time."""
    import timm
    import torchvision

    origin, _, model = name.partition(":")

    def build() -> nn.Module:
        if origin == "timm":
            return timm.create_model(model, pretrained=False)
        return torchvision.models.get_model(model, weights=None)

    try:
        with torch.device("meta"):
            return build()
    except NotImplementedError:  # torch 2.6 lacks an operation there that regnety's widths are computed with
        return build().to("meta")


@pytest.mark.parametrize("name", KNOWN)
def test_blocks_and_convolutions_of_known_architectures(name: str) -> None:
    if name == "torchvision:inception_v3":
        import torchvision

        with torch.device("meta"):
            model: nn.Module = torchvision.models.inception_v3(weights=None, init_weights=False)
    else:
        model = on_meta(name)
    count, first, last, convolutions = KNOWN[name]
    blocks = [spec.path for spec in adapt(model.eval()).layers(empty(model, 299 if "inception" in name else 224))]
    assert (len(blocks), blocks[0], blocks[-1]) == (count, first, last)
    assert convolutions in (None, len(discover_convolutions(model)))


@pytest.mark.parametrize(
    ("name", "size", "tokens"),
    [
        ("timm:deit_tiny_distilled_patch16_224", 224, 2),
        ("timm:vit_small_patch14_reg4_dinov2", 518, 5),
        ("timm:resnet18", 224, 0),
    ],
)
def test_tokens_before_the_places_are_counted(name: str, size: int, tokens: int) -> None:
    model = on_meta(name).eval()
    structure = adapt(model).structure(empty(model, size))
    site = structure.site(structure.blocks[-1].path, "output", 1)
    assert site is not None
    assert site.layout is not None
    assert site.layout.prefix == tokens
    assert site.layout.size == {2: (14, 14), 5: (37, 37), 0: (7, 7)}[tokens]


def empty(model: nn.Module, size: int) -> torch.Tensor:
    return torch.empty(1, 3, size, size, device=next(model.parameters()).device)


def test_a_plain_module_without_blocks_is_read_at_its_convolutions() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 4, 3)
            self.conv2 = nn.Conv2d(4, 4, 3)
            self.fc = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.conv2(self.conv1(x)).mean((2, 3)))

    assert [spec.path for spec in adapt(Plain()).layers(torch.ones(1, 3, 8, 8))] == ["conv1", "conv2"]


def test_a_model_without_any_place_to_look_is_refused() -> None:
    with pytest.raises(LayerError, match="no layer of Sequential has places"):
        adapt(nn.Sequential(nn.Flatten(), nn.Linear(12, 2))).layers(torch.ones(1, 3, 2, 2))


def test_wildcards_lists_and_groups_choose_stages() -> None:
    model = on_meta("torchvision:resnet50").eval()
    adapter = adapt(model).structure(empty(model, 64))
    assert [s.path for s in adapter.layers("layer4.?")] == ["layer4.0", "layer4.1", "layer4.2"]
    assert [s.path for s in adapter.layers("layer4.0, layer1.*")] == ["layer4.0", "layer1.0", "layer1.1", "layer1.2"]
    assert [s.path for s in adapter.layers(["layer2.1.conv2"])] == ["layer2.1.conv2"]
    assert [s.path for s in adapter.layers("last")] == ["layer4.2"]
    assert len(adapter.layers("convs")) == 53
    with pytest.raises(LayerError, match="no layer was asked for"):
        adapter.layers([])


def test_a_model_that_is_rebuilt_is_looked_at_anew() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    x = torch.ones(1, 3, 8, 8)
    assert [spec.path for spec in adapt(model).layers(x)] == ["1"]
    model.append(nn.Conv2d(4, 4, 3))
    assert [spec.path for spec in adapt(model).layers(x)] == ["1", "2"]
    assert adapt(model).structure(x) is adapt(model).structure(x)


def test_models_that_were_looked_at_are_not_kept_alive() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    adapt(model).structure(torch.ones(1, 3, 8, 8))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


class Queries(nn.Module):
    """A backbone, and queries that read it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.queries = nn.Parameter(torch.randn(10, 8))
        self.decoder = nn.ModuleList([nn.TransformerDecoderLayer(8, 2, 16, batch_first=True) for _ in range(2)])
        self.idle, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        memory, queries = self.backbone(x).flatten(2).mT, self.queries.expand(len(x), -1, -1)
        for block in self.decoder:
            queries = block(queries, memory)
        return self.head(queries.mean(1))


def test_blocks_without_places_are_named_with_the_reason() -> None:
    model = Queries().eval()
    structure = adapt(model).structure(torch.rand(1, 3, 16, 16))
    assert [spec.path for spec in structure.blocks] == ["backbone.1", "backbone.3"]
    assert list(structure.without_places) == ["decoder.0", "decoder.1", "head"]
    assert "queries" in structure.without_places["decoder.0"]


def test_a_part_that_takes_places_and_gives_none_is_read_where_it_takes_them() -> None:
    model = Queries().eval()
    structure = adapt(model).structure(torch.rand(1, 3, 16, 16))
    (spec,) = structure.layers("decoder.1")
    assert (spec.path, spec.side) == ("decoder.1", "input")
    site = structure.site("decoder.1", "input", 1)
    assert site is not None
    assert site.layout is not None
    assert site.layout.size == (4, 4)


class Wrapper(nn.Module):
    """A network as an attribute, as most code holds it."""

    def __init__(self, net: nn.Module, name: str = "net") -> None:
        super().__init__()
        self.name = name
        setattr(self, name, net)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = getattr(self, self.name)((x - 0.45) / 0.2)
        return out


@pytest.mark.parametrize(
    ("attribute", "depth"),
    [("backbone", 1), ("model", 2), ("head", 3), ("classifier", 1), ("encoder", 2), ("_net", 3)],
)
@pytest.mark.parametrize("name", ["torchvision:resnet18", "timm:vit_tiny_patch16_224", "torchvision:densenet121"])
def test_a_network_inside_modules_has_the_layers_that_it_has_alone(name: str, attribute: str, depth: int) -> None:
    inner = on_meta(name).eval()
    alone = [spec.path for spec in adapt(inner).layers(empty(inner, 224))]
    model: nn.Module = inner
    for _ in range(depth):
        model = Wrapper(model, attribute)
    prefix = ".".join([attribute] * depth)
    layers = [spec.path for spec in adapt(model.eval()).layers(empty(inner, 224))]
    assert layers == [f"{prefix}.{path}" for path in alone]


def test_a_network_of_which_only_parts_are_called_is_looked_into() -> None:
    """`self.net.forward_features(x)`, as people use timm's models: the network itself never runs."""

    class Frame(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = load_birdnet()
            self.there, self.sides = nn.Conv2d(112, 1, 1), nn.Conv2d(112, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.net.forward_features(x)
            return torch.cat([self.there(x), self.sides(x)], 1).mean((2, 3))

    model = Frame().eval()
    layers = adapt(model).structure(torch.rand(2, 3, 64, 64)).layers()
    assert {"net.stage1.0", "net.stage4.2"} <= {spec.path for spec in layers}
