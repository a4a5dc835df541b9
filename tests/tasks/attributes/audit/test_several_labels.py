"""The audit of pictures that may have several labels, or none: each label is a question of its own."""

from dataclasses import replace

import pytest
import torch

from sightline.tasks.attributes.audit import audit
from sightline.tasks.attributes.audit.judges import judges
from sightline.tasks.attributes.audit.mislabelled import as_questions, class_noise
from sightline.tasks.attributes.audit.noise import label_noise, suspicions
from sightline.tasks.attributes.audit.observed import Observations
from sightline.tasks.attributes.audit.run import OF_ONE_CLASS, SEVERAL
from sightline.tasks.attributes.audit.unread import head_skills
from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary

COUNT, FLIPS = 140, 16
LABELS = ("rust", "crack", "dent")


def planted(**more):
    """Features show each label and an attribute; some labels and attributes were turned round afterwards."""
    draw = torch.Generator().manual_seed(0)
    true = (torch.rand(COUNT, 3, generator=draw) < torch.tensor([0.5, 0.3, 0.4])).float()
    wet = (torch.rand(COUNT, generator=draw) < 0.5).float()
    rusty = true[:, 0]  # known from the label, not shown
    features = torch.cat([true, wet[:, None]], 1) * 8 + torch.randn(COUNT, 4, generator=draw)
    table, attributes = true.clone(), torch.stack([wet, rusty], 1)
    bad = torch.randperm(COUNT, generator=draw)[: 2 * FLIPS]
    table[bad[:FLIPS], 1] = 1 - table[bad[:FLIPS], 1]
    attributes[bad[FLIPS:], 0] = 1 - attributes[bad[FLIPS:], 0]
    table[0, 2] = torch.nan
    logits = (true - 0.5) * 20 + 0.3 * torch.randn(COUNT, 3, generator=draw)
    words = (Attribute("wet", "wet", "yes"), Attribute("rusty", "rusty", "yes"))
    seen = Observations(
        vocabulary=Vocabulary(words),
        classes=LABELS,
        join="parallel",
        class_logits=logits,
        probabilities=torch.stack([wet, rusty], 1) * 0.998 + 0.001,
        targets=attributes,
        weights=torch.ones(COUNT, 2),
        labels=torch.full((COUNT,), -1),
        names=tuple(f"{at:04d}.png" for at in range(COUNT)),
        features=features,
        trained=torch.arange(COUNT) < 70,
        label_table=table,
        flags=(logits > 0).float(),
        **more,
    )
    return seen, bad[:FLIPS].tolist(), bad[FLIPS:].tolist()


@pytest.fixture(scope="module")
def verdict():
    return class_noise(planted()[0])


def test_flipped_labels_come_first_and_are_reported_with_what_the_others_say(verdict):
    seen, labels, _ = planted()
    first = [row for row in verdict.table[:FLIPS] if row["question"] == "crack"]
    assert len({row["picture"] for row in first} & {seen.names[row] for row in labels}) >= FLIPS - 1
    assert len(verdict.table) == 200
    found = {finding.where for finding in verdict.findings}
    assert found <= {f"{seen.names[row]}: crack" for row in labels}
    assert len(found) >= FLIPS / 2
    one = verdict.findings[0]
    row = seen.names.index(one.pictures[0])
    says = "present" if seen.label_table[row, 1] else "absent"
    assert f"say crack: {says}; judges" in one.says
    own = [name for name, value in zip(LABELS, seen.label_table[row].tolist(), strict=True) if value == 1]
    assert one.evidence["labels"] == (", ".join(own) or "no label")


def test_labels_that_are_opposites_are_one_fact_with_one_finding(verdict):
    seen, bad, _ = planted()
    crack = seen.label_table[:, 1]
    table = torch.cat([seen.label_table, 1 - crack[:, None]], 1)
    logits = torch.cat([seen.class_logits, -seen.class_logits[:, 1:2]], 1)
    sound = replace(
        seen, classes=(*LABELS, "sound"), label_table=table, class_logits=logits, flags=(logits > 0).float()
    )
    both = class_noise(sound)
    assert both.findings
    assert len({finding.pictures for finding in both.findings}) == len(both.findings)
    assert not any("sound" in finding.where for finding in both.findings)
    assert not any(row["question"] == "sound" for row in both.table)
    assert both.summary["labels ranked"] == verdict.summary["labels ranked"]
    assert both.tested == verdict.tested
    # where a picture has both labels, they are two facts
    table = table.clone()
    table[bad[0], [1, 3]] = 1.0
    again = suspicions(as_questions(replace(sound, label_table=table)), 1)
    assert again.twin[:, 3].eq(1).sum() == COUNT - 1
    assert bool(again.facts[bad[0], 3])
    assert len(again.first(10_000)) == int(again.facts.sum())


def test_labels_that_are_rarely_opposites_are_each_a_fact():
    doubts = suspicions(as_questions(planted()[0]), 1)
    assert (doubts.twin == -1).all()


def test_an_unknown_label_is_neither_judged_nor_ranked(verdict):
    seen, _, _ = planted()
    doubts = suspicions(as_questions(seen), 1)
    assert int(doubts.label[0, 2]) == -1
    assert float(doubts.ranking[0, 2]) == -torch.inf
    assert verdict.summary["labels ranked"] == 3 * COUNT - 1


def test_flipped_attributes_come_first_and_labels_are_among_what_judges_know():
    seen, _, attributes = planted()
    verdict = label_noise(seen)
    first = {row["picture"] for row in verdict.table[:FLIPS] if row["question"] == "wet"}
    assert len(first & {seen.names[row] for row in attributes}) >= FLIPS - 1
    assert verdict.findings
    assert all(
        set(finding.evidence) >= {"labels"} and "class" not in finding.evidence for finding in verdict.findings
    )
    classes = judges(seen).classes
    assert classes[1:].tolist() == seen.label_table[1:].tolist()
    rest = seen.label_table[1:, 2]
    assert float(classes[0, 2]) == float(rest.mean().double()), "an unknown label counts as the mean"


def test_a_head_that_knows_what_the_labels_imply_reads_no_more_than_they_say():
    implied = torch.full((COUNT, 2), 0.5)
    seen, _, _ = planted()
    implied[:, 1] = 0.05 + 0.9 * seen.flags[:, 0]
    heads = {head.name: head for head in head_skills(planted(implied=implied)[0])}
    assert heads["wet"].reading == "read more than the class"
    assert heads["rusty"].over_class[0] < 0.5 < heads["wet"].over_class[0]


def test_what_is_asked_of_one_class_says_so():
    seen, _, _ = planted()
    verdicts = audit(seen, kinds=[*OF_ONE_CLASS, "constant"]).verdicts
    assert {verdicts[kind].skipped for kind in OF_ONE_CLASS} == {SEVERAL}
    assert verdicts["constant"].tested


def test_where_no_label_could_be_judged_no_share_of_them_is_shown(verdict):
    seen, _, _ = planted()
    assert {"share reported", "share from", "share to"} <= set(verdict.summary)
    noise = torch.randn(COUNT, 6, generator=torch.Generator().manual_seed(5))
    lost = label_noise(replace(seen, features=noise[:, :4], targets=(noise[:, 4:] > 0).float()))
    assert lost.tested == 0
    assert lost.summary["labels ranked"] > 0
    assert not [name for name in lost.summary if "share" in name]
