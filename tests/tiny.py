"""Tiny models, one per trap: small enough that every method runs on all of them in a second."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 16
CLASSES = 5


class Head(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.mean((2, 3)))


def plain_inplace() -> nn.Module:
    """In-place ReLU behind every convolution."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True),
        nn.Conv2d(6, 8, 3, 1, 1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU6(inplace=True), Head(8),
    )  # fmt: skip


class Reused(nn.Module):
    """One block that runs twice, and one activation for all."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU())
        self.shared = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU(inplace=True))
        self.head = Head(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.shared(self.shared(self.stem(x))))


class ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x
        return self.relu(out)


class Residual(nn.Module):
    """Residual blocks whose sum is made in place, behind `bn2`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 2, 1)
        self.layers = nn.Sequential(ResidualBlock(6), ResidualBlock(6), ResidualBlock(6))
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.dropout(self.layers(self.stem(x)).mean((2, 3))))


class DenseBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, 4, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(F.relu(self.norm(x)))], 1)


def dense() -> nn.Module:
    """Concatenation of all that came before."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(True)), DenseBlock(4), DenseBlock(8), DenseBlock(12), Head(16)
    )


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, 2, 1)
        self.up = nn.Conv2d(2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.up(F.silu(self.down(x.mean((2, 3), keepdim=True)))))


class MobileBlock(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels)
        self.act = nn.Hardswish(inplace=True)
        self.se = SqueezeExcite(channels)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.se(self.act(self.depthwise(x))))


def depthwise() -> nn.Module:
    """Depthwise convolutions with squeeze-and-excite and a smooth in-place activation."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), MobileBlock(8, 1), MobileBlock(8, 2), MobileBlock(8, 1), Head(8)
    )


def vit(pool: str) -> nn.Module:
    """A vision transformer of timm, pooled by class token or by averaging."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=SIDE, patch_size=4, embed_dim=16, depth=3, num_heads=2, num_classes=CLASSES,
        global_pool=pool, class_token=pool == "token", fc_norm=False, dynamic_img_size=True,
    )  # fmt: skip


def torch_vit() -> nn.Module:
    """torchvision's vision transformer, whose attention is torch's own, with a head that is not zero."""
    from torchvision.models import VisionTransformer

    model = VisionTransformer(SIDE, 4, 2, 2, 16, 32, num_classes=CLASSES)
    nn.init.normal_(model.heads.head.weight)
    return model


class PostNorm(nn.Module):
    """A transformer with its norms behind the attention, and a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], 1)
        return self.fc(self.transformer(tokens)[:, 0])


class WindowBlock(nn.Module):
    """Attention inside 2x2 windows of a `[b, h, w, c]` tensor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attn = nn.MultiheadAttention(channels, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        parts = self.norm(x).reshape(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)
        mixed = self.attn(parts, parts, parts, need_weights=False)[0]
        x = x + mixed.reshape(b, h // 2, w // 2, 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)
        return x + self.mlp(x)


class Windows(nn.Module):
    """Swin-like: channels last throughout."""

    output_fmt = "NHWC"

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.ModuleList([WindowBlock(8), WindowBlock(8), WindowBlock(8)])
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x).permute(0, 2, 3, 1)
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((1, 2)))


class TupleOut(nn.Module):
    """Logits inside a tuple, beside features."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU())
        self.fc = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(x)
        return features, self.fc(features.mean((2, 3)))


TINY: dict[str, Callable[[], nn.Module]] = {
    "plain_inplace": plain_inplace,
    "reused": Reused,
    "residual": Residual,
    "dense": dense,
    "depthwise": depthwise,
    "vit_token": lambda: vit("token"),
    "vit_avg": lambda: vit("avg"),
    "torch_vit": torch_vit,
    "post_norm": PostNorm,
    "windows": Windows,
    "tuple_out": TupleOut,
}


def build(name: str, seed: int = 0) -> nn.Module:
    """A tiny model with seeded weights and BatchNorm statistics that are not the default."""
    return lively(TINY[name], seed, 0.3)


def lively(make: Callable[[], nn.Module], seed: int, mean: float) -> nn.Module:
    """A seeded model in evaluation mode whose norms and biases are not as they were born, but of this mean."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.5, 0.5)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
        for parameter in model.parameters():
            if parameter.ndim == 1:
                nn.init.normal_(parameter, mean, 0.3)
    return model.eval()


def picture(batch: int = 2, channels: int = 3, height: int = SIDE, width: int = SIDE, seed: int = 1) -> Tensor:
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))


def output_of(name: str) -> int | None:
    """The output selector that a tiny model needs."""
    return 1 if name == "tuple_out" else None
