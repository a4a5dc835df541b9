"""A DICOM file is named as one, wherever it is found, and the text says what to do instead."""

import pytest

from sightline.data.dicom import WAY, is_dicom
from sightline.data.photos import find_photos, read_photo
from sightline.errors import DataError, InputError
from sightline.tasks.classification.data.formats import list_folder

WHOLE = bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("CT.dcm", WHOLE),
        ("IM0001", WHOLE),  # as scanners export them
        ("photo.png", WHOLE),
        ("CT.DCM", b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100"),  # an old file without the magic word
        ("cut.dcm", WHOLE[:100]),
    ],
)
def test_a_dicom_file_is_recognised_by_its_content_or_its_ending(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert is_dicom(path)
    with pytest.raises(InputError, match="is a DICOM file, which is not read") as caught:
        read_photo(path)
    assert WAY in str(caught.value)


def test_other_files_are_no_dicom_files(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"DICM is the magic word")
    assert not is_dicom(path)
    assert not is_dicom(tmp_path / "missing")


@pytest.mark.parametrize("name", ["series/1.dcm", "series/IM0001"])
def test_a_folder_of_dicom_files_says_so(tmp_path, name):
    (tmp_path / "series").mkdir()
    (tmp_path / name).write_bytes(WHOLE)
    for read, error in (
        (lambda: find_photos([tmp_path]), InputError),
        (lambda: list_folder(tmp_path, 0.2), DataError),
    ):
        with pytest.raises(error, match=f"{name}' is a DICOM file: save its values"):
            read()
    (tmp_path / name).write_text("a text")
    if not name.endswith(".dcm"):
        with pytest.raises(InputError, match="holds no picture") as caught:
            find_photos([tmp_path])
        assert "DICOM" not in str(caught.value)
