"""What the bundled bird network knows: drawn birds; and how its features tell whether an image is one.

The numbers come from the file beside its weights, which `python -m sightline.tasks.bird.scope` makes.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.models.scope import Scope, restored_scope

FILE = "birdnet_scope.safetensors"
SCOPE_WORDS = "the bundled network 'birdnet' knows drawn birds only"


def pooled_features(net: nn.Module, inputs: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
    """Activations of the stages, averaged over places."""
    x, rows = net.get_submodule("stem")(inputs), []
    for name in ("stage1", "stage2", "stage3", "stage4"):
        x = net.get_submodule(name)(x)
        rows.append(x.mean((2, 3)))
    return torch.cat(rows, 1)


def bundled_scope(sha256: str) -> Scope | None:
    """The scope that was measured for these weights.

    Args:
        sha256: digest of the weights file.

    Returns:
        None where nothing was measured for them.
    """
    from safetensors import safe_open

    with as_file(files("sightline") / "assets" / FILE) as path:
        if not Path(path).is_file():
            return None
        with safe_open(path, "pt") as archive:
            if (archive.metadata() or {}).get("weights") != sha256:
                return None
            tensors = {name: archive.get_tensor(name).float() for name in archive.keys()}  # noqa: SIM118
    return restored_scope(tensors, SCOPE_WORDS, pooled_features)
