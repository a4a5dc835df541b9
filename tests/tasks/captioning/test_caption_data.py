"""Scenes and their sentences; files of captions and of region features, whole and broken."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.errors import DataError, InputError
from sightline.tasks.captioning.data.captions import read_captions, read_results
from sightline.tasks.captioning.data.extract import detected_regions, grid_regions
from sightline.tasks.captioning.data.features import open_features, read_tsv
from sightline.tasks.captioning.data.regions import RegionSet, padded, region_set
from sightline.tasks.captioning.data.sources import CaptionFiles, read_data
from sightline.tasks.captioning.data.table import CaptionTable, part_of_scenes
from sightline.tasks.captioning.data.vocabulary import numbers_of, sentence_of, unknown_words, vocabulary, words_of
from sightline.tasks.captioning.explain.opened import open_captioner, open_regions
from sightline.tasks.captioning.network.spec import SPECIAL
from sightline.tasks.captioning.recipe import CaptionRecipe
from sightline.tasks.captioning.world.picture import scene_picture
from sightline.tasks.captioning.world.scenes import COLOURS, KINDS, SHAPES, draw_scenes, relations_of, words


def test_sentences_of_a_scene_are_true_of_its_boxes() -> None:
    scenes = draw_scenes(40, seed=3)
    for row in range(len(scenes)):
        for kind in KINDS:
            for turned in (False, True):
                sentence = scenes.sentence(row, kind, turned=turned)
                a, b = scenes.pairs[row].tolist()[:: -1 if turned else 1]
                assert sentence[1:3] == (COLOURS[scenes.colours[row, a]], SHAPES[scenes.shapes[row, a]])
                box = {i: scenes.boxes[row, i].tolist() for i in (a, b)}
                (ax, ay), (bx, by) = (((v[0] + v[2]) / 2, (v[1] + v[3]) / 2) for v in (box[a], box[b]))
                sizes = [(v[2] - v[0]) * (v[3] - v[1]) for v in (box[a], box[b])]
                distance = ((ax - bx) ** 2 + (ay - by) ** 2) ** 0.5 / ((sizes[0] ** 0.5 + sizes[1] ** 0.5) / 2)
                truth = {
                    "left": ax < bx, "right": ax > bx, "above": ay < by, "below": ay > by,
                    "near": distance < 1.8, "far": distance > 1.8,
                    "bigger": sizes[0] > sizes[1], "smaller": sizes[0] < sizes[1],
                }  # fmt: skip
                assert truth[sentence[4]], sentence


def test_scenes_moved_and_scaled_keep_their_relations_and_half_are_near() -> None:
    scenes = draw_scenes(200, seed=1)
    moved = scenes.moved(3.0, 1.0)
    rows = torch.arange(len(scenes))[:, None]
    assert torch.equal(relations_of(moved.boxes[rows, scenes.pairs])[0], scenes.firsts)
    assert int(scenes.firsts[:, 2].sum()) == 100
    assert (scenes.firsts.float().mean(0) - 0.5).abs().max() < 0.12


def test_features_say_nothing_of_places_and_each_word_has_its_regions() -> None:
    scenes = draw_scenes(2000, seed=0)
    middle = scenes.boxes.mean(-1).flatten()
    links = [float(torch.corrcoef(torch.stack([middle, c]))[0, 1]) for c in scenes.features.flatten(0, 1).T]
    assert max(map(abs, links)) < 0.05
    sentence = scenes.sentence(0, "side")
    a, b = scenes.pairs[0].tolist()
    right = scenes.regions(0, sentence)
    assert right[:5] == (frozenset(), {a}, {a}, frozenset(), {a, b})
    assert right[-2:] == ({b}, {b})


def test_equal_seeds_draw_equal_scenes_and_a_picture_shows_the_colours() -> None:
    one, two = (draw_scenes(3, seed=5) for _ in range(2))
    assert torch.equal(one.features, two.features)
    assert torch.equal(one.boxes, two.boxes)
    picture = scene_picture(one, 0, 100)
    assert picture.size == (100, 100)
    assert len(picture.getcolors(10_000) or []) > 3
    assert set(words()) >= {word for i in range(3) for sentence in one.sentences(i) for word in sentence}


def test_words_become_numbers_and_come_back() -> None:
    sentences = [words_of(text) for text in ("A dog.", "a dog's bowl!", "A CAT, a dog")]
    vocab = vocabulary(sentences, least=2)
    assert vocab == (*SPECIAL, "a", "dog")
    numbers = {word: i for i, word in enumerate(vocab)}
    row = numbers_of(words_of("a red dog runs"), numbers, 3)
    assert row == [1, 4, 3, 5, 2]
    assert sentence_of(row[1:], vocab) == ("a", "<unknown>", "dog")
    assert unknown_words(("a", "red", "red"), numbers) == ("red",)
    with pytest.raises(DataError, match="no word of 5 occurs 9 times"):
        vocabulary(sentences, least=9)


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


COCO = {
    "images": [{"id": 7, "file_name": "a.jpg", "width": 40, "height": 20}],
    "annotations": [{"image_id": 7, "caption": "A dog."}, {"image_id": 7, "caption": "One dog!"}],
}
KARPATHY = {
    "images": [
        {"cocoid": 7, "imgid": 0, "filename": "a.jpg", "split": "restval", "sentences": [{"tokens": ["a", "dog"]}]},
        {"imgid": 1, "filename": "b.jpg", "split": "test", "sentences": [{"raw": "A cat.", "tokens": []}]},
    ]
}


def test_both_layouts_of_captions_are_read(tmp_path: Path) -> None:
    (picture,) = read_captions(write(tmp_path / "coco.json", COCO), split="validation")
    assert (picture.id, picture.split, picture.sentences) == (7, "validation", (("a", "dog"), ("one", "dog")))
    one, two = read_captions(write(tmp_path / "karpathy.json", KARPATHY))
    assert (one.id, one.split, two.id, two.split) == (7, "train", 1, "test")
    assert two.sentences == (("a", "cat"),)


def test_a_picture_without_captions_and_other_layouts_are_refused(tmp_path: Path) -> None:
    lone = {**COCO, "images": [*COCO["images"], {"id": 8, "file_name": "b.jpg"}]}
    with pytest.raises(DataError, match=r"picture 8 \(b.jpg\) of .* has no caption; 1 of 2 have none"):
        read_captions(write(tmp_path / "a.json", lone))
    with pytest.raises(DataError, match="neither Karpathy's JSON"):
        read_captions(write(tmp_path / "b.json", [1]))
    for images, rest, problem in (
        ([{"id": 1}], {"annotations": []}, "entry 0 of 'images' lacks 'file_name'; it has id"),
        ([KARPATHY["images"][0], {"imgid": 1}], {}, "entry 1 of 'images' lacks 'split'; it has imgid"),
        ([{**KARPATHY["images"][0], "sentences": [{}]}], {}, "a sentence of a.jpg lacks 'raw'; it has nothing"),
    ):
        with pytest.raises(DataError, match=f"breaks its layout: {problem}"):
            read_captions(write(tmp_path / "c.json", {"images": images, **rest}))
    bad = {"images": [{**KARPATHY["images"][0], "split": "dev"}]}
    with pytest.raises(DataError, match="split 'dev'; known: train, restval, val, test"):
        read_captions(write(tmp_path / "d.json", bad))
    with pytest.raises(DataError, match="two captions of picture 1"):
        read_results(write(tmp_path / "e.json", [{"image_id": 1, "caption": "a"}] * 2))
    with pytest.raises(DataError, match="lacks image_id or caption"):
        read_results(write(tmp_path / "f.json", [{"id": 1}]))


BOXES = np.array([[0, 0, 10, 10], [5, 5, 40, 20]], np.float32)
FEATURES = np.arange(6, dtype=np.float32).reshape(2, 3)


def tsv(path: Path, *, cut: int = 0, count: int = 2) -> Path:
    parts = [base64.b64encode(values.tobytes()).decode() for values in (BOXES, FEATURES)]
    row = "\t".join(["7", "40", "20", str(count), *parts])
    path.write_text(row[: len(row) - cut] + "\n")
    return path


def test_all_layouts_of_features_give_the_same_regions(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "npz").mkdir()
    np.savez(tmp_path / "npz" / "7.npz", feat=FEATURES)
    np.save(tmp_path / "npz" / "7.npy", BOXES)
    shares = BOXES / np.array([40, 20, 40, 20], np.float32)
    for name, own in (("m2.h5", {"7_boxes": BOXES}), ("dlct.h5", {"7_boxes": shares, "7_size": np.array([40, 20])})):
        with h5py.File(tmp_path / name, "w") as file:
            for key, values in {"7_features": FEATURES, **own}.items():
                file[key] = values
    tsv(tmp_path / "up.tsv")
    for name in ("up.tsv", "npz", "m2.h5", "dlct.h5"):
        store = open_features(tmp_path / name, {7: (40, 20)} if name != "dlct.h5" else {})
        assert store.ids() == [7]
        assert torch.allclose(store.regions(7).boxes, torch.from_numpy(shares)), name
        assert torch.equal(store.regions(7).features, torch.from_numpy(FEATURES))
        with pytest.raises(DataError, match="has no regions of picture 8; it has those of 1"):
            store.regions(8)


def test_broken_feature_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with pytest.raises(DataError, match=r"line 1 of .* was the file cut short"):
        list(read_tsv(tsv(tmp_path / "a.tsv", cut=9)))
    with pytest.raises(DataError, match="has 5 columns, but bottom-up features have 6"):
        list(read_tsv(tsv(tmp_path / "b.tsv", cut=33)))
    with pytest.raises(DataError, match="has no boxes"):
        list(read_tsv(tsv(tmp_path / "c.tsv", count=0)))
    with pytest.raises(DataError, match="promises 3 boxes, but holds 2 boxes"):
        list(read_tsv(tsv(tmp_path / "d.tsv", count=3)))
    for name, keys in (("e.h5", ["data"]), ("f.h5", ["7_features"])):
        with h5py.File(tmp_path / name, "w") as file:
            for key in keys:
                file[key] = FEATURES
    with pytest.raises(DataError, match=r"has another layout: .* but it has 'data'"):
        open_features(tmp_path / "e.h5")
    with pytest.raises(DataError, match="without '7_boxes'"):
        open_features(tmp_path / "f.h5").regions(7)
    np.savez(tmp_path / "9.npz", other=FEATURES)
    with pytest.raises(DataError, match="comes without boxes"):
        open_features(tmp_path).regions(9)
    np.save(tmp_path / "9.npy", BOXES)
    with pytest.raises(DataError, match="has no entry 'feat'; it has other"):
        open_features(tmp_path).regions(9)
    np.savez(tmp_path / "9.npz", feat=FEATURES)
    with pytest.raises(DataError, match="nothing says how large picture 9 is"):
        open_features(tmp_path).regions(9)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no features"):
        open_features(tmp_path / "none")


def test_boxes_outside_are_cut_those_without_area_left_out_and_none_left_is_refused() -> None:
    features = torch.ones(3, 2)
    boxes = torch.tensor([[-10.0, 0, 20, 20], [5, 5, 5, 9], [10, 10, 50, 20]])
    own = region_set(features, boxes, (40, 20), "7")
    assert own.boxes.tolist() == [[0, 0, 0.5, 1], [0.25, 0.5, 1, 1]]
    assert own.notes == (
        "picture 7: 2 boxes cut at its edge",
        "picture 7: 1 box with no area inside it left out",
    )
    with pytest.raises(DataError, match="has no box with an area inside it"):
        region_set(features[1:2], boxes[1:2], (40, 20), "7")
    with pytest.raises(DataError, match="has no box with an area inside it"):
        region_set(features[:0], boxes[:0], (40, 20), "7")
    with pytest.raises(DataError, match="NaN or infinite"):
        region_set(features * float("nan"), boxes, (40, 20), "7")
    assert len(region_set(features[:1], boxes[:1], (40, 20), "7")) == 1


def test_pictures_of_other_numbers_of_regions_share_a_batch_and_other_widths_do_not() -> None:
    one, two = RegionSet(torch.ones(1, 2), torch.rand(1, 4)), RegionSet(torch.ones(3, 2), torch.rand(3, 4), "b")
    batch = padded([one, two])
    assert batch.mask is not None
    assert batch.mask.sum(1).tolist() == [1, 3]
    assert padded([two, two]).mask is None
    with pytest.raises(DataError, match="picture b has 3 features for each region, others have 2"):
        padded([one, RegionSet(torch.ones(1, 3), torch.rand(1, 4), "b")])


def test_a_table_gives_every_sentence_of_a_picture() -> None:
    scenes = draw_scenes(4, seed=2)
    vocab = (*SPECIAL, *words())
    table = CaptionTable(part_of_scenes(scenes, ("side", "size")), vocab, 20)
    features, boxes, mask, tokens, rows = table[[2, 0]]
    assert (features.shape[:2], boxes.shape, tokens.shape[:2]) == ((2, 5), (2, 5, 4), (2, 4))
    assert bool(mask.all())
    assert rows.tolist() == [2, 0]
    assert {sentence_of(own, vocab) for own in tokens[0, :, 1:].tolist()} == set(
        scenes.sentences(2, ("side", "size"))
    )


def test_regions_of_a_photo_are_cells_of_a_grid_or_boxes_of_a_detector() -> None:
    from torch import nn
    from torchvision.models import resnet18

    from sightline.models.load import LoadedModel
    from sightline.models.preprocess import Preprocess

    class Detector(nn.Module):
        def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
            return [{"boxes": torch.tensor([[2.0, 2, 30, 20], [0, 0, 9, 9]]), "scores": torch.tensor([0.9, 0.1])}]

    with torch.random.fork_rng():
        torch.manual_seed(0)
        loaded = LoadedModel(resnet18(num_classes=3).eval(), "r", None, Preprocess(size=(64, 64)))
    image = scene_picture(draw_scenes(1), 0, 60)
    grid = grid_regions(loaded, image)
    assert (grid.features.shape, grid.boxes.shape) == ((4, 512), (4, 4))
    found = detected_regions(Detector(), loaded, image)
    assert found.features.shape == (1, 512)
    assert torch.allclose(found.boxes, torch.tensor([[2.0, 2, 30, 20]]) / 60)
    with pytest.raises(DataError, match="no box with an area"):
        detected_regions(Detector(), loaded, image, score=0.95)


@pytest.mark.pack
def test_the_real_bottom_up_features_are_read_to_the_last_row(pack: Path, tmp_path: Path) -> None:
    archive = pack / "captions" / "region_features" / "trainval_36.zip"
    with zipfile.ZipFile(archive) as content:
        name = next(name for name in content.namelist() if name.endswith(".tsv"))
        content.extract(name, tmp_path)
    store = open_features(tmp_path / name)
    assert len(store.ids()) == 10
    own = store.regions(150367)
    assert own.features.shape == (36, 2048)
    assert own.notes == ()
    assert 37 < max(float(store.regions(number).features.max()) for number in store.ids()) < 37.2


@pytest.mark.pack
def test_the_real_captions_and_results_are_read(pack: Path) -> None:
    pictures = read_captions(pack / "captions" / "coco_mini" / "annotations" / "captions_train2017.json")
    assert (len(pictures), {len(picture.sentences) for picture in pictures}) == (60, {5})
    assert len(read_results(pack / "captions" / "captions_val2014_fakecap_results.json")) == 1000


def test_photos_tell_the_sizes_that_features_lack_and_are_drawn_on_the_page(tmp_path: Path) -> None:
    features, photos = tmp_path / "features", tmp_path / "photos"
    features.mkdir()
    (photos / "train2017").mkdir(parents=True)
    np.savez(features / "7.npz", feat=np.zeros((2, 9), np.float32))
    np.save(features / "7.npy", np.array([[10, 10, 50, 60], [0, 0, 20, 20]], np.float32))
    Image.new("RGB", (100, 80), "red").save(photos / "train2017" / "COCO_val2014_000000000007.jpg")
    net = open_captioner(None)
    with pytest.raises(DataError, match=r"how large picture 7 is; give the folder of the photos \(--images\)"):
        open_regions(net, features)
    opened = open_regions(net, features, images=photos)
    assert opened.regions.boxes[0].tolist() == pytest.approx([0.1, 0.125, 0.5, 0.75])
    assert opened.image.size == (100, 80)
    with pytest.raises(DataError, match="no photo whose name ends in the number"):
        open_regions(net, features, images=features)
    karpathy = tmp_path / "karpathy.json"
    pictures = [
        {"cocoid": 7, "imgid": 0, "filename": "7.jpg", "split": split, "sentences": [{"raw": "A red square."}]}
        for split in ("train", "test")
    ]
    karpathy.write_text(json.dumps({"images": pictures}))
    files = CaptionFiles(karpathy, features=features, images=photos)
    data = read_data(files, CaptionRecipe().but(least_count=1), lambda count: None)
    assert data.origin == "features"
    assert data.train.read(0).boxes[0].tolist() == pytest.approx([0.1, 0.125, 0.5, 0.75])


def test_an_unknown_relation_is_refused(tmp_path: Path) -> None:
    from sightline.tasks.captioning.data.sources import CaptionFiles, read_data
    from sightline.tasks.captioning.recipe import CaptionRecipe

    with pytest.raises(InputError, match="no relation 'sides'; near names: 'side'"):
        read_data(CaptionFiles(), CaptionRecipe().toy().but(relations=("sides",)), lambda done: None)
    with pytest.raises(InputError, match="without --captions"):
        CaptionFiles(features=tmp_path).check()
    with pytest.raises(InputError, match="captions need regions: give --features"):
        CaptionFiles(captions=tmp_path).check()
