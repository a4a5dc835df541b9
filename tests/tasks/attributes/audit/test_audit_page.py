"""The audit page: sections by subject, findings with their intervals, reasons for what was not tested."""

import re
from dataclasses import replace

from sightline.tasks.attributes.audit.page import Row, Section, audit_page, save_audit
from sightline.tasks.attributes.audit.shown import Shown

HOSTILE = "<script>alert(1)</script>"


def section(kind="unused", subject="network", rows=(), skipped="", found=None):
    return Section(
        kind, subject, f"Question of {kind}?", "a share", "a rule", 0 if skipped else 40,
        len(rows) if found is None else found, skipped, {"errors": 12, "share": 0.123456},
        f"again --kind {kind}", rows,
    )  # fmt: skip


def row(number=1, says="It is so", low=0.2, high=0.6, null=0.0, p=0.0123):
    return Row(f"unused-{number:04d}", "wing", says, (low + high) / 2, low, high, null, p, {"pictures": 7})


def page(*sections):
    return audit_page(sections, title="Weaknesses", verdict="Some", facts={"network": "net"})


def test_findings_stand_below_their_subject():
    text = page(section(rows=(row(),)), section("constant", "data"))
    network, data = text.index("Weaknesses of the network"), text.index("Weaknesses of the data")
    assert text.index("It is so") < network < text.rindex("It is so") < data < text.index("Question of constant?")
    assert "1 of 40 tested" in text
    assert "0 of 40 tested" in text


def test_evidence_interval_null_and_command_are_there():
    text = page(section(rows=(row(),)))
    for part in (
        "0.2 to 0.6",
        "unused-0001",
        "0.0123",
        "<dt>pictures</dt><dd>7</dd>",
        "again --kind unused",
        "0.1235",
    ):
        assert part in text


def test_what_was_not_tested_says_why():
    text = page(section(skipped="the data has no masks"))
    assert "Not tested: the data has no masks." in text
    assert "Rule:" not in text


def test_intervals_and_nulls_share_an_axis():
    text = page(section(rows=(row(low=0.0, high=1.0), row(2, low=0.4, high=0.6))))
    ends = [(float(a), float(b)) for a, b in re.findall(r'<line x1="([\d.]+)" x2="([\d.]+)" y1="6"', text)]
    assert ends[0][0] < ends[1][0] < ends[1][1] < ends[0][1]
    assert all(0 <= value <= 100 for pair in ends for value in pair)


def test_infinite_ends_are_drawn_at_the_border():
    text = page(section(rows=(row(low=float("-inf"), high=0.5),)))
    assert "nan" not in text


def test_what_is_left_out_is_counted():
    assert "9 more in findings.csv" in page(section(rows=(row(),), found=10))


def test_a_long_list_is_folded_and_whole():
    names = ", ".join(f"name {number}" for number in range(60))
    text = page(replace(section(), summary={"short": "name 1", "long": names}))
    assert f"<summary>{names[:90]} …</summary>{names}</details>" in text
    assert "<dt>short</dt><dd>name 1</dd>" in text


def test_names_cannot_become_markup(tmp_path):
    path = save_audit(
        [section(rows=(row(says=HOSTILE),))],
        tmp_path / "page.html",
        title=HOSTILE,
        verdict="",
        facts={"data": HOSTILE},
    )
    text = path.read_text()
    assert HOSTILE not in text
    assert text.count("<script") == 1  # the theme button
    assert "default-src 'none'" in text


def test_photos_of_a_finding_and_the_table_of_all_that_was_tested_are_shown():
    photo = Shown("data:image/jpeg;base64,AAAA", f"a{HOSTILE}.jpg", "finch (right)")
    table = (("attribute", "skill"), ("bill", "0.50 [0.40, 0.60]"))
    whole = replace(section(rows=(replace(row(), pictures=(photo,)),)), says="All in all.", table=table)
    text = page(whole)
    assert 'src="data:image/jpeg;base64,AAAA"' in text
    assert "finch (right)" in text
    assert HOSTILE not in text
    assert "All in all." in text
    assert "<td>0.50 [0.40, 0.60]</td>" in text
    assert "Table of 1" in text
