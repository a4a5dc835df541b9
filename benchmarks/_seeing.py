"""What an eye makes of two pictures: CIEDE2000, three colour deficiencies, structural similarity.

CIEDE2000 is that of Sharma, Wu and Dalal (2005), whose test pairs are in `tests/benchmarks/test_seeing.py`; the
deficiencies are the matrices of Machado, Oliveira and Fernandes (2009) at full severity, on linear light.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
WHITE = (0.95047, 1.0, 1.08883)
DEFICIENCIES: dict[str, tuple[tuple[float, ...], ...]] = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
LUMA = (0.299, 0.587, 0.114)

Colours = Float[Tensor, "... 3"]


def linear(colours: Colours) -> Colours:
    """Linear light of sRGB in 0..1."""
    return torch.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def encoded(light: Colours) -> Colours:
    """The sRGB in 0..1 of linear light, clipped."""
    light = light.clamp(0.0, 1.0)
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def seen(colours: Colours, deficiency: str) -> Colours:
    """How colours look with a deficiency; the colours themselves with none (`""`)."""
    if not deficiency:
        return colours
    return encoded(linear(colours) @ torch.tensor(DEFICIENCIES[deficiency], dtype=colours.dtype).mT)


def lab(colours: Colours) -> Colours:
    """CIELAB (D65) of sRGB in 0..1."""
    xyz = linear(colours) @ torch.tensor(TO_XYZ, dtype=colours.dtype).mT / torch.tensor(WHITE, dtype=colours.dtype)
    root = torch.where(xyz > 216 / 24389, xyz.clamp(min=1e-12) ** (1 / 3), (24389 / 27 * xyz + 16) / 116)
    x, y, z = root.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def ciede2000(one: Colours, other: Colours) -> Float[Tensor, "..."]:
    """The difference of two CIELAB colours: about 1 is just seen, above 20 nobody misses it."""
    (light1, a1, b1), (light2, a2, b2) = one.unbind(-1), other.unbind(-1)
    mean = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2
    gain = 1.5 - 0.5 * (mean**7 / (mean**7 + 25.0**7)).sqrt()
    chroma1, chroma2 = torch.hypot(gain * a1, b1), torch.hypot(gain * a2, b2)
    hue1, hue2 = (torch.rad2deg(torch.atan2(b, gain * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    grey = chroma1 * chroma2 == 0
    turn = hue2 - hue1
    turn = torch.where(turn > 180, turn - 360, torch.where(turn < -180, turn + 360, turn)).where(~grey, 0.0)
    middle = (hue1 + hue2) / 2
    middle = torch.where(
        (hue1 - hue2).abs() > 180, torch.where(hue1 + hue2 < 360, middle + 180, middle - 180), middle
    )
    middle = torch.where(grey, hue1 + hue2, middle)
    light, chroma = (light1 + light2) / 2, (chroma1 + chroma2) / 2
    return _distance(
        light2 - light1, chroma2 - chroma1, 2 * (chroma1 * chroma2).sqrt() * torch.sin(torch.deg2rad(turn) / 2),
        light=light, chroma=chroma, hue=middle,
    )  # fmt: skip


def _distance(
    lightness: Tensor, saturation: Tensor, turned: Tensor, *, light: Tensor, chroma: Tensor, hue: Tensor
) -> Tensor:
    """Differences of lightness, chroma and hue, weighed by where they are (the paper's equations 15 to 22)."""
    cosine = [torch.cos(torch.deg2rad(k * hue + shift)) for k, shift in ((1, -30), (2, 0), (3, 6), (4, -63))]
    by_hue = 1 - 0.17 * cosine[0] + 0.24 * cosine[1] + 0.32 * cosine[2] - 0.20 * cosine[3]
    away = (light - 50).square()
    of_light = lightness / (1 + 0.015 * away / (20 + away).sqrt())
    of_chroma, of_hue = saturation / (1 + 0.045 * chroma), turned / (1 + 0.015 * chroma * by_hue)
    blue = torch.deg2rad(60 * torch.exp(-(((hue - 275) / 25) ** 2)))
    mixed = -torch.sin(blue) * 2 * (chroma**7 / (chroma**7 + 25.0**7)).sqrt()
    return (of_light**2 + of_chroma**2 + of_hue**2 + mixed * of_chroma * of_hue).clamp(min=0).sqrt()


def difference(one: Colours, other: Colours, *, deficiency: str = "") -> Float[Tensor, "..."]:
    """CIEDE2000 of two pictures in sRGB, 0..1, pixel by pixel, as an eye with a deficiency sees them."""
    return ciede2000(lab(seen(one, deficiency)), lab(seen(other, deficiency)))


def luma(colours: Colours) -> Float[Tensor, "..."]:
    """Luminance of sRGB in 0..1, as video has it."""
    return colours @ torch.tensor(LUMA, dtype=colours.dtype)


def similarity(one: Float[Tensor, "h w"], other: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """SSIM at every pixel (Wang et al. 2004): a Gaussian window of 11 pixels and a deviation of 1.5."""
    blur = lambda values: gaussian_blur(values[None], [11, 11], [1.5, 1.5])[0]  # noqa: E731
    mean1, mean2 = blur(one), blur(other)
    spread1, spread2 = blur(one * one) - mean1**2, blur(other * other) - mean2**2
    both = blur(one * other) - mean1 * mean2
    light = (2 * mean1 * mean2 + 0.01**2) / (mean1**2 + mean2**2 + 0.01**2)
    return light * (2 * both + 0.03**2) / (spread1 + spread2 + 0.03**2)
