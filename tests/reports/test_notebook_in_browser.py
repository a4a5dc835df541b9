"""The notebook's output in a real Chromium: several on one page, and where no script runs."""

import pytest

from sightline.results import Explanations

from .samples import explanation, flow

pytestmark = pytest.mark.browser


def opened(browser, tmp_path, *outputs, **options):
    path = tmp_path / "notebook.html"
    path.write_text("<!doctype html><meta charset=utf-8>" + "<hr>".join(outputs), encoding="utf-8")
    page = browser.new_page(**options)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    return page, [address for address in requests if not address.startswith(("data:", "file:"))]


def seen(page):
    return [
        element.inner_text().split(" ")[0] for element in page.locator(".sightline-layer").all() if visible(element)
    ]


def visible(element):
    return element.is_visible()


def test_a_slider_moves_its_own_card_only(browser, tmp_path):
    two = Explanations((explanation(), explanation(flow("lrp"))))
    page, requests = opened(browser, tmp_path, two._repr_html_(), explanation()._repr_html_(), two._repr_html_())
    sliders = page.locator("input[type=range]")
    assert sliders.count() == 5
    assert seen(page) == ["late"] * 5
    sliders.nth(2).focus()
    page.keyboard.press("Home")
    assert seen(page) == ["late", "late", "early", "late", "late"]
    page.keyboard.press("ArrowRight")
    assert seen(page)[2] == "middle"
    assert requests == []


def test_without_scripts_one_map_is_seen_and_no_dead_slider(browser, tmp_path):
    page, _ = opened(browser, tmp_path, explanation()._repr_html_(), java_script_enabled=False)
    assert seen(page) == ["late"]
    assert not page.locator("input").is_visible()
    assert page.locator("img").first.is_visible()


def test_it_works_in_a_sandboxed_frame_and_in_a_shadow_tree(browser, tmp_path):
    html = explanation()._repr_html_().replace('"', "&quot;")
    frame = f'<iframe sandbox="allow-scripts" srcdoc="{html}" width="900" height="400"></iframe>'
    page, _ = opened(browser, tmp_path, frame)
    inside = page.frame_locator("iframe")
    inside.locator("input").focus()
    page.keyboard.press("Home")
    assert inside.locator(".sightline-layer").first.is_visible()
    page.evaluate(
        """html => { const host = document.body.appendChild(document.createElement("div"));
        host.attachShadow({mode: "open"}).innerHTML = html; }""",
        explanation()._repr_html_(),
    )
    slider = page.locator("input[type=range]")
    slider.wait_for(state="visible")
    slider.focus()
    page.keyboard.press("Home")
    assert seen(page) == ["early"]
