"""The captioner's training: its losses, its schedule, its files, its commands; and that it goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

pytest.importorskip("lightning")

from sightline.cli.app import app
from sightline.common.statistics.bootstrap import Interval
from sightline.errors import InputError
from sightline.tasks.captioning.data.regions import RegionSet
from sightline.tasks.captioning.data.table import CaptionTable, Part, part_of_scenes
from sightline.tasks.captioning.data.vocabulary import sentence_of
from sightline.tasks.captioning.explain.caption import Caption, captioned
from sightline.tasks.captioning.explain.geometry import CELLS, REACH, learned_geometry
from sightline.tasks.captioning.explain.methods import CONTROLS, METHODS, Question, encoder_attention, weights_of
from sightline.tasks.captioning.explain.opened import open_captioner, open_regions
from sightline.tasks.captioning.explain.page import caption_page
from sightline.tasks.captioning.explain.pointing import Pointing, best_method, pointing
from sightline.tasks.captioning.metrics.cider import CiderD
from sightline.tasks.captioning.metrics.measures import measure, regions_of, relation_hits, write
from sightline.tasks.captioning.metrics.nearest import nearest_captions
from sightline.tasks.captioning.module import CaptionTask, rate
from sightline.tasks.captioning.network.attention import PLAIN
from sightline.tasks.captioning.network.captioner import Captioner, load_captioner
from sightline.tasks.captioning.network.decoding import Regions, greedy, sampled, word_logs
from sightline.tasks.captioning.network.geometry import grid_boxes, relative_geometry
from sightline.tasks.captioning.recipe import CaptionRecipe, ScheduleConfig
from sightline.tasks.captioning.train import spec_of, train_captions
from sightline.tasks.captioning.world.scenes import HELD_OUT, Scenes, draw_scenes
from sightline.training.reporter import Reporter

TOY = CaptionRecipe().toy().but(scenes=24, held_out=8, batch_size=8, epochs=2)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("captioner") / "net.safetensors"
    train_captions(out, TOY)
    return out


@pytest.fixture(scope="module")
def net(weights: Path) -> Captioner:
    return load_captioner(weights)


@pytest.fixture(scope="module")
def question(net: Captioner) -> Question:
    scenes = draw_scenes(1, seed=9)
    tokens = torch.tensor([[*(net.numbers[word] for word in scenes.sentence(0, "size")), net.end]])
    return Question(net, regions_of(scenes), tokens)


def task(net: Captioner) -> tuple[CaptionTask, tuple[torch.Tensor, ...]]:
    part = part_of_scenes(draw_scenes(6, seed=4))
    batch = CaptionTable(part, net.spec.words, net.spec.longest)[[0, 3, 5]]
    return CaptionTask(net, TOY.but(captions_per_picture=8), part, 3), batch


def test_cross_entropy_is_the_mean_over_the_words_of_the_captions(net: Captioner) -> None:
    module, (features, boxes, mask, tokens, _) = task(net)
    loss = module.cross_entropy(Regions(features, boxes, mask), tokens, torch.Generator().manual_seed(0))
    total, count = 0.0, 0
    for i in range(len(tokens)):
        for own in tokens[i]:
            words = own[own != 0]
            logits = net(features[i : i + 1], boxes[i : i + 1], words[None, :-1])[0]
            total += float(F.cross_entropy(logits, words[1:], reduction="sum").detach())
            count += len(words) - 1
    assert float(loss) == pytest.approx(total / count, abs=1e-5)


def test_self_critical_loss_is_the_gain_over_greedy_times_the_log_probability(net: Captioner) -> None:
    module, (features, boxes, mask, _, rows) = task(net)
    regions = Regions(features, boxes, mask)
    loss = module.self_critical(regions, rows, torch.Generator().manual_seed(3))
    drawn, best = sampled(net, regions, torch.Generator().manual_seed(3)), greedy(net, regions)
    cider = CiderD(module.part.sentences)
    total, words = 0.0, 0
    for i, row in enumerate(rows.tolist()):
        gain = 0.0
        for sign, own in ((1, drawn), (-1, best)):
            gain += sign * cider.score(
                sentence_of(own.tokens[i].tolist(), net.spec.words), module.part.sentences[row]
            )
        total += gain * float(word_logs(net, regions, drawn.tokens)[i].sum())
        words += int((drawn.tokens[i] != net.pad).sum())
    assert float(loss) == pytest.approx(-total / words, abs=1e-5)
    net.eval()


def test_nothing_is_learnt_where_the_drawn_caption_is_the_greedy_one(
    net: Captioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, (features, boxes, mask, _, rows) = task(net)
    monkeypatch.setattr(
        "sightline.tasks.captioning.module.sampled", lambda net, regions, chance: greedy(net, regions)
    )
    assert float(module.self_critical(Regions(features, boxes, mask), rows, torch.Generator())) == 0
    net.eval()


def test_the_published_schedule_rises_for_three_epochs_and_is_halved_every_three() -> None:
    paper = ScheduleConfig(lr=3e-4, warm_up=3, halve_from=3, halve_every=3, critical_lr=4e-5, critical_decay=0.8)
    rates = [rate(t, paper, 15) * 3e-4 for t in (1, 2, 2.999, 3, 6, 14, 15, 17)]
    expected = [1e-4, 2e-4, 2.999e-4, 1.5e-4, 0.75e-4, 0.1875e-4, 4e-5, 4e-5 * 0.64]
    assert rates == pytest.approx(expected, rel=1e-6)


def test_a_run_that_is_stopped_in_either_phase_goes_on_to_the_same_weights(weights: Path, tmp_path: Path) -> None:
    for last in (1, 2):
        out = tmp_path / f"net{last}.safetensors"

        def stop(number: int, row: dict[str, float], last: int = last) -> None:
            if number == last:
                raise RuntimeError("stopped")

        with pytest.raises(RuntimeError, match="stopped"):
            train_captions(out, TOY, reporter=Reporter(epoch=stop))
        train_captions(out, TOY)
        assert out.read_bytes() == weights.read_bytes()


def test_figures_stand_beside_captions_that_never_looked(net: Captioner) -> None:
    part = part_of_scenes(draw_scenes(8, seed=6))
    measures = measure(net, part, part)
    assert [kind for kind, _ in measures.relations] == ["side", "height", "distance", "size"]
    assert all(hits.total == 16 for _, hits in measures.relations)
    assert measures.constant.cider.mean > 0
    assert measures.true is not None
    assert measures.true_nearest.share == 1  # the pictures themselves are among those that were learnt from


def test_the_caption_of_the_most_similar_picture_is_copied() -> None:
    def part(sets: list[RegionSet], *sentences: str) -> Part:
        return Part(len(sets), sets.__getitem__, tuple((tuple(own.split()),) for own in sentences))

    def picture(*rows: list[float]) -> RegionSet:
        return RegionSet(torch.tensor(rows), grid_boxes(1, len(rows)), "picture")

    train = part([picture([5.0, 1.0]), picture([0.0, 100.0], [2.0, 120.0])], "a cat", "a dog")
    held_out = part(
        [picture([1.0, 90.0], [1.0, 130.0], [1.0, 110.0]), picture([4.0, 0.0]), picture(*([[2.5, 60.0]] * 200))],
        "x",
        "y",
        "z",
    )
    assert nearest_captions(train, held_out) == [("a", "dog"), ("a", "cat"), ("a", "dog")]


def test_card_and_spec_say_what_the_recipe_asked_for(weights: Path, net: Captioner) -> None:
    card = weights.with_suffix(".md").read_text(encoding="utf-8")
    assert "It knows nothing of photos" in card
    assert "METEOR and SPICE" in card
    recipe = TOY.but(normaliser="layer", geometry=("key",), signed=True)
    kind = spec_of(recipe, net.spec.words, 9, "scenes").attention
    assert (kind.normaliser, kind.geometry, kind.signed) == ("layer", ("key",), True)


@pytest.mark.parametrize("method", [*METHODS, *CONTROLS])
def test_every_method_gives_each_word_a_weight_of_each_region(method: str, question: Question) -> None:
    weights = weights_of(question, method)
    assert weights.shape == (question.tokens.shape[1], 5)
    assert bool(weights.isfinite().all())
    if method in ("attention", "rollout", "rollout-no-geometry"):
        assert torch.allclose(weights.sum(1), torch.ones(len(weights)), atol=1e-5)


def test_the_encoders_attention_is_what_the_layer_computed(question: Question) -> None:
    net, regions = question.net, question.regions
    layer = net.encoder[0]
    inside: list[torch.Tensor] = []
    hook = layer.attention.register_forward_hook(lambda module, args, out: inside.extend((args[0], out)))
    net.encode(regions.features, regions.boxes)
    hook.remove()
    x, out = inside
    (weights, *_) = encoder_attention(question)
    values = layer.attention.value(x).unflatten(-1, (layer.attention.heads, -1)).transpose(1, 2)[0]
    assert torch.allclose(layer.attention.out((weights @ values).transpose(0, 1).flatten(1)), out[0], atol=1e-5)
    without = encoder_attention(question, geometry=False)[0]
    assert not torch.allclose(weights, without, atol=1e-4)


def test_gradient_attention_is_the_gradient_by_finite_differences(question: Question) -> None:
    from sightline.tasks.captioning.explain.methods import crossings

    (layer, *_), scores = crossings(question)
    (G,) = torch.autograd.grad(scores[0, 2], layer.output)
    v = layer.values
    dA = (G @ layer.module.out.weight)[0].unflatten(-1, (v.shape[0], -1)).transpose(0, 1) @ v.mT
    expected = (layer.weights * dA).relu().mean(0).sum(0)
    assert torch.allclose(weights_of(question, "gradient-attention")[2], expected, atol=1e-6)


def test_leaving_a_region_out_is_a_forward_without_it(question: Question) -> None:
    weights = weights_of(question, "left-out")
    net, regions, rest = question.net, question.regions, [0, 1, 3, 4]
    with torch.no_grad():
        whole = word_logs(net, regions, question.tokens)[0]
        without = word_logs(net, Regions(regions.features[:, rest], regions.boxes[:, rest]), question.tokens)[0]
    assert torch.allclose(weights[:, 2], whole - without, atol=1e-5)
    alone = Question(net, Regions(regions.features[:, :1], regions.boxes[:, :1]), question.tokens)
    assert (weights_of(alone, "left-out") == 1).all()


def test_controls_are_the_middle_box_and_the_maps_of_other_words(question: Question) -> None:
    boxes = question.regions.boxes[0]
    middle = ((boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5).square().sum(1).argmin()
    assert (weights_of(question, "centre").argmax(1) == middle).all()
    own, moved = (weights_of(question, name) for name in ("attention", "shuffled"))
    assert torch.equal(moved.sort(0).values, own.sort(0).values)
    assert not torch.allclose(moved, own, atol=1e-4)


def test_the_best_method_points_best_at_words_and_then_at_relations() -> None:
    figures = {"a": (0.9, 0.5), "b": (0.9, 0.6), "c": (0.8, 1.0)}
    points = [Pointing(name, *(Interval(v, v, v, 1) for v in pair)) for name, pair in figures.items()]
    assert best_method(points) == "b"


def test_sentences_of_one_kind_are_pointed_at_alone(net: Captioner, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[str] = []
    plain = Scenes.sentence

    def listed(self: Scenes, scene: int, kind: str, *, turned: bool = False) -> tuple[str, ...]:
        kinds.append(kind)
        return plain(self, scene, kind, turned=turned)

    monkeypatch.setattr(Scenes, "sentence", listed)
    pointing(net, draw_scenes(2, seed=8), methods=("uniform",), kinds=("size",))
    assert kinds == ["size", "size"]


def test_controls_point_as_often_as_chance_says(net: Captioner) -> None:
    (uniform,) = pointing(net, draw_scenes(4, seed=8), methods=("uniform",))
    assert uniform.words.mean == pytest.approx(0.2)
    assert uniform.relations.mean == pytest.approx(0.4)


def test_a_page_shows_words_and_regions(net: Captioner) -> None:
    opened = open_regions(net, None)
    caption = captioned(net, opened.regions, sentence="the red circle is near the blue star")
    page = caption_page(caption, opened.image)
    assert page.count('class="region') == 5
    assert page.count('class="word"') == 8
    assert 'src="http' not in page


def test_learned_geometry_is_the_bias_of_each_layer_for_boxes_around_the_region() -> None:
    net, opened = open_captioner(None), open_regions(open_captioner(None), None)
    learned = learned_geometry(net, opened.regions, 2)
    batch, layer = opened.regions.batch(), net.encoder[1]
    with torch.no_grad():
        x = net.encoder[0](net.input(batch.features), relative_geometry(batch.boxes, signed=True))[0, 2]
        row, column, step = 3, 20, 2 * REACH / (CELLS - 1)
        centre = torch.tensor([column * step - REACH, row * step - REACH]).repeat(2)
        half = torch.tensor([-0.5, -0.5, 0.5, 0.5])
        one = layer.attention.bias.of_boxes(x.expand(1, 2, -1), torch.stack([half, half + centre])[None])[0, :, 0, 1]
        twin = layer.attention.bias.of_boxes(x.expand(1, 2, -1), torch.stack([half, half - centre])[None])[0, :, 0, 1]
    shown = learned.places[1, :, row, column] - learned.places[1, :, CELLS - 1 - row, CELLS - 1 - column]
    assert torch.allclose(shown, one - twin, atol=1e-3)
    assert learned.places.mean((2, 3)).abs().max() < 1e-4
    assert learned.sizes.shape == (2, 4, CELLS)


def test_geometry_is_drawn_in_a_file_and_on_the_page(weights: Path, tmp_path: Path) -> None:
    picture, own = tmp_path / "geometry.svg", ("--weights", str(weights))
    code, text = run("caption", *own, "--geometry", str(picture), "--region", "2", "--page", str(tmp_path / "page"))
    assert code == 0, text
    assert "attention of region 2 to boxes" in text
    assert "layer 1, head 2" in picture.read_text()
    page = (tmp_path / "page" / "caption.html").read_text()
    assert "How much attention region 2 pays" in page
    assert page.count(": a box by its size") == 2
    for words, problem in ((("--geometry", "a.jpg"), "end it in .png"), (("--region", "9"), "no region 9")):
        code, text = run("caption", *own, "--page", str(tmp_path / "other"), *words)
        assert code
        assert problem in text


def test_a_captioner_without_geometry_has_none_to_draw(net: Captioner) -> None:
    plain = Captioner(replace(net.spec, attention=PLAIN))
    with pytest.raises(InputError, match="has no geometry bias"):
        learned_geometry(plain, open_regions(net, None).regions, 0)


def test_one_region_and_two_are_explained_in_a_note_and_words_that_need_no_region_have_none() -> None:
    net = open_captioner(None)
    regions = open_regions(net, None).regions
    for count, words in ((1, "a normalised query is zero"), (2, "plus or minus one"), (3, None)):
        part = RegionSet(regions.features[:count], regions.boxes[:count], "part")
        notes = captioned(net, part, sentence="the red circle").notes
        assert any(words in note for note in notes) if words else not notes
    caption = Caption(
        ("the", "cat"), (0.0, -0.1), 0.0, ((0.004, 0.001, 0.0), (2.0, 0.001, -1.0)), ((0,) * 4,) * 3, "left-out"
    )
    assert [caption.most(place) for place in (0, 1)] == ["none", "1 (100%)"]
    assert replace(caption, method="attention").most(0) == "1 (80%), 2 (20%)"


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, " ".join((done.output + (str(done.exception) if done.exit_code else "")).split())


def test_the_command_captions_a_scene_and_scores_a_sentence(weights: Path, tmp_path: Path) -> None:
    code, text = run("caption", "--weights", str(weights), "--page", str(tmp_path / "page"), "--json")
    assert code == 0, text
    assert (tmp_path / "page" / "caption.html").is_file()
    code, text = run(
        "caption", "--weights", str(weights), "--score", "The red zebra is near the blue star.", "--json"
    )
    assert code == 0, text
    record = json.loads(text[text.index("{") :])
    assert record["caption"] == "the red zebra is near the blue star"
    assert "not in the vocabulary, scored as unknown words: zebra" in text
    assert record["log_probability"] < sum(word["log_probability"] for word in record["words"])


def test_the_bundled_captioner_tells_the_truth_of_scenes_that_it_never_saw() -> None:
    code, text = run("caption", "--scene", "3")
    assert code == 0, text
    net, part = open_captioner(None), part_of_scenes(draw_scenes(60, seed=HELD_OUT + 7))
    captions = write(net, part, width=1)
    assert sum(own in part.sentences[i] for i, own in enumerate(captions)) >= 55
    shares = {kind: hits.share for kind, hits in relation_hits(net, part.scenes)}
    assert min(shares.values()) >= 0.85, shares


def test_a_photo_is_refused_by_a_captioner_of_scenes(weights: Path, tmp_path: Path) -> None:
    code, text = run("caption", str(tmp_path / "a.jpg"), "--weights", str(weights))
    assert code
    assert "knows generated scenes only; give --weights FILE of a captioner of photos" in text
    code, text = run("caption", str(tmp_path / "a.jpg"))
    assert code
    assert "knows generated scenes only" in text
    code, text = run("caption", "--weights", str(weights), "--method", "atention")
    assert code
    assert "near names: 'attention'" in text
