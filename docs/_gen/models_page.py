"""The model-support table, from what `benchmarks/model_support.py` measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1] / "data" / "model_support.json"
HEAD = """# Models

Any classifier of torchvision or timm, and any plain `nn.Module`: layers are found from the tree of modules and the
shapes that flow through it. `sightline models` lists the names, `sightline layers MODEL` prints a network's layers.

## One of each family

The table is written by

```bash
{command} && python docs/_gen
```

which builds each network with random weights (parts that begin at zero are given small values, BatchNorm its
statistics) and explains one random picture at every layer by Grad-CAM. So it says whether layers are found and
whether a gradient reaches them; not whether the maps of the trained network are good.

Made on {date}, {machine}, torch {torch}, torchvision {torchvision}, timm {timm}. {explained} of {total} networks were
explained; in {clean} of them every layer's map has the status `ok`. Seconds are those of one run on a shared machine.

| model | parameters | input | layers | kind | first layer | last layer | not `ok` | seconds |
|---|---:|---|---:|---|---|---|---|---:|
"""


def models_page() -> str:
    """The page's text."""
    table = json.loads(DATA.read_text(encoding="utf-8"))
    rows = table["rows"]
    explained = [row for row in rows if row["error"] is None]
    head = HEAD.format(
        command=table["command"],
        date=table["date"],
        machine=table["machine"],
        **table["versions"],
        explained=len(explained),
        total=len(rows),
        clean=sum(not row["not_ok"] for row in explained),
    )
    return head + "\n".join(map(_row, rows)) + "\n" + KINDS


def _row(row: dict[str, Any]) -> str:
    if row["error"] is not None:
        error = row["error"].replace("|", r"\|")
        return f"| `{row['model']}` | | | | | | | fails: {error} | |"
    ends = (f"`{row[end]['name']}` {_size(row[end]['grid'])}" for end in ("first", "last"))
    cells = (
        f"`{row['model']}`",
        f"{row['parameters'] / 1e6:.1f} M",
        _size(row["input"]),
        str(row["layers"]),
        ", ".join(row["kinds"]),
        *ends,
        _odd(row["not_ok"]),
        f"{row['seconds']:.1f}",
    )
    return "| " + " | ".join(cells) + " |"


def _odd(not_ok: dict[str, str]) -> str:
    shown = [f"`{layer}` {status}" for layer, status in list(not_ok.items())[:2]]
    more = [f"and {len(not_ok) - 2} more"] if len(not_ok) > 2 else []
    return ", ".join([*shown, *more])


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
