"""The commands of README and of all pages but the how-tos run as they are written, at toy size."""

import pytest

from tests.docs.shell import lines, pages, run_page
from tests.docs.toy import NOT_RUN, not_run


@pytest.mark.parametrize("page", [page for page in pages() if "howto/" not in page])
def test_the_commands_of_the_page_run(page, tmp_path, monkeypatch):
    run_page(page, tmp_path, monkeypatch)


def test_a_command_that_is_not_run_has_its_reason_and_stands_on_a_page():
    skipped = {not_run(line.text) for page in pages() for line in lines(page)} - {None}
    left_over = set(NOT_RUN.values()) - skipped
    assert not left_over, f"take these out of NOT_RUN in tests/docs/toy.py, no page shows such a command: {left_over}"


def test_a_broken_command_is_named_with_its_place(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(
        "x\n\n```bash\nsightline models \\\n    resnet18  # one\nsightline models zzz\n```\n", encoding="utf-8"
    )
    monkeypatch.setattr("tests.docs.shell.ROOT", tmp_path)
    with pytest.raises(pytest.fail.Exception, match=r"page\.md:6: sightline models zzz") as caught:
        run_page("page.md", tmp_path, monkeypatch)
    assert "page.md:4" not in str(caught.value)
    assert "no model matches 'zzz'" in str(caught.value)
