"""Small explanations made by hand: smooth maps over a picture like a photo."""

import torch
from torch.nn.functional import interpolate

from sightline.results import AttentionMap, Decision, Explanation, Explanations, Flow, Phrase

HOSTILE = '<script>window.hacked = 1</script> "quoted" \'single\' & 🦜 </script><img src=x onerror="window.hacked=2">'


def smooth(height, width, seed, *, signed=False):
    noise = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    values = interpolate(noise, (height, width), mode="bicubic")[0, 0]
    return values if signed else values.relu()


def photo(height=48, width=64, seed=0):
    return interpolate(
        torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed)), (height, width), mode="bilinear"
    )[0]


def flow(method="gradcam", *, signed=False, seed=1):
    sizes = {"early": (12, 16), "middle": (6, 8), "late": (3, 4)}
    maps = (
        AttentionMap(smooth(*size, seed + number, signed=signed), layer, signed=signed)
        for number, (layer, size) in enumerate(sizes.items())
    )
    return Flow(tuple(maps), method)


def odd_flow():
    """Every status there is."""
    holed = smooth(6, 8, 3)
    holed[1, 2] = float("nan")
    holed[4, 5] = float("inf")
    values = {"ok": smooth(6, 8, 2), "zero": torch.zeros(6, 8), "flat": torch.full((6, 8), 0.3), "nan": holed}
    return Flow(tuple(AttentionMap(map_, layer) for layer, map_ in values.items()), "layercam")


def explanation(flow_=None, *, label="cat", source="photo.png", image=None, **fields):
    image = photo() if image is None else image
    return Explanation(flow() if flow_ is None else flow_, Decision(label, 3.25, 7, 0.5), image, source, **fields)


def gallery():
    """Two photos; the first has two methods, a hostile label, statuses, phrases and provenance."""
    crown = Phrase("red <b>crown</b>", 0.9, 0.25, AttentionMap(smooth(5, 5, 8), "crown"), (0.25, 0.1, 0.5, 0.4))
    return Explanations(
        (
            explanation(phrases=(crown,), provenance={"model": "tiny <b>", "score": float("nan")}),
            explanation(flow("gradient_x_activation", signed=True), label=HOSTILE),
            explanation(odd_flow(), label="dog"),
            explanation(source="second.png", image=photo(40, 30, seed=5)),
        )
    )
