import json
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.data.cub import read_cub
from sightline.errors import DataError
from sightline.worlds.aviary import GROUPS, World, WorldConfig, layout, render
from sightline.worlds.aviary.attributes import offsets
from sightline.worlds.aviary.keypoints import CUB_PARTS, keypoints
from sightline.worlds.aviary.layout import write_world
from sightline.worlds.aviary.resume import Unfinished

COUNT, SIZE = 20, 48
NOISY = World(WorldConfig(species=5, twins=1, seed=6, label_noise=0.3, attribute_noise=0.1, drop_out=0.1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return written(tmp_path_factory.mktemp("world") / "w")


def written(out: Path, **options) -> Path:
    return write_world(NOISY, out, COUNT, size=SIZE, image_format="png", six_token_rows=5, **options)


def scene_number(path: str) -> int:
    return int(Path(path).stem.rpartition("_")[2]) - 1


def test_what_is_read_is_what_was_drawn(folder) -> None:
    data = read_cub(folder)
    assert len(data) == COUNT
    assert sorted(map(scene_number, data.paths)) == list(range(COUNT))
    for row, path in enumerate(data.paths):
        index = scene_number(path)
        drawn = render(NOISY.scene(index), SIZE)
        np.testing.assert_array_equal(np.asarray(Image.open(data.image_path(row))), drawn.image)
        np.testing.assert_array_equal(np.asarray(Image.open(data.mask_path(row, "parts"))), drawn.parts)
        opacity = np.asarray(Image.open(data.mask_path(row))) / 255
        np.testing.assert_allclose(opacity, drawn.coverage(), atol=1 / 255)
        assert data.labels[row] == drawn.scene.label
        assert data.train[row] == NOISY.in_train(index)
        assert tuple(data.boxes[row]) == drawn.box
        points = [(point.x, point.y, point.visible) for point in keypoints(drawn)]
        np.testing.assert_allclose(data.points[row], points, atol=0.051)


def test_attributes_are_the_annotators_notes_where_the_part_is_seen(folder) -> None:
    data = read_cub(folder)
    for row, path in enumerate(data.paths):
        scene = NOISY.scene(scene_number(path))
        for g, noted in enumerate(scene.noted):
            here = slice(offsets()[g], offsets()[g + 1])
            assert len(set(data.certainty[row, here])) == 1
            seen = data.certainty[row, offsets()[g]] > 1
            assert data.present[row, here].tolist() == [
                bool(seen) and v == noted for v in range(len(GROUPS[g].values))
            ]
            if GROUPS[g].part in scene.missing:
                assert not seen


def test_classes_and_images_are_numbered_and_grouped_as_in_cub(folder) -> None:
    data = read_cub(folder)
    assert all(name.startswith(f"{k:03d}.") for k, name in enumerate(data.classes, 1))
    assert data.labels.tolist() == sorted(data.labels)
    assert all(path.startswith(data.classes[label]) for path, label in zip(data.paths, data.labels, strict=True))
    assert data.parts == CUB_PARTS


def test_six_token_rows_are_there_and_do_no_harm(folder) -> None:
    rows = (folder / "attributes" / "image_attribute_labels.txt").read_text().splitlines()
    assert sum(len(row.split()) == 6 for row in rows) == 5
    assert len(rows) == COUNT * offsets()[-1]
    assert read_cub(folder).repeated == 0


def test_class_percentages_are_counts_over_images_that_show_the_part(folder) -> None:
    data = read_cub(folder)
    percent = np.loadtxt(folder / "attributes" / "class_attribute_labels_continuous.txt")
    for label in range(len(data.classes)):
        rows = data.labels == label
        seen = data.known[rows].sum(0)
        by_hand = 100 * (data.present & data.known)[rows].sum(0) / np.maximum(seen, 1)
        np.testing.assert_allclose(percent[label], by_hand, atol=1e-3)


def test_the_truth_behind_the_notes_is_written_too(folder) -> None:
    about = json.loads((folder / "world.json").read_text())
    scenes = [json.loads(line) for line in (folder / "scenes.jsonl").read_text().splitlines()]
    assert about["knobs"]["label_noise"] == 0.3
    assert len(about["species"]) == 5
    assert [scene["index"] for scene in scenes] == [scene_number(path) for path in read_cub(folder).paths]
    assert any(scene["label"] != scene["species"] for scene in scenes)


def test_a_world_is_the_same_bytes_with_any_number_of_workers(folder, tmp_path) -> None:
    again = written(tmp_path / "w", workers=2)
    assert digests(again) == digests(folder)


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest() for path in files}


def test_jpeg_pictures_are_close_to_the_drawing(tmp_path) -> None:
    data = read_cub(write_world(NOISY, tmp_path / "w", 2, size=64))
    assert data.paths[0].endswith(".jpg")
    drawn = render(NOISY.scene(scene_number(data.paths[0])), 64).image
    assert np.abs(np.asarray(Image.open(data.image_path(0))).astype(int) - drawn).mean() < 4


def test_a_folder_with_anything_in_it_is_refused(tmp_path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(DataError, match="not an empty folder"):
        write_world(NOISY, tmp_path, 2, size=32)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_world_is_not_seen_and_goes_on_where_it_stopped(folder, tmp_path, monkeypatch, error) -> None:
    done: list[int] = []

    def stop(count: int) -> None:
        done.append(count)
        if sum(done) == 5:
            raise error

    with pytest.raises(error):
        written(tmp_path / "w", report=stop)
    assert not (tmp_path / "w").exists()
    drawn, told, draw = [], [], layout.render
    monkeypatch.setattr(layout, "render", lambda scene, size: drawn.append(scene.index) or draw(scene, size))
    again = written(tmp_path / "w", report=told.append)
    assert drawn == list(range(5, COUNT))
    assert told[0] == 5
    assert sum(told) == COUNT
    assert digests(again) == digests(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_a_killed_command_leaves_whole_scenes_and_the_next_one_keeps_them(tmp_path) -> None:
    out, half = tmp_path / "w", Unfinished.of(tmp_path / "w")
    start = [sys.executable, "-c", "from sightline.cli.app import main; main()"]
    command = [*start, "world", "render", "--out", str(out), "--count", "400", "--size", "48"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 120
    while len([*half.folder.glob("records/[!.]*.json")]) < 6 and time.monotonic() < limit:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not out.exists()
    kept = {int(path.stem) for path in half.folder.glob("records/[!.]*.json")}
    assert 6 <= len(kept) < 400
    command[command.index("400")] = str(max(kept) + 3)
    before = {path: path.stat().st_mtime_ns for path in half.folder.glob("images/*/[!.]*.jpg")}
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    same = [path for path, stamp in before.items() if _moved(path, half.folder, out).stat().st_mtime_ns == stamp]
    assert len(same) >= len(kept) - 1  # the last one is recorded before it is written
    whole = write_world(World(), tmp_path / "whole", max(kept) + 3, size=48)
    assert digests(out) == digests(whole)


def _moved(path: Path, old: Path, new: Path) -> Path:
    return new / path.relative_to(old)


@pytest.mark.parametrize("damage", ["cut picture", "lost mask", "cut record", "foreign record"])
def test_a_damaged_scene_of_an_unfinished_world_is_drawn_again(folder, tmp_path, damage) -> None:
    half = interrupted(tmp_path / "w")
    victim = {
        "cut picture": next(half.folder.glob("images/*/*.png")),
        "lost mask": next(half.folder.glob("masks/parts/*/*.png")),
    }.get(damage, half.folder / "records" / "00000002.json")
    if damage == "lost mask":
        victim.unlink()
    elif damage == "foreign record":
        victim.write_text('{"entry": {}, "files": {}}')
    else:
        victim.write_bytes(victim.read_bytes()[:40])
    assert digests(written(tmp_path / "w")) == digests(folder)


def test_an_unfinished_world_with_other_knobs_is_refused(tmp_path) -> None:
    half = interrupted(tmp_path / "w")
    before = digests(half.folder)
    with pytest.raises(DataError, match=r"unfinished world.*\(seed was 6, is now 7\); ask for the same"):
        write_world(World(replace(NOISY.config, seed=7)), tmp_path / "w", COUNT, size=SIZE, image_format="png")
    with pytest.raises(DataError, match="size was 48, is now 32"):
        write_world(NOISY, tmp_path / "w", COUNT, size=32, image_format="png")
    assert digests(half.folder) == before


def test_a_foreign_folder_in_the_way_is_refused(tmp_path) -> None:
    (tmp_path / ".w.part").mkdir()
    with pytest.raises(DataError, match="in the way"):
        written(tmp_path / "w")


def test_fewer_scenes_than_were_drawn_leave_no_stray_picture(tmp_path) -> None:
    interrupted(tmp_path / "w")
    out = write_world(NOISY, tmp_path / "w", 2, size=SIZE, image_format="png", six_token_rows=5)
    assert len([*out.rglob("*.png")]) == 6
    assert len(read_cub(out)) == 2


def interrupted(out: Path) -> Unfinished:
    def stop(count: int) -> None:
        if count and len([*Unfinished.of(out).folder.glob("records/*.json")]) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written(out, report=stop)
    return Unfinished.of(out)


@pytest.mark.parametrize("arguments", [{"count": 0}, {"count": 2, "image_format": "bmp"}])
def test_senseless_arguments_are_refused(tmp_path, arguments) -> None:
    with pytest.raises(DataError):
        write_world(NOISY, tmp_path / "w", **arguments)


def test_left_and_right_are_the_birds_own() -> None:
    world = World(WorldConfig(occluders=0.0))
    scene = next(s for s in map(world.scene, range(50)) if not s.pose.left)
    scene = replace(scene, pose=replace(scene.pose, x=0.5, y=0.5))
    points = {point.name: point for point in keypoints(render(scene, 128))}
    assert points["right eye"].visible
    assert not points["left eye"].visible
    assert points["tail"].x < points["belly"].x < points["beak"].x
    assert points["crown"].y < points["belly"].y < points["right leg"].y
    assert points["nape"].x < points["forehead"].x


def test_drawing_needs_no_torch() -> None:
    names = "sightline.worlds.aviary, sightline.worlds.aviary.layout, sightline.data.cub"
    code = f"import sys, {names}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
