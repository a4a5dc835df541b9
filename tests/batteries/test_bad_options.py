"""Every verb and every kind of bad value: one sentence, exit code 1 or 2, no traceback, no process without end."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from sightline.cli.app import app

LONG = "9" * 5000
NUMBERS = ("²", "½", LONG, "x", "", "-1", "1e999", "nan")
COUNTS = ("²", LONG, "x", "-1", "0")
SEEDS = ("-1", "9" * 30, str(2**32), "²")
NAME = "n" * 300
EXPLAIN = ("explain", "0.png", "--model", "birdnet", "--out", "made", "--format", "arrays")
NAMED = (*EXPLAIN[:2], *EXPLAIN[4:], "--model", "timm:test_convnext", "--weights", "random")
TRAIN = ("train", "classify", "--data", "set", "--out", "made/c.safetensors", "--toy")
GATED = (*TRAIN, "--gate", "se")
DRAWN = ("--out", "made/c.safetensors", "--toy")
EAT = ("train", "eat", *DRAWN, "--scenes", "40")
RENDER = ("world", "render", "--out", "made")
EVALUATE = ("evaluate", "0.png", "--model", "birdnet", "--out", "made")

VALUES = [
    (EXPLAIN, ("--size", "--std", "--topk", "--opacity", "--batch-size"), NUMBERS),
    (EXPLAIN, ("--mean",), NUMBERS[:-3]),
    (EXPLAIN, ("--seed",), SEEDS),
    (EXPLAIN, ("--target",), ("²", LONG, "-1", "top²", "top0", f"top{LONG}", "top99999")),
    (EXPLAIN, ("--contrast",), ("²", LONG, "-1")),
    (EXPLAIN, ("--device",), ("meta", "x", "cuda:99", "xla", "fpga", "cpu:x", LONG)),
    (EXPLAIN, ("--out", "--labels", "--weights", "--masks", "--model", "--layers", "--method"), (NAME,)),
    (EXPLAIN, ("--model-arg", "--weights"), ("a=1", "random")),
    (
        NAMED,
        ("--model-arg",),
        ("a={[]:1}", "a=" + "[" * 5000, "=", "²=1", "a", f"num_classes={LONG}", "num_classes=²"),
    ),
    (NAMED, ("--option",), ("gradcam.x=1", "=", "x", "lrp.²=1", "lrp.x={[]:1}")),
    (TRAIN, ("--size", "--epochs", "--batch-size", "--lr", "--threads"), COUNTS),
    (TRAIN, ("--test-share",), (*NUMBERS, "0.0", "1")),
    (TRAIN, ("--seed",), SEEDS),
    (TRAIN, ("--threads", "--workers"), ("99999", "9" * 30)),
    (TRAIN, ("--lr-milestones",), ("²", LONG, "0", "x", "1,²")),
    (TRAIN, ("--devices",), ("x", "0", "9999", "²", LONG, "-2", "0,0,0", "1.5")),
    (TRAIN, ("--device",), ("tpu", "x", "mps", "meta")),
    (TRAIN, ("--data", "--config", "--model", "--weights", "--gate", "--precision"), (NAME, "x")),
    (TRAIN, ("--work",), (NAME,)),
    (GATED, ("--scheme", "--share", "--start"), ("²", LONG)),
    (GATED, ("--reduction",), COUNTS),
    (EAT, ("--threads", "--lr"), COUNTS),
    (EAT, ("--seed",), SEEDS),
    (EAT, ("--lambda", "--devices"), ("nan", "9999²")),
    (EAT, ("--data", "--only", "--model"), (NAME, "x")),
    (("train", "birdnet", *DRAWN), ("--threads", "--epochs"), COUNTS),
    (("train", "birdnet", *DRAWN), ("--seed", "--workers"), SEEDS),
    (("train", "contrastive", *DRAWN), ("--threads", "--epochs"), COUNTS),
    (("train", "contrastive", *DRAWN), ("--seed", "--workers"), SEEDS),
    (RENDER, ("--count", "--size", "--species"), COUNTS),
    (RENDER, ("--seed",), SEEDS),
    (RENDER, ("--cue", "--out"), (NAME,)),
    (("world", "sheet"), ("--out",), (f"{NAME}.png",)),
    (("world", "certify", "foreground"), ("--weights", "--cue"), (NAME,)),
    (EVALUATE, ("--count", "--steps", "--budget"), COUNTS),
    (EVALUATE, ("--seed",), SEEDS),
    (EVALUATE, ("--metric", "--method", "--place", "--device", "--cue", "--out"), (NAME,)),
    (("gates", "show", "0.png"), ("--weights", "--model"), (NAME, "x")),
    (("gates", "sites"), ("--weights", "--model"), (NAME, "x")),
    (("layers",), ("--weights", "--model"), (NAME, "x")),
]
PLACES = [
    ("explain", f"{NAME}.png"),
    ("explain", "a\0b.png"),
    ("evaluate", NAME),
    ("train", "classify", "--data", "set", "--out", f"{NAME}.safetensors", "--toy"),
    ("gates", "search", "--data", NAME, "--log", "made/l.jsonl", "--model", "x", "--gate", "se"),
    ("audit", "eat", NAME, "--weights", NAME),
]
CASES = [(*words, option, text) for words, options, texts in VALUES for option in options for text in texts] + PLACES


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with pictures of two classes."""
    monkeypatch.chdir(tmp_path)
    for kind in "ab":
        (tmp_path / "set" / kind).mkdir(parents=True)
        for at in range(3):
            Image.fromarray(np.full((24, 24, 3), 40 * at, np.uint8)).save(tmp_path / "set" / kind / f"{at}.png")
    Image.fromarray(np.full((24, 24, 3), 9, np.uint8)).save(tmp_path / "0.png")
    return tmp_path


def short(words):
    return " ".join(word if len(word) < 20 else f"{word[:6]}..." for word in words).replace("\0", "NUL")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("words", CASES, ids=short)
def test_a_bad_value_is_refused_in_one_sentence(here, words) -> None:
    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (1, 2), result.output
    assert "Traceback" not in result.output
    assert len(result.stderr.strip()) > 20
    assert len(result.stderr) < 1500 + 2 * max(map(len, words))
    assert not (here / "made" / "c.safetensors").exists()
