"""Whether texts are true: what the card measures is what `explain` says, beside controls that name as much."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sightline import explain
from sightline.common.statistics.bootstrap import ratio_difference
from sightline.errors import InputError
from sightline.tasks.attributes.data.examples import Examples, object_shares
from sightline.tasks.attributes.explain.parsing import parse
from sightline.tasks.attributes.explain.speaking import speaking_model
from sightline.tasks.attributes.metrics.evaluate import read_with_maps, texts
from sightline.tasks.attributes.metrics.speech import as_many, text_report, texts_of
from sightline.tasks.attributes.network.skill import SEEN, TYPICAL, UNREAD, Skill
from sightline.tasks.attributes.train.calibrate import normalised
from sightline.tasks.attributes.train.guidance import class_maps
from tests.tasks.attributes.test_narrator import TABLE, WORDS, net


def pictures(count=12):
    """Channel c of a picture is crown c, as the network has it."""
    images = torch.zeros(count, 3, 32, 32, dtype=torch.uint8)
    for row in range(count):
        images[row, row % 3, 8:16, 16:24] = 255
    labels = torch.arange(count) % 3
    parts = torch.full((count, 16, 16), 255, dtype=torch.uint8)
    return Examples(images, labels, TABLE[labels], torch.ones(count, 7), parts)


def model(standing=SEEN, **changes):
    own = net(preprocess={"mean": (0.0, 0.0, 0.0), "std": (0.25, 0.25, 0.25)}, **changes)
    own.skill = Skill.given(torch.full((7,), standing))
    return own


def test_what_is_judged_is_what_explain_says():
    own, some = model(), pictures()
    x = normalised(own, some.images)
    speaker = speaking_model(own)
    judged = texts_of(speaker, (speaker.read(x[row : row + 1]) for row in range(len(x))))
    for row in range(len(x)):
        item = explain(own, x[row : row + 1], method="gradcam", layers="last").one()
        named = {
            at for p in item.phrases if p.role in ("why", "contrast") for at in parse(f"it has a {p.text}.", WORDS)
        }
        first = set(parse(item.sentences[0], WORDS))
        assert set(torch.nonzero(judged.seen[row])[:, 0].tolist()) == first | named
        assert int(judged.predicted[row]) == item.decision.index


def test_true_texts_are_counted_beside_controls_that_name_as_much():
    report = texts(model(), pictures())
    assert (report.pictures, report.readable, report.usual) == (12, 7, 0)
    assert report.seen.precision.mean == 1.0
    assert report.silent.mean == 0.0
    assert report.seen.named == report.frequent.named == report.by_class.named
    assert report.by_class.precision.mean == 1.0  # here the class says all
    assert report.frequent.precision.mean < 0.9
    assert report.over_class.mean == 0.0


def test_a_text_that_sees_what_the_class_does_not_say_is_above_its_control():
    own, some = model(), pictures()
    own.calibration = replace(own.calibration, prototypes=TABLE.roll(1, 0))
    report = texts(own, some)
    assert report.over_class.low > 0.2
    assert report.seen.precision.mean == 1.0


@pytest.mark.parametrize(("standing", "typical"), [(TYPICAL, True), (UNREAD, False)])
def test_what_is_not_seen_is_silence_and_the_typical_is_counted_apart(standing, typical):
    report = texts(model(standing), pictures())
    assert (report.silent.mean, report.seen.named) == (1.0, 0)
    assert (report.typical.named > 0) is typical
    assert str(report.over_class.mean) == "nan"


def test_only_so_many_pictures_are_spoken_of():
    assert texts(model(), pictures(), most=5).pictures == 5


def test_a_head_that_is_shuffled_after_measuring_is_found_by_measuring_again():
    from sightline.tasks.attributes.network.skill import measure_skill
    from sightline.tasks.attributes.train.calibrate import answers_of, fit_calibration

    own, many = model(), pictures(120)
    draw = torch.Generator().manual_seed(0)
    some = many.taught((torch.rand(120, 7, generator=draw) < 0.5).float(), many.weights)
    said = answers_of(own, some)
    own.calibration = fit_calibration(own, some, said)
    own.skill = measure_skill(said, own.calibration)
    report = texts(own, many)
    assert report.seen.named == report.typical.named == 0
    (item,) = explain(own, normalised(own, many.images[:1]), method="gradcam", layers="last")
    assert item.phrases == ()
    assert "No attribute of this network beats its controls" in item.sentences[0]


def test_unknown_answers_are_not_judged():
    own, some = model(), pictures()
    weights = some.weights.clone()
    weights[:, 0] = 0
    targets = some.targets.clone()
    targets[:, 0] = 1 - targets[:, 0]
    assert texts(own, some.taught(targets, weights)).seen.precision.mean == 1.0


def test_ties_of_a_control_go_to_the_first():
    assert as_many(torch.ones(1, 3), torch.tensor([2])).tolist() == [[True, True, False]]


def test_a_difference_of_ratios_is_what_resampling_by_hand_gives():
    draw = torch.Generator().manual_seed(1)
    a, b, c, d = (torch.rand(40, generator=draw, dtype=torch.float64) + 0.5 for _ in range(4))
    got = ratio_difference((a, b), (c, d), draws=300)
    picks = torch.randint(40, (300, 40), generator=torch.Generator().manual_seed(0))
    by_hand = torch.stack([a[p].sum() / b[p].sum() - c[p].sum() / d[p].sum() for p in picks])
    ends = torch.quantile(by_hand, torch.tensor([0.025, 0.975], dtype=torch.float64))
    assert got.mean == pytest.approx(float(a.sum() / b.sum() - c.sum() / d.sum()))
    assert [got.low, got.high] == pytest.approx(ends.tolist())
    with pytest.raises(InputError, match="four numbers"):
        ratio_difference((a, b), (c, d[:3]))


def test_a_report_of_texts_by_hand():
    speaker = speaking_model(model())
    said = texts_of(speaker, [])
    table = torch.zeros(2, 7, dtype=torch.bool)
    table[0, [0, 3]], table[1, 1] = True, True
    said = replace(said, seen=table, typical=~table, predicted=torch.tensor([0, 1]))
    truth = TABLE[[0, 0]]
    report = text_report(speaker, said, truth, torch.ones(2, 7, dtype=torch.bool), TABLE.mean(0))
    assert report.seen.precision.mean == pytest.approx(2 / 3)
    assert report.seen.recall.mean == pytest.approx(2 / 6)
    assert report.by_class.precision.mean == pytest.approx(2 / 3)
    assert report.typical.named == 11


def test_the_energy_stands_beside_the_mean_map_of_all_other_pictures():
    own, some = model(), pictures()
    images = some.images.clone()
    images[6:] = images[6:].roll((8, -16), (2, 3))
    boxes = torch.zeros(12, 16, 16, dtype=torch.uint8)
    boxes[:6, 4:8, 8:12] = 1
    boxes[6:, 8:12, :4] = 1
    moved = replace(some, images=images, parts=boxes)
    _, found = read_with_maps(own, moved)
    reading = own.read(normalised(own, images))
    maps = class_maps(reading.classes.max(1).values, reading.features).detach()
    inside = object_shares(boxes, (8, 8))
    own_shares = [float((maps[n] * inside[n]).sum() / maps[n].sum()) for n in range(12)]
    scaled = [maps[n] / maps[n].sum() for n in range(12)]
    means = [sum(scaled[m] for m in range(12) if m != n) / 11 for n in range(12)]
    others = [float((means[n] * inside[n]).sum()) for n in range(12)]
    assert found.inside.mean == pytest.approx(sum(own_shares) / 12)
    assert found.mean_map == pytest.approx(sum(others) / 12)
    assert found.over_mean_map.mean == pytest.approx(found.inside.mean - found.mean_map)
    assert found.over_mean_map.mean > 0.1
    assert found.area == pytest.approx(1 / 16)
