"""The commands of the how-to pages run as they are written, at toy size; those that train are in another file."""

import pytest

from tests.docs.shell import pages, run_page

TRAINING = ("train", "similarity", "evaluate", "audit", "words", "explain")
"""Parts of the names of how-to pages that take longer."""


def takes_longer(page: str) -> bool:
    return any(part in page.rpartition("/")[2] for part in TRAINING)


@pytest.mark.parametrize("page", [page for page in pages() if "howto/" in page and not takes_longer(page)])
def test_the_commands_of_the_page_run(page, tmp_path, monkeypatch):
    run_page(page, tmp_path, monkeypatch)
