"""Faults planted in photos before a network is fine-tuned on them: what does `audit eat` find? Resumable.

    python benchmarks/eat_tuned_audit.py --work tuned.work --write     # needs the test pack and the extra `imagenet`
    python benchmarks/eat_tuned_audit.py --toy

One in twenty photos gets another class, one in twenty labels of attributes is turned round, and one attribute more is
the toss of a coin, which no head can read. Training and audit are the commands that a user types.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from pathlib import Path

import torch
from torch import Tensor
from typer.main import get_command

from _eat_cells import _pack
from _measure import conditions
from _study import Rows, publish
from sightline.cli.app import app
from sightline.common.files import write_text
from sightline.tasks.attributes.data import AttributeData, read_attributes

RATE, COIN, FIRST, MOST = 0.05, "coin", 100, 24
BOX = ("x", "y", "width", "height")
PHOTOS = ("--model", "imagenet", "--epochs", "10")
DRAWN = ("--toy", "--weights", "random", "--no-probe", "--epochs", "1")


def planted(data: AttributeData, folder: Path, seed: int) -> dict[str, list[str]]:
    """A folder with wrong labels; which photos' classes and which labels of attributes are wrong, by name."""
    draw = torch.Generator().manual_seed(seed)
    names = [f"{row:04d}{path.suffix}" for row, path in enumerate(data.files)]
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in zip(names, data.files, strict=True):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(path.resolve())
    true = (torch.from_numpy(data.targets) >= 0.5) & (torch.from_numpy(data.weights) > 0)
    share = true.double().mean(0)
    at = [k for k in torch.argsort((share - 0.5).abs(), stable=True).tolist() if 0.2 < share[k] < 0.8][:MOST]
    columns = [data.vocabulary.names[k].replace("::", " ") for k in at]
    wrong = torch.rand(len(data), len(at), generator=draw) < RATE
    labels = torch.from_numpy(data.labels)
    present = sorted(set(labels.tolist()))
    moved = torch.rand(len(data), generator=draw) < RATE
    step = torch.randint(1, len(present), (len(data),), generator=draw)
    place = torch.tensor([present.index(label) for label in labels.tolist()])
    noisy = torch.tensor(present)[torch.where(moved, (place + step) % len(present), place)]
    cells = torch.where(wrong, ~true[:, at], true[:, at])
    coin = torch.rand(len(data), generator=draw) < 0.5
    boxes = [] if data.boxes is None else data.boxes.tolist()
    rows = [["file", "class", "split", *(BOX if boxes else ()), *columns, COIN]]
    for row, name in enumerate(names):
        split = ("train", "validation", "test")[int(data.split[row])]
        answers = ["yes" if value else "no" for value in [*cells[row].tolist(), bool(coin[row])]]
        rows.append([name, data.classes[int(noisy[row])], split, *map(str, boxes[row] if boxes else ()), *answers])
    with (folder / "attributes.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return {
        "classes": [names[row] for row in torch.nonzero(moved)[:, 0].tolist()],
        "attributes": [f"{names[row]} {columns[k]}" for row, k in torch.nonzero(wrong).tolist()],
        "photos": names,
        "columns": columns,
    }


def made(data: AttributeData, work: Path, seed: int, how: tuple[str, ...]) -> dict[str, object]:
    """Plant, train, audit; the figures of one seed, from their file where it is there."""
    path = work / f"figures{seed}.json"
    if path.is_file():
        return dict(json.loads(path.read_text()))
    folder, net, out = work / f"photos{seed}", work / f"net{seed}.safetensors", work / f"audit{seed}"
    faults = planted(data, folder, seed)
    if not net.is_file():
        _run("train", "eat", "--data", str(folder), *how, "--out", str(net), "--seed", str(seed))
    _run("audit", "eat", "--weights", str(net), "--data", str(folder), "--out", str(out))
    facts = figures(out, faults)
    write_text(path, json.dumps(facts))
    return facts


def _run(*words: str) -> None:
    """A command of Sightline, in this process."""
    get_command(app).main([*words], standalone_mode=False)


def figures(out: Path, faults: dict[str, list[str]]) -> dict[str, object]:
    """What the audit's tables say of what was planted."""
    found = json.loads((out / "findings.json").read_text())
    summary = json.loads((out / "summary.json").read_text())
    wrong = {kind: set(faults[kind]) for kind in ("classes", "attributes")}
    ranks = {
        "classes": [line["picture"] in wrong["classes"] for line in _lines(out / "class_labels.csv")],
        "attributes": [
            f"{line['picture']} {_column(line['question'])}" in wrong["attributes"]
            for line in _lines(out / "labels.csv")
            if _column(line["question"]) != COIN  # all of its labels are arbitrary
        ],
    }
    heads = _lines(out / "heads.csv")
    coin = [line["reading"] for line in heads if _column(line["attribute"]) == COIN]
    others = [line["reading"] for line in heads if _column(line["attribute"]) != COIN]
    kinds = {"classes": "class-noise", "attributes": "label-noise"}
    reports = {kind: [one for one in found if one["kind"] == name] for kind, name in kinds.items()}
    right = {
        "classes": [one["pictures"][0] in wrong["classes"] for one in reports["classes"]],
        "attributes": [
            f"{one['pictures'][0]} {_column(one['where'].partition(': ')[2])}" in wrong["attributes"]
            for one in reports["attributes"]
        ],
    }
    labels = {"classes": len(faults["photos"]), "attributes": len(faults["photos"]) * len(faults["columns"])}
    return {
        **{
            kind: {
                "wrong": len(wrong[kind]),
                "labels": labels[kind],
                "first": _share(ranks[kind][: min(FIRST, len(wrong[kind]))]),
                "reported": len(right[kind]),
                "right": sum(right[kind]),
            }
            for kind in kinds
        },
        "coin": coin[0] if coin else "not judged",
        "heads": len(others),
        "read nothing": sum(one == "read nothing" for one in others),
        "background": [one["where"] for one in found if one["kind"] == "background"],
        "says": summary["kinds"]["background"]["says"],
    }


def _column(name: str) -> str:
    """The column of an attribute, whose one value is yes."""
    return name.partition("::")[0]


def _lines(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _share(hits: list[bool]) -> float:
    return sum(hits) / len(hits) if hits else float("nan")


def tables(each: list[dict[str, object]]) -> dict[str, Rows]:
    """Wrong labels, a row per kind; the heads, a row per seed."""
    noise: Rows = []
    for kind in ("classes", "attributes"):
        some = [dict(one[kind]) for one in each]  # type: ignore[call-overload]
        reported, right = (sum(one[name] for one in some) for name in ("reported", "right"))
        noise.append(
            {
                "labels": kind,
                "wrong of": "; ".join(f"{one['wrong']} of {one['labels']}" for one in some),
                "random order": f"{_mean([one['wrong'] / one['labels'] for one in some]):.3f}",
                f"precision of the first (as many as are wrong, at most {FIRST})": "; ".join(
                    f"{one['first']:.3f}" for one in some
                ),
                "reported": f"{reported}",
                "of these wrong": f"{right}",
            }
        )
    heads: Rows = [
        {
            "seed": str(seed),
            "head of the coin": str(one["coin"]),
            "other heads that read nothing": f"{one['read nothing']} of {one['heads']}",
            "classes whose maps lie beside the object": ", ".join(one["background"]) or "none",  # type: ignore[arg-type]
            "class maps": str(one["says"]),
        }
        for seed, one in enumerate(each)
    ]
    return {"noise": noise, "heads": heads}


def _mean(values: list[float]) -> float:
    return float(Tensor(values).double().mean())


def _drawn(folder: Path) -> AttributeData:
    words = ("world", "render", "--out", str(folder), "--count", "40", "--size", "32", "--species", "4")
    _run(*words)
    return read_attributes(folder)


def main() -> None:
    """Plant, train, audit, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("tuned.work"), help="folder of photos, networks and audits")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="a file for the tables")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/studies/audit.md")
    parser.add_argument(
        "--toy", action="store_true", help="drawn birds and one epoch, in a folder that is thrown away"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if asked.toy:
            each = [made(_drawn(Path(temporary) / "birds"), Path(temporary), 0, DRAWN)]
        else:
            root = _pack() / "cub_200_2011_subset" / "CUB_200_2011"
            data = read_attributes(root, incomplete=True)
            each = [made(data, asked.work, seed, PHOTOS) for seed in range(asked.seeds)]
    print(conditions("cpu"))
    publish(tables(each), "eat_tuned_audit", json_to=asked.json, write=asked.write)


if __name__ == "__main__":
    main()
