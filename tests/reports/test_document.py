"""The frame that all pages share."""

import re

import pytest

from sightline.reports.document import document, policy

from .browsing import THEMES, WIDTHS, broken_words, opened, overflow, violations

PLAIN = """{% extends "base.html.j2" %}
{% import "parts.html.j2" as parts %}
{% block main %}
<p class="verdict">{{ verdict }}</p>
{{ parts.figures([("accuracy", "93.1 %", "share of the test images whose class was right"), ("images", "120", "")]) }}
{{ parts.facts({"network": "resnet18", "a/very/long/name.safetensors": "x" * 90}) }}
<h2>All epochs</h2>
{{ parts.table([("accuracy", "0.123456", "0.2")] * 3, "epochs", ("figure",) + ("training",) * 9, (1, 2)) }}
<p class="note">Only a note.</p><p class="alert">An alert.</p>
<p class="good">A good thing.</p><small>An aside.</small>
{% endblock %}
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of a stranger with a page of its own."""
    folder = tmp_path / "stranger_pages"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "plain.html.j2").write_text(PLAIN)
    (folder / "plain.css").write_text(".mine { color: var(--ink) }\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "stranger_pages"


@pytest.fixture
def page(package):
    return document(
        "plain.html.j2", title="A <b>page</b>", package=package, styles=["plain.css"], verdict="Found <i>nothing</i>."
    )


def test_texts_are_escaped_and_styles_come_after_the_common_one(page):
    assert "A &lt;b&gt;page&lt;/b&gt;" in page
    assert "Found &lt;i&gt;nothing&lt;/i&gt;." in page
    assert page.index("--paper") < page.index(".mine")


def test_a_page_asks_for_nothing_outside(page):
    assert not re.search(r"https?://|@import|url\(", page)


def test_the_policy_admits_one_style_and_one_script_by_hash():
    text = policy("a", "b")
    assert "style-src 'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='" in text
    assert "script-src 'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0='" in text
    assert "style-src 'unsafe-inline'" in policy("a", "b", inline_styles=True)


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_the_frame_fits_and_axe_finds_nothing(browser, axe, page, tmp_path, theme, width):
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    tab, complaints = opened(browser, tmp_path / "page.html", theme=theme, width=width)
    assert violations(tab, axe) == []
    assert overflow(tab) == 0
    assert broken_words(tab) == []
    assert complaints == []
    tab.close()


@pytest.mark.browser
def test_the_theme_button_and_its_key_change_the_colours(browser, page, tmp_path):
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    tab, _ = opened(browser, tmp_path / "page.html", theme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = tab.evaluate(colour)
    tab.locator("#theme").click()
    light = tab.evaluate(colour)
    assert (dark, light) == ("rgb(16, 18, 22)", "rgb(245, 246, 248)")
    tab.keyboard.press("t")
    assert tab.evaluate(colour) == dark
    tab.close()


@pytest.mark.browser
def test_the_first_tab_stop_skips_to_the_content(browser, page, tmp_path):
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    tab, _ = opened(browser, tmp_path / "page.html")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"
    tab.close()
