"""The commands of the how-to pages run as they are written, at toy size."""

import pytest

from tests.docs.shell import pages, run_page

OTHERS = ("train", "similarity", "evaluate")
"""Pages that take longer: `test_shell_training.py` runs them."""


@pytest.mark.parametrize(
    "page", [page for page in pages() if "howto/" in page and not any(o in page for o in OTHERS)]
)
def test_the_commands_of_the_page_run(page, tmp_path, monkeypatch):
    run_page(page, tmp_path, monkeypatch)
