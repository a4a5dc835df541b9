"""Registries: what fills them, and what becomes of entry points that are missing or broken."""

from __future__ import annotations

import logging
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from sightline import installed
from sightline.errors import SightlineError
from sightline.registry import Registry

GROUP = "sightline.colours"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a distribution with one module and its entry points on the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, module: str, code: str, points: dict[str, str]) -> None:
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))
        monkeypatch.delitem(sys.modules, module, raising=False)
        about = tmp_path / f"{name}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: paint-mixer; extra == 'paint'\n"
        )
        lines = [f"{point} = {value}" for point, value in points.items()]
        (about / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))

    return install


def colours() -> Registry[str]:
    return Registry[str]("colour", group=GROUP)


def test_an_entry_point_names_a_module_that_registers_itself_or_an_item(package, monkeypatch) -> None:
    registry = colours()
    monkeypatch.setattr("sightline.registry.REGISTRY_OF_THE_TEST", registry, raising=False)
    code = """
        from sightline.registry import REGISTRY_OF_THE_TEST
        REGISTRY_OF_THE_TEST.add("red", "#f00")
        blue = "#00f"
    """
    package("painter", "painter", code, {"anything": "painter", "blue": "painter:blue"})
    assert dict(registry) == {"red": "#f00", "blue": "#00f"}


def test_a_strangers_broken_plug_in_is_a_warning_and_leaves_nothing_behind(package, caplog, monkeypatch) -> None:
    registry = colours()
    monkeypatch.setattr("sightline.registry.REGISTRY_OF_THE_TEST", registry, raising=False)
    code = """
        from sightline.registry import REGISTRY_OF_THE_TEST
        REGISTRY_OF_THE_TEST.add("red", "#f00")
        import no_such_package
    """
    package("painter", "painter", code, {"red": "painter"})
    with caplog.at_level(logging.WARNING):
        assert list(registry) == []
    assert "no_such_package" in caplog.text


def test_a_broken_entry_point_of_our_own_is_an_error_every_time_and_names_the_cure(package) -> None:
    registry = colours()
    package("sightline", "brush", "import no_such_package", {"red": "brush"})
    for _ in range(2):
        with pytest.raises(SightlineError, match=r"'red' \(brush\) belongs to Sightline .* pip install -e \."):
            list(registry)


def test_a_missing_package_of_an_extra_is_cured_by_the_extra(package) -> None:
    package("sightline", "brush", "import paint_mixer.blue", {"red": "brush"})
    with pytest.raises(SightlineError, match=r"pip install 'sightline\[paint\]'"):
        list(colours())


def test_an_entry_point_that_the_source_declares_and_nobody_installed_is_an_error(package, monkeypatch) -> None:
    points = (installed.EntryPoint("red", "brush", GROUP), installed.EntryPoint("blue", "brush", GROUP))
    monkeypatch.setattr(installed, "declared", lambda: points)
    package("sightline", "brush", "", {"red": "brush"})
    with pytest.raises(SightlineError, match=r"colour 'blue' .* newer than its installation"):
        "red" in colours()  # noqa: B015 - looking is enough


def test_what_the_source_declares_is_read_from_its_project_file() -> None:
    assert ("sightline.narrators", "attributes") in {(point.group, point.name) for point in installed.declared()}
    assert installed.missing(installed.entries()) == [], "the entry points changed: install the source tree again"


def test_another_thread_waits_until_all_is_loaded(package, monkeypatch) -> None:
    begun = threading.Event()
    monkeypatch.setattr("sightline.registry.BEGUN", begun, raising=False)
    code = """
        import time
        from sightline.registry import BEGUN
        BEGUN.set()
        time.sleep(0.2)
        red = "#f00"
    """
    registry, seen = colours(), []
    package("painter", "painter", code, {"red": "painter:red"})
    first = threading.Thread(target=lambda: list(registry))
    first.start()
    begun.wait(5)
    second = threading.Thread(target=lambda: seen.extend(registry))
    second.start()
    first.join()
    second.join()
    assert seen == ["red"]


def test_get_gives_the_default_where_a_name_is_unknown() -> None:
    colours = Registry[int]("colour")
    colours.add("red", 1)
    assert [colours.get("red"), colours.get("blue"), colours.get("blue", 7)] == [1, None, 7]
