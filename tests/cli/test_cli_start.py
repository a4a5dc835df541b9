"""The command as a program of its own: quick to start, right in its exit codes, clean after Ctrl-C."""

import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

RUN = "from sightline.cli.app import main; main()"


def sightline(*arguments, code=RUN, **options):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )


def test_help_is_quick_and_imports_no_torch():
    code = (
        "import sys, time\n"
        "from sightline.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n"
        "    heavy = {'torch', 'numpy', 'PIL', 'matplotlib', 'timm'} & set(sys.modules)\n"
        "    sys.stderr.write(f'{end.code} {time.process_time()} {sorted(heavy)}')\n"
    )
    sightline("--help", code=code)  # the first start compiles
    runs = [sightline("--help", code=code) for _ in range(3)]
    facts = [run.stderr.split(" ", 2) for run in runs]
    assert all("explain" in run.stdout and "doctor" in run.stdout for run in runs)
    assert [(code, heavy) for code, _, heavy in facts] == [("0", "[]")] * 3
    assert min(float(seconds) for _, seconds, _ in facts) < 0.6


def test_the_module_is_the_command_line():
    run = subprocess.run(
        [sys.executable, "-m", "sightline", "--version"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0
    assert run.stdout == sightline("--version").stdout


def test_version_is_said():
    import sightline as package

    assert sightline("--version").stdout == f"sightline {package.__version__}\n"


@pytest.mark.parametrize("arguments", [["explian"], ["explain", "--no-such-option"], ["explain", "--topk", "none"]])
def test_wrong_usage_ends_with_2(arguments):
    run = sightline(*arguments)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr


def test_an_error_is_one_sentence_on_standard_error_and_ends_with_1(tmp_path):
    run = sightline("explain", "missing.png", "--out", tmp_path / "out", cwd=tmp_path)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("error: there is no file 'missing.png'")
    assert run.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_ctrl_c_ends_with_130_and_leaves_the_old_result_and_nothing_half_written(tmp_path):
    for number in range(3):
        Image.new("RGB", (64, 64), (number * 50, 9, 9)).save(tmp_path / f"{number}.png")
    slow = (
        "import time, sightline.cli.job as job\n"
        "first = job.write_formats\n"
        "def slow(items, folder, wish, **more):\n"
        "    first(items, folder, wish, **more)\n"
        "    if folder.name.startswith('.1.'):\n"
        "        (folder / 'half').touch(); print('now', flush=True); time.sleep(60)\n"
        "job.write_formats = slow\n"
    )
    arguments = [*(f"{number}.png" for number in range(3)), "-m", "timm:test_convnext", "--weights", "random"]
    command = [sys.executable, "-c", slow + RUN, "explain", *arguments, "--format", "arrays"]
    run = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job inherits it ignored
    )
    assert run.stdout.readline() == "now\n"
    time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    _, text = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "stopped, nothing half-written" in text
    assert "Traceback" not in text
    found = sorted(
        path.relative_to(tmp_path / "sightline_out").as_posix() for path in tmp_path.rglob("sightline_out/**/*")
    )
    assert found == ["0", "0/arrays.safetensors", "0/manifest.json", "0/summary.json"]
