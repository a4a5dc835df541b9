"""Readers of files that commit 868454e wrote, one for each kind of file, and what that commit read in them.

Every reader takes the folder of frozen files and an empty folder to work in (it copies what it changes), and returns
names with values, as they stand in expected.json under [READER][NAME] and in expected.safetensors under READER/NAME.
What a name begins with says how it is compared:

    computed.  numbers that a network computed: close (TOLERANCE); words and shapes alike
    bits.      sha256 of computed tensors: compared by nobody but the machine that recorded them
    else       what stands in the file: equal
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent / "files"
TOLERANCE = {"rtol": 1e-3, "atol": 1e-4}

# ---- what was asked for: plain values, by the names that base gives them ------------------------------------------

EAT = {  # options of `sightline train eat`
    "scenes": 20, "size": 32, "epochs": 3, "batch_size": 10, "precision": "32", "workers": 1,
    "model_args": {"stem_type": "deep", "stem_width": 4, "layers": (1, 1, 1, 1), "channels": (4, 4, 4, 4)},
    "only": ("has_size", "has_wing_color", "has_bill_shape"), "part_weight": 0.3, "outside_weight": 0.3,
}  # fmt: skip
CLASSIFY = {  # options of `sightline train classify`
    "scenes": 40, "size": 16, "epochs": 3, "batch_size": 20, "workers": 1, "model_args": {"widths": (8, 8, 8)},
    "gate": "dia", "lr_milestones": (1, 2),
}  # fmt: skip
BIRDNET = {  # `training.birdnet.Recipe`
    "scenes": 20, "random_scenes": 20, "held_out": 20, "epochs": 2, "small_epochs": 1, "batch_size": 20, "size": 32,
    "widths": (4, 4, 4, 4), "blocks": (1, 1, 1, 1), "attribute_width": 4, "workers": 1,
}  # fmt: skip
CONTRASTIVE = {  # `training.contrastive.ContrastiveRecipe` and its `spec`
    "scenes": 40, "held_out": 40, "epochs": 2, "workers": 1,
    "widths": (4, 4, 4, 4), "blocks": (1, 1, 1, 1), "dimensions": 4, "size": 32,
}  # fmt: skip
LENGTHS, WEIGHTS, BUDGET, STOPPED = (2, 2, 3), (0.02, -0.01, 0.03, 0.005, -0.02, 0.015, 0.01), 12, 6
SEARCHERS = ("reinforce", "random", "greedy", "exhaustive")
SEARCH = [  # options of `sightline gates search`, with --data and --log before them
    "--model", "timm:resnet18", "--weights", "random", "--model-arg", "num_classes=3",
    "--model-arg", "stem_type=deep", "--model-arg", "stem_width=4", "--model-arg", "layers=(2,1,1,1)",
    "--model-arg", "channels=(8,8,8,8)", "--gate", "dia", "--epochs", "1", "--recalibrate", "4",
    "--batch-size", "4", "--device", "cpu", "--json",
]  # fmt: skip
SEARCH_BUDGET, SEARCH_LONGER = 5, 7
COMPARISON = {  # `evaluate.Settings`; the nulls are added by `with_controls`
    "methods": ("gradcam", "lrp"), "metrics": ("energy-in-mask", "deletion"), "options": {"deletion": {"steps": 3}},
}  # fmt: skip
EVALUATE = ["--model", "birdnet", "--method", "lrp", "--metric", "energy-in-mask", "--device", "cpu"]
EVALUATE_WORLD = ["--method", "gradcam", "--metric", "energy-in-mask", "--count", "12", "--device", "cpu"]
WORLD = {"count": 8, "size": 32, "image_format": "png", "six_token_rows": 2}
KNOBS = {"label_noise": 0.2, "attribute_noise": 0.1, "drop_out": 0.1, "train_share": 0.5}
JUDGED_KNOBS, JUDGED_COUNT = {"train_share": 0.4}, 24
EXPLAIN = ["photos/bird.png", "--model", "birdnet", "--size", "32", "--method", "lrp,gradcam", "--target", "top2",
           "--layers", "stage2.*,stage4.*", "--masks", "photos/masks/bird.png", "--format", "arrays", "--device", "cpu"]  # fmt: skip
PAIR = ["photos/bird.png", "photos/other.png", "--weights", "encoder.safetensors", "--similarity", "cosine",
        "--method", "gradcam", "--format", "arrays", "--device", "cpu"]  # fmt: skip

Found = dict[str, Any]


# ---- what readers share -------------------------------------------------------------------------------------------


def picture(batch: int = 2, side: int = 32, seed: int = 1) -> Tensor:
    """The fixed input of every network."""
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(seed))


def small_net(seed: int = 0) -> nn.Module:
    """A small network with seeded weights and norms that are not as they were born."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3, 1, 1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
        )  # fmt: skip
        nn.init.uniform_(net[1].running_mean, -0.5, 0.5)
        nn.init.uniform_(net[1].running_var, 0.5, 2.0)
        for parameter in net.parameters():
            if parameter.ndim == 1:
                nn.init.normal_(parameter, 0.3, 0.3)
    return net.eval()


def table_score(scheme: Any) -> float:
    """A score of a scheme that is the same everywhere."""
    return 0.7 + sum(w for w, bit in zip(WEIGHTS, scheme.flat(), strict=True) if bit)


def sha(value: Tensor | bytes) -> str:
    if isinstance(value, Tensor):
        value = value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes() if value.numel() else b""
    return hashlib.sha256(value).hexdigest()


def hashes(tensors: dict[str, Tensor]) -> dict[str, str]:
    """Type, shape and the first 16 signs of the sha256 of each."""
    return {
        name: f"{t.dtype} {list(t.shape)} {sha(t.reshape(-1))[:16]}".removeprefix("torch.")
        for name, t in tensors.items()
    }


def together(tensors: dict[str, Tensor]) -> list[Any]:
    """How many tensors, and one sha256 over the names, types, shapes and hashes of all."""
    return [len(tensors), sha(json.dumps(hashes(tensors), sort_keys=True).encode())]


def columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A table as lists."""
    names = list(rows[0])
    return {"columns": names, "rows": [[row[name] for name in names] for row in rows]}


def weights_of(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return dict(sorted(load_file(path).items()))


def metadata_of(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as archive:
        return archive.metadata() or {}


def tensors_named(start: str, tensors: dict[str, Tensor]) -> Found:
    return {f"{start}/{name}": tensor for name, tensor in tensors.items()}


def run(*words: object) -> str:
    """One command line in this process; what it wrote on standard output."""
    from typer.testing import CliRunner

    from sightline.cli.app import app

    done = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, (words, done.output)
    return done.stdout


@contextmanager
def inside(folder: Path):
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def noted(owner: type, name: str, note: Any):
    """A method that also tells what it was called with."""
    own = getattr(owner, name)

    def told(*given: Any, **more: Any) -> Any:
        note(*given)
        return own(*given, **more)

    setattr(owner, name, told)
    try:
        yield
    finally:
        setattr(owner, name, own)


WORDS = {"control": "null", "controls": "nulls", "beats_controls": "beats_nulls", "lrp": "relevance",
         "layer": "stage", "layers": "stages", "Controls": "Nulls", "LRP flow": "Relevance flow"}  # fmt: skip
"""Keys and names of today, and what they were when the files were written; sentences follow by `old_words`."""


def old_words(value: Any) -> Any:
    """What is said today in the words of the day on which the files were written."""
    if isinstance(value, dict):
        return {WORDS.get(key, key): old_words(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [old_words(one) for one in value]
    if isinstance(value, str):
        value = WORDS.get(value, value)
        for now, then in (("every control", "every null"), ("the controls", "the nulls")):
            value = value.replace(now, then)
    return value


def map_facts(map_: Any) -> dict[str, Any]:
    return {
        "stage": map_.layer, "status": str(map_.status), "signed": map_.signed, "notes": map_.notes,
        "domain": map_.domain.kind, "labels": list(map_.domain.labels), "shape": list(map_.shape),
        "statistics": map_.statistics(),
    }  # fmt: skip


def _without(facts: dict[str, Any], *names: str) -> dict[str, Any]:
    """Facts without those that are newer than the files."""
    return {name: value for name, value in facts.items() if name not in names}


def explanations(items: Any, start: str = "", *, timed: bool = True) -> Found:
    """All that explanations hold, flat."""
    found: Found = {}
    for n, item in enumerate(items):
        provenance = {k: v for k, v in item.provenance.items() if timed or k not in ("time", "torch", "sightline")}
        found[f"{start}{n}"] = {
            "source": item.source, "method": item.method, "decision": _without(vars(item.decision), "box", "region"),
            "remarks": list(item.flow.remarks), "sentences": list(item.sentences), "provenance": provenance,
            "image": item.image is not None, "maps": [map_facts(map_) for map_ in item.flow.maps],
            "phrases": [
                {
                    **{k: getattr(phrase, k) for k in ("text", "role", "probability", "contribution", "energy", "note")},
                    "box": None if phrase.box is None else list(phrase.box),
                    "said": None if phrase.said is None else list(phrase.said),
                    "map": None if phrase.map is None else map_facts(phrase.map),
                }
                for phrase in item.phrases
            ],
        }  # fmt: skip
        if item.image is not None:
            found[f"{start}{n}.image.sha256"] = hashes({"image": item.image})["image"]
        for map_ in item.flow.maps:
            found[f"{start}{n}.map.{map_.layer}"] = map_.values
        for k, phrase in enumerate(item.phrases):
            if phrase.map is not None:
                found[f"{start}{n}.phrase.{k}"] = phrase.map.values
    return found


# ---- readers ------------------------------------------------------------------------------------------------------


def explanation(at: Path, work: Path) -> Found:
    """(a) two pictures, two targets, five methods on a small network."""
    import sightline

    return explanations(sightline.load(at / "explanation"))


def explanation_words(at: Path, work: Path) -> Found:
    """(a) the bundled bird model on a drawn scene, with words, phrases, boxes, energies."""
    import sightline

    return explanations(sightline.load(at / "explanation_words"))


def explanation_kinds(at: Path, work: Path) -> Found:
    """(a) every status, every domain, every field of a phrase, by hand."""
    import sightline

    return explanations(sightline.load(at / "explanation_kinds"))


def words_again(at: Path, work: Path) -> Found:
    """The bundled weights and words, asked again on the picture of `explanation_words`."""
    import sightline
    from sightline.models.zoo.birdnet import load_birdnet

    image = sightline.load(at / "explanation_words")[0].image
    net = load_birdnet()
    inputs = (image[None] - 0.5) / 0.25
    with torch.no_grad():
        classes, attributes = net.both(inputs)
    items = sightline.explain(net, inputs, target="top2", method="lrp", labels=net.labels)
    return {
        "computed.classes": classes, "computed.attributes": attributes,
        "computed.labels": [item.decision.label for item in items],
        "computed.sentences": [list(item.sentences) for item in items],
        "computed.phrases": [[[p.text, p.role, p.probability, p.contribution] for p in i.phrases] for i in items],
        "computed.map": items[0].flow[-1].values,
    }  # fmt: skip


def _attribute_file(path: Path) -> Found:
    import sightline
    from sightline.models.load import load_model
    from sightline.tasks.attributes.network.store import load_attribute_net

    net, loaded = load_attribute_net(path), load_model(weights=path)
    x = picture()
    with torch.no_grad():
        read = net.read(x)
        again = loaded.model(x)
    items = sightline.explain(loaded.model, x, target="top2", method="gradcam", labels=loaded.labels)
    known = net.calibration.tensors()
    return {
        "metadata": metadata_of(path), "name": loaded.name, "labels": list(loaded.labels or ()),
        "preprocess": loaded.preprocess.record(), "vocabulary": list(net.spec.vocabulary.names),
        "state": _state(path, net), **tensors_named("knowledge", known),
        "computed.classes": read.classes, "computed.probabilities": read.probabilities,
        "computed.logits": read.logits, "computed.again": again,
        "computed.calibrated": net.calibration.calibrated(read.probabilities),
        "computed.sentences": [list(item.sentences) for item in items],
    }  # fmt: skip


def _state(path: Path, net: nn.Module) -> Any:
    """Every tensor of what a command wrote; all in one of the others."""
    state = dict(net.state_dict())
    return hashes(state) if path.stem in ("attributes", "gated") else together(state)


def attributes(at: Path, work: Path) -> Found:
    """(b) what `sightline train eat` wrote, and two that were not trained, of other forms."""
    found: Found = {}
    for name in ("attributes", "attributes_bottleneck_places", "attributes_parallel_reading"):
        found |= {_under(name, key): value for key, value in _attribute_file(at / f"{name}.safetensors").items()}
    return found


def _under(name: str, key: str) -> str:
    """`computed.x` of a file is `computed.FILE.x`."""
    for kind in ("computed.", "bits."):
        if key.startswith(kind):
            return f"{kind}{name}.{key[len(kind) :]}"
    return f"{name}.{key}"


def gated(at: Path, work: Path) -> Found:
    """(c) what `sightline train classify` wrote with a DIA unit, and one file for each gate of the house and of timm."""
    from sightline.gates import plugged
    from sightline.gates.store import load_gated
    from sightline.models.load import load_model

    found: Found = {}
    for path in [at / "gated.safetensors", *sorted((at / "gated").glob("*.safetensors"))]:
        net, spec = load_gated(path)
        loaded = load_model(weights=path)
        x = picture(side=16)
        with torch.no_grad():
            logits, again = net(x), loaded.model(x)
        found |= {
            _under(path.stem, key): value
            for key, value in {
                "metadata": metadata_of(path), "spec": json.loads(spec.to_json()), "labels": list(loaded.labels or ()),
                "preprocess": loaded.preprocess.record(), "scheme": str(plugged(net).scheme) if spec.gate else "",
                "gate": plugged(net).gate if spec.gate else "", "state": _state(path, net),
                "computed.logits": logits, "computed.again": again,
            }.items()
        }  # fmt: skip
    return found


def encoder(at: Path, work: Path) -> Found:
    """(d) what `sightline train contrastive` wrote."""
    import sightline
    from sightline.models.load import load_model
    from sightline.models.zoo.encoder import load_encoder

    path = at / "encoder.safetensors"
    net, loaded = load_encoder(path), load_model(weights=path)
    x = picture()
    with torch.no_grad():
        embedding = net(x)
    pair = sightline.explain_pair(loaded.model, x[:1], x[1:], method="gradcam")
    return {
        "metadata": metadata_of(path), "spec": json.loads(net.spec.to_json()), "name": loaded.name,
        "preprocess": loaded.preprocess.record(), "state": hashes(dict(net.state_dict())),
        "computed.embedding": embedding, "computed.scores": [item.decision.score for item in pair],
        "computed.map": pair[0].flow[-1].values,
    }  # fmt: skip


def birdnet(at: Path, work: Path) -> Found:
    """(e) what `save_weights` wrote of a small network, and the bundled file."""
    from sightline.models.load import load_model
    from sightline.models.zoo.birdnet import load_birdnet

    path, found = at / "birdnet.safetensors", {}
    for name, net in (("small", load_birdnet(path)), ("bundled", load_birdnet())):
        with torch.no_grad():
            classes, said, places = net.read(picture())
        found |= {
            f"{name}.spec": json.loads(net.spec.to_json()), f"{name}.labels": list(net.labels),
            f"{name}.state": sha(json.dumps(hashes(dict(net.state_dict()))).encode()),
            f"computed.{name}.classes": classes, f"computed.{name}.attributes": said,
            f"computed.{name}.places": places.amax((2, 3)),
        }  # fmt: skip
    loaded, bundled = load_model(weights=path), load_model()
    return found | {
        "metadata": metadata_of(path), "name": loaded.name, "labels": list(loaded.labels or ()),
        "provenance": loaded.provenance, "bundled.provenance": bundled.provenance,
    }  # fmt: skip


def search_log(at: Path, work: Path) -> Found:
    """(f) logs of four searchers: read without an evaluation; the unfinished ones go on to the same bytes."""
    from sightline.tasks.gate_search.search import search

    found: Found = {}
    for name in SEARCHERS:
        about = {"model": "table"}
        whole, part = at / "search" / f"{name}.jsonl", at / "search" / f"{name}.unfinished.jsonl"
        log = Path(shutil.copy(whole, work / whole.name))
        wish = {"searcher": name, "log": log, "about": about}
        read = search(_never, LENGTHS, budget=BUDGET, **wish)
        asked: list[Any] = []
        wish["log"] = Path(shutil.copy(part, work / part.name))
        on = search(lambda scheme: asked.append(scheme) or table_score(scheme), LENGTHS, budget=BUDGET, **wish)
        found |= {
            f"{name}.record": read.record(), f"{name}.best": [str(read.best.scheme), read.best.score, read.best.worth],
            f"{name}.worths": [[str(t.scheme), t.score, t.worth] for t in read.trials], f"{name}.asked": len(asked),
            f"{name}.goes on to": sha(wish["log"].read_bytes()) == sha(whole.read_bytes()),
            f"{name}.same trials": on.trials == read.trials,
        }  # fmt: skip
    return found


def _never(scheme: Any) -> float:
    raise AssertionError(f"{scheme} is in the log")


def search_command(at: Path, work: Path) -> Found:
    """(f) what `sightline gates search` left: a supernet and a log, with which the command goes on.

    The log names the folder of photos by its full path; that is set to where the folder lies now.
    """
    log = work / "log.jsonl"
    lines = (at / "search" / "log.jsonl").read_text().splitlines()
    head = json.loads(lines[0])
    head["about"]["data"] = str((at / "search" / "photos").resolve())
    log.write_text("\n".join([json.dumps(head, ensure_ascii=False), *lines[1:]]) + "\n")
    supernet = shutil.copy(at / "search" / "log.supernet.safetensors", work / "log.supernet.safetensors")
    common = ["gates", "search", "--data", at / "search" / "photos", "--log", log, *SEARCH]
    read = json.loads(run(*common, "--budget", SEARCH_BUDGET))
    longer = json.loads(run(*common, "--budget", SEARCH_LONGER))
    for record in (read, longer):
        record.pop("page", None)
        del record["log"], record["supernet"]
    return {
        "log": [json.loads(line) for line in lines[1:]], "record": read, "computed.longer": longer,
        "supernet": together(weights_of(Path(supernet))), "supernet.names": list(weights_of(Path(supernet))),
    }  # fmt: skip


def answer_facts(answer: Any) -> Found:
    rows = [
        [s.place, s.metric, s.method, None if s.interval is None else [s.interval.mean, s.interval.low, s.interval.high,
         s.interval.n], dict(s.skipped), s.control, s.level, s.beats_controls]
        for s in answer.standings
    ]  # fmt: skip
    return old_words(
        {"standings": rows, "wins": {k: list(v) for k, v in answer.wins.items()}, "verdict": answer.verdict}
    )


def compare_again(at: Path, folder: Path) -> Any:
    """The comparison of the small network, taken up in a folder."""
    from sightline.compare import Settings, compare, read_samples, with_controls
    from sightline.models.load import LoadedModel
    from sightline.models.preprocess import Preprocess

    settings = Settings(**{**COMPARISON, "methods": with_controls(list(COMPARISON["methods"]))})
    loaded = LoadedModel(small_net(), "small", None, Preprocess((16, 16)), {"model": "small"})
    return loaded, read_samples(at / "photos" / "coco"), settings, compare


def comparison(at: Path, work: Path) -> Found:
    """(g) a finished comparison is read from its table; an unfinished one goes on."""
    from sightline.compare.ranking import rank
    from sightline.compare.store import Table

    folder = at / "comparison"
    rows = [old_words(asdict(row)) for row in Table(folder).rows(2)]
    found: Found = {"run": json.loads((folder / "run.json").read_text()), "rows": columns(rows)}
    found |= {f"ranked.{key}": value for key, value in answer_facts(rank(Table(folder).rows(2))).items()}
    for name in ("comparison", "comparison_unfinished"):
        copy = Path(shutil.copytree(at / name, work / name))
        loaded, samples, settings, compare = compare_again(at, copy)
        kept = {p.name: p.stat().st_mtime_ns for p in (copy / "shards").iterdir()}
        answer = compare(loaded, samples, settings, folder=copy)
        touched = [p.name for p in sorted((copy / "shards").iterdir()) if kept.get(p.name) != p.stat().st_mtime_ns]
        found |= {f"computed.{name}.{key}": value for key, value in answer_facts(answer).items()}
        found |= {f"{name}.drawn anew": touched, f"{name}.table rows": len(_parquet(copy / "table.parquet"))}
    return found


def _parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path).to_pylist()


def evaluate_command(at: Path, work: Path) -> Found:
    """(g) what `sightline evaluate` left for photos with boxes and the bundled model: the command reads it again."""
    out = Path(shutil.copytree(at / "evaluate", work / "out"))
    shards = {p.name: sha(p.read_bytes()) for p in (out / "shards").iterdir()}
    said = json.loads(run("evaluate", at / "photos" / "coco", *EVALUATE, "--out", out, "--json"))
    del said["files"]
    return {
        "run": json.loads((at / "evaluate" / "run.json").read_text()), "table": columns(_parquet(at / "evaluate" / "table.parquet")),
        "said": old_words(said), "shards kept": shards == {p.name: sha(p.read_bytes()) for p in (out / "shards").iterdir()},
    }  # fmt: skip


def evaluate_world(at: Path, work: Path) -> Found:
    """(g) the same on a drawn world with a certificate; the world is drawn again first."""
    from sightline.worlds.aviary import World, WorldConfig
    from sightline.worlds.aviary.layout import write_world

    world = write_world(
        World(WorldConfig(**JUDGED_KNOBS)), work / "world", JUDGED_COUNT, size=128, image_format="png"
    )
    out = Path(shutil.copytree(at / "evaluate_world", work / "out"))
    said = json.loads(run("evaluate", world, *EVALUATE_WORLD, "--out", out, "--json"))
    del said["files"]
    return {
        "run": json.loads((at / "evaluate_world" / "run.json").read_text()),
        "table": columns(_parquet(at / "evaluate_world" / "table.parquet")), "computed.said": old_words(said),
        "certificate": json.loads((at / "evaluate_world" / "certificate.json").read_text()),
    }  # fmt: skip


def world(at: Path, work: Path) -> Found:
    """(h) a written world: as CUB, as attributes, as samples, as scenes drawn again; every file's hash."""
    from PIL import Image

    from sightline.compare import read_samples
    from sightline.data.cub import read_cub
    from sightline.tasks.attributes.data import read_attributes
    from sightline.worlds.aviary import render
    from sightline.worlds.aviary.rendered import read_world

    folder = at / "world"
    cub, told, samples, drawn = read_cub(folder), read_attributes(folder), read_samples(folder), read_world(folder)
    arrays = {
        "cub.labels": cub.labels, "cub.train": cub.train, "cub.boxes": cub.boxes, "cub.points": cub.points,
        "cub.present": cub.present, "cub.certainty": cub.certainty, "labels": told.labels, "split": told.split,
        "targets": told.targets, "weights": told.weights, "prototypes": told.prototypes,
    }  # fmt: skip
    pixels = [np.asarray(Image.open(cub.image_path(row))) for row in range(len(cub))]
    again = [render(drawn.world.scene(n), drawn.size) for n in drawn.numbers.values()]
    return {
        **{name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()},
        "paths": list(cub.paths), "classes": list(cub.classes), "parts": list(cub.parts), "repeated": cub.repeated,
        "attributes": list(told.vocabulary.names), "groups": [g.name for g in told.vocabulary.groups],
        "files": [str(path.relative_to(folder)) for path in told.files], "part ids": list(told.part_ids),
        "notes": list(told.notes), "samples": [[s.path.name, s.label, s.located] for s in samples],
        "knobs": asdict(drawn.world.config), "required": drawn.required, "numbers": list(drawn.numbers.values()),
        "bytes": {str(p.relative_to(folder)): sha(p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()},
        "pixels": [sha(one.tobytes()) for one in pixels],
        "drawn again": [bool((one == other.image).all()) for one, other in zip(pixels, again, strict=True)],
        "scenes": [json.loads(json.dumps(asdict(drawn.world.scene(n)))) for n in drawn.numbers.values()],
    }  # fmt: skip


def world_unfinished(at: Path, work: Path) -> Found:
    """(h) a world that was interrupted goes on: scenes that are there are kept; it ends as `world`."""
    from sightline.worlds.aviary import World, WorldConfig
    from sightline.worlds.aviary.layout import write_world

    shutil.copytree(at / "world_unfinished.part", work / ".world.part")
    told: list[int] = []
    out = write_world(World(WorldConfig(**KNOBS)), work / "world", **WORLD, report=told.append)
    same = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    whole = {p.relative_to(at / "world"): p.read_bytes() for p in (at / "world").rglob("*") if p.is_file()}
    return {"kept": told[0], "drawn": sum(told[1:]), "ends as the whole one": same == whole}


def _resumed(at: Path, work: Path, name: str) -> tuple[Path, Path, Found]:
    folder = Path(shutil.copytree(at / "training" / f"{name}.work", work / f"{name}.work"))
    held = torch.load(folder / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    callbacks = {str(key): sorted(value) for key, value in held["callbacks"].items()}
    return folder, work / f"{name}.safetensors", {
        "training.json": json.loads((folder / "training.json").read_text()), "checkpoint epoch": held["epoch"],
        "checkpoint step": held["global_step"], "checkpoint callbacks": callbacks,
        "checkpoint weights": together({k: v.contiguous() for k, v in held["state_dict"].items()}),
    }  # fmt: skip


def _ended(path: Path, name: str = "final") -> Found:
    """Tensors and hashes of weights that a training wrote."""
    tensors = weights_of(path)
    return {f"computed.{name}/{k}": v for k, v in tensors.items()} | {f"bits.{name}": hashes(tensors)}


def train_classify(at: Path, work: Path) -> Found:
    """(i) `sightline train classify`, stopped in its second epoch, goes on with it."""
    from sightline.tasks.classification.recipe import ClassifyRecipe
    from sightline.tasks.classification.train import train_classify as train
    from sightline.training.reporter import Reporter

    folder, out, found = _resumed(at, work, "classify")
    epochs: list[int] = []
    scenes = {p.name: p.stat().st_mtime_ns for p in (folder / "scenes").iterdir()}
    reporter = Reporter(epoch=lambda epoch, row: epochs.append(epoch))
    made = train("aviary", out, ClassifyRecipe.of(**CLASSIFY), folder, reporter=reporter)
    kept = scenes == {p.name: p.stat().st_mtime_ns for p in (folder / "scenes").iterdir()}
    figures = {"hits": made.hits, "total": made.total, "frequent": made.frequent, "best": made.best,
               "best_epoch": made.best_epoch, "epochs": made.epochs, "parameters": made.parameters,
               "scheme": made.scheme}  # fmt: skip
    return found | _ended(out) | {"goes on with epochs": epochs, "scenes kept": kept, "computed.figures": figures}


def train_eat(at: Path, work: Path) -> Found:
    """(i) `sightline train eat`, stopped in its second epoch, goes on with it."""
    from sightline.tasks.attributes.recipe import EatRecipe
    from sightline.tasks.attributes.train.experiment import train_eat as train
    from sightline.training.reporter import Reporter

    folder, out, found = _resumed(at, work, "eat")
    epochs: list[int] = []
    reporter = Reporter(epoch=lambda epoch, row: epochs.append(epoch))
    made = train(None, out, EatRecipe.of(**EAT), folder, reporter=reporter)
    figures = {"epochs": made.epochs, "best": made.best, "hits": made.judged.hits, "pictures": made.judged.pictures}
    return found | _ended(out) | _ended(out.with_suffix(".last.safetensors"), "last") | {
        "goes on with epochs": epochs, "computed.figures": figures,
    }  # fmt: skip


def train_birdnet(at: Path, work: Path) -> Found:
    """(i) `sightline train birdnet`, stopped in its second epoch, goes on with it."""
    from sightline.tasks.bird.module import BirdTask
    from sightline.tasks.bird.recipe import BirdRecipe
    from sightline.tasks.bird.train import train_birdnet as train

    folder, out, found = _resumed(at, work, "birdnet")
    steps: list[int] = []
    with noted(BirdTask, "training_step", lambda task, *rest: steps.append(task.current_epoch + 1)):
        made = train(out, recipe=BirdRecipe.of(**BIRDNET), work=folder)
    return found | _ended(out) | {"steps in epochs": steps, "computed.hits": made.hits}


def train_contrastive(at: Path, work: Path) -> Found:
    """(i) `sightline train contrastive`, stopped in its second epoch, goes on with it."""
    from sightline.tasks.contrastive.module import ContrastiveTask
    from sightline.tasks.contrastive.recipe import ContrastiveRecipe
    from sightline.tasks.contrastive.train import train_contrastive as train

    folder, out, found = _resumed(at, work, "contrastive")
    steps: list[int] = []
    with noted(ContrastiveTask, "training_step", lambda task, *rest: steps.append(task.current_epoch + 1)):
        made = train(out, recipe=contrastive_recipe(ContrastiveRecipe), work=folder)
    return found | _ended(out) | {"steps in epochs": steps, "computed.hits": made.hits}


def contrastive_recipe(kind: Any) -> Any:
    return kind.of(**CONTRASTIVE)


def explain_command(at: Path, work: Path) -> Found:
    """(j) what `sightline explain` left for a photo: arrays by `load`, summary.json, and the command again."""
    import sightline

    with inside(at):
        run("explain", *EXPLAIN, "--out", work / "explain")
    held = json.loads((at / "explain" / "bird" / "summary.json").read_text())
    again = json.loads((work / "explain" / "bird" / "summary.json").read_text())
    return {
        "summary": held,
        "the command again": _alike(held, again),
        **explanations(sightline.load(at / "explain" / "bird")),
    }


NEW = ("schema", "written", "seal", "left_out")
"""What a summary says since: the number of its form, what is ours, that nobody changed it, and what did not fit."""
SPOKEN = ("words", "sentences", "phrases", "remarks")
"""What a summary says in words, which are chosen by other rules since."""


def _alike(held: Any, again: Any) -> list[str]:
    """What a summary that is written again says otherwise, but for folder, notes on the photo and what is new in it."""
    again = {key: value for key, value in old_words(again).items() if key not in NEW}
    return differ(
        "summary", _unspoken({**again, "folder": held["folder"], "notes": held["notes"]}), _unspoken(held), close=True
    )


def _unspoken(content: Any) -> Any:
    """A summary without its words."""
    if isinstance(content, dict):
        return {
            key: _unspoken(value)
            for key, value in content.items()
            if key not in (*SPOKEN, "main", "object", "object_area", "object_others")
        }
    return [_unspoken(value) for value in content] if isinstance(content, list) else content


def pair_command(at: Path, work: Path) -> Found:
    """(j) what `sightline explain --similarity` left."""
    import sightline

    with inside(at):
        run("explain", *PAIR, "--out", work / "pair")
    (held,), (again,) = (list(folder.glob("*/summary.json")) for folder in (at / "pair", work / "pair"))
    summary = json.loads(held.read_text())
    return {
        "summary": summary, "the command again": _alike(summary, json.loads(again.read_text())),
        **explanations(sightline.load(held.parent)),
    }  # fmt: skip


def audit(at: Path, work: Path) -> Found:
    """(j) what `sightline audit eat` left; nothing of ours reads it back, so the command is run again."""
    with inside(at):
        run(*AUDIT, "--out", work / "audit")
    found: Found = {}
    for name in ("summary.json", "findings.json"):
        found |= {
            name: json.loads((at / "audit" / name).read_text()),
            f"computed.{name}": _of_old(_at_home(json.loads((work / "audit" / name).read_text()), work)),
        }  # fmt: skip
    return found | {"findings.csv": (at / "audit" / "findings.csv").read_text().splitlines()}


def _of_old(record: Any) -> Any:
    """Without the detectors that are newer than these files, and what was noticed in the data."""
    if isinstance(record, dict) and "kinds" in record:
        record = _without(record, "notes")
        record["facts"] = _without(record["facts"], "the most frequent class of these")
        kinds = _without(record["kinds"], "unread", "class-noise")
        record["kinds"] = {name: _without(facts, "says") for name, facts in kinds.items()}
    return record


AUDIT = ["audit", "eat", "--weights", "attributes.safetensors", "--data", "world", "--scenes", "0"]


def _at_home(value: Any, work: Path) -> Any:
    """Without the work folder's name, and without what is newer than these files."""
    value = {k: v for k, v in value.items() if k not in NEW} if isinstance(value, dict) else value
    return json.loads(json.dumps(value).replace(str(work) + "/", ""))


def networks(at: Path, work: Path) -> Found:
    """No file: names, shapes and seeded first weights of networks whose files would be too large to keep."""
    from sightline.gates.store import GatedSpec, gated_net
    from sightline.models.zoo.birdnet import BirdNet, BirdNetSpec
    from sightline.models.zoo.cifar_names import cifar_net
    from sightline.models.zoo.conv4 import Conv4
    from sightline.models.zoo.encoder import BirdEncoder, EncoderSpec

    makers: dict[str, Any] = {
        name: lambda name=name: cifar_net(name, 10)
        for name in ("cifar-resnet20", "cifar-resnet20bn", "cifar-preresnet20", "cifar-preresnet20bn",
                     "cifar-wrn-10-1", "cifar-resnext29-2x4d")
    }  # fmt: skip
    makers |= {
        "birdnet": lambda: BirdNet(BirdNetSpec(("a", "b"), ("has_x::y", "has_x::z", "has_w::v"))),
        "encoder": lambda: BirdEncoder(EncoderSpec()), "conv4": Conv4,
    }  # fmt: skip
    for name in ("cifar-preresnet20bn", "cifar-wrn-10-1", "cifar-resnext29-2x4d", "timm:resnet10t", "mobilenet_v2"):
        makers[f"{name} with dia"] = lambda name=name: gated_net(GatedSpec(name, ("a", "b"), gate="dia"), seed=1)
    found: Found = {}
    for name, make in makers.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            state = dict(make().state_dict())
        named = "\n".join(f"{key} {list(value.shape)}" for key, value in state.items())
        found[name] = [len(state), sum(value.numel() for value in state.values()), sha(named.encode())]
        found[f"bits.{name}"] = sha("\n".join(hashes(state).values()).encode())
    return found


FORMER = {
    "lr": "rate", "weight_decay": "decay", "batch_size": "batch", "lr_milestones": "drops", "lr_gamma": "factor",
    "outside_weight": "outside", "part_weight": "parts", "consistency_weight": "consistency", "monitor": "best",
    "attribute_stride": "reading", "attribute_width": "width", "trunk_lr_factor": "trunk_rate",
    "label_smoothing": "smoothing", "device": "accelerator",
}  # fmt: skip
"""Names of settings that had another name."""
EXPECTED_OPTIONS = {
    "eat": "backbone weights model_args join pool attribute_weight stride reading width size epochs batch "
    "rate trunk_rate decay smoothing balance outside parts consistency targets only validation "
    "incomplete scenes best patience precision accelerator devices strategy workers seed threads",
    "classify": "model weights model_args gate share scheme start reduction skip norm init epochs batch rate "
    "drops factor decay momentum augment size held_out scenes precision accelerator devices workers "
    "seed threads",
}
"""What a recipe of former days held."""


def configs(at: Path, work: Path) -> Found:
    """Options in TOML files, as the commands take them."""
    from unittest.mock import patch

    from sightline.common.settings import flat

    taken: dict[str, Any] = {}

    def caught(name: str) -> Any:
        def stop(data: Any, out: Path, recipe: Any, *rest: Any, **more: Any) -> None:
            values = {FORMER.get(key, key): value for key, value in flat(recipe).items()}
            taken[name] = {key: json.loads(json.dumps(values[key])) for key in EXPECTED_OPTIONS[name].split()}

        return stop

    with patch("sightline.tasks.attributes.train.experiment.train_eat", caught("eat")):
        run("train", "eat", "--out", work / "x.safetensors", "--config", at / "config" / "eat.toml")
    with patch("sightline.tasks.classification.train.train_classify", caught("classify")):
        run("train", "classify", "--out", work / "x.safetensors", "--config", at / "config" / "classify.toml")
    return taken


READERS = {
    one.__name__: one
    for one in (
        explanation, explanation_words, explanation_kinds, words_again, attributes, gated, encoder, birdnet, search_log,
        search_command, comparison, evaluate_command, evaluate_world, world, world_unfinished, train_classify, train_eat,
        train_birdnet, train_contrastive, explain_command, pair_command, audit, networks, configs,
    )
}  # fmt: skip


# ---- writing down and comparing -----------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """As JSON gives it back; numbers that are none become words."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


SOLVED = re.compile(r"(\w+\.)?record\.effects\[\d+\]\.\w+")
"""Numbers of a record that were solved for: another processor rounds them otherwise."""


def differ(name: str, one: Any, other: Any, *, close: bool) -> list[str]:
    """What differs, in words."""
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        if type(one) is not type(other) or one.shape != other.shape or one.dtype != other.dtype:
            return [f"{name}: {getattr(one, 'shape', one)} is not {getattr(other, 'shape', other)}"]
        if close and one.is_floating_point():
            same = torch.allclose(one.float(), other.float(), equal_nan=True, **TOLERANCE)
        else:
            same = sha(one.reshape(-1)) == sha(other.reshape(-1))
        return [] if same else [f"{name}: tensors differ, by up to {(one.double() - other.double()).abs().max():.3g}"]
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return [f"{name}: keys {sorted(set(one) ^ set(other))}"]
        return [text for key in one for text in differ(f"{name}.{key}", one[key], other[key], close=close)]
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return [f"{name}: {len(one)} entries, not {len(other)}"]
        pairs = enumerate(zip(one, other, strict=True))
        return [text for n, (a, b) in pairs for text in differ(f"{name}[{n}]", a, b, close=close)]
    if (close or SOLVED.fullmatch(name)) and isinstance(one, float | int) and isinstance(other, float | int):
        same = math.isclose(one, other, rel_tol=TOLERANCE["rtol"], abs_tol=TOLERANCE["atol"])
    else:
        same = one == other and type(one) is type(other)
    return [] if same else [f"{name}: {other!r} was written down, now {one!r}"]


SINCE = {
    "words_again": re.compile(r"computed\.(sentences|phrases)"),
    "attributes": re.compile(r".*sentences"),
    "train_eat": re.compile(r".*/knowledge\.(skill\..*|prior|choice|version|slope|offset|threshold)"),
}
"""What changed on purpose: texts name only what was shown to be read, which files of former days do not hold, and
calibration takes back the weights of the loss."""


OTHERWISE = re.compile(r"computed\.summary\.json\.facts\.class accuracy: ")
"""What else changed on purpose: an audit's accuracy is of pictures that the network did not learn from, and says so."""


def differences(name: str, work: Path) -> list[str]:
    """What a reader gives otherwise than was written down."""
    from safetensors.torch import load_file

    values = READERS[name](HERE, work)
    now = {
        key: value if isinstance(value, Tensor) else json.loads(json.dumps(plain(value)))
        for key, value in values.items()
    }
    tensors = {
        key: value for key, value in load_file(HERE / "expected.safetensors").items() if key.startswith(f"{name}/")
    }
    then = json.loads((HERE / "expected.json").read_text())[name]
    then |= {key.removeprefix(f"{name}/"): value for key, value in tensors.items()}
    since = SINCE.get(name)
    now, then = ({k: v for k, v in one.items() if since is None or not since.fullmatch(k)} for one in (now, then))
    wrong = [f"{key}: only {'now' if key in now else 'then'}" for key in sorted(now.keys() ^ then.keys())]
    for key in sorted(now.keys() & then.keys()):
        if not key.startswith("bits."):  # hashes of computed tensors hold on the machine that recorded them alone
            wrong += differ(key, now[key], then[key], close=key.startswith("computed."))
    return [text for text in wrong if not OTHERWISE.match(text)]
