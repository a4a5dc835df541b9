"""A sheet takes the place of a sheet only."""

import pytest
from PIL import Image

from sightline.errors import ResultError
from sightline.worlds.aviary.sheet import check_picture, save_picture


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_sheet_is_written_over_a_sheet_and_over_nothing_else(name, tmp_path):
    picture, path = Image.new("RGB", (8, 8), "red"), tmp_path / name
    check_picture(path)
    save_picture(picture, path)
    check_picture(path)
    picture.save(path)
    with pytest.raises(ResultError, match="not written by sightline"):
        check_picture(path)
    path.write_text("my words")
    with pytest.raises(ResultError, match="not written by sightline"):
        check_picture(path)


def test_a_name_that_is_no_picture_is_refused(tmp_path):
    with pytest.raises(ResultError, match=r"\.png"):
        check_picture(tmp_path / "a.txt")
