"""The commands of the how-to pages that train or judge run as they are written, at toy size."""

import pytest

from tests.docs.shell import pages, run_page
from tests.docs.test_shell_howto import takes_longer


@pytest.mark.parametrize("page", [page for page in pages() if "howto/" in page and takes_longer(page)])
def test_the_commands_of_the_page_run(page, tmp_path, monkeypatch):
    run_page(page, tmp_path, monkeypatch)
