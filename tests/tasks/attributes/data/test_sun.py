"""The SUN Attribute data set, from small MATLAB files: cells of strings, nested classes, votes."""

import numpy as np
import pytest

from sightline.errors import DataError
from sightline.tasks.attributes.data import read_attributes
from tests.tasks.attributes.data.folders import picture

PATHS = [f"a/airport/ticket/x{n}.jpg" for n in range(5)] + [f"z/zoo/y {n}.jpg" for n in range(5)]
NAMES = ["sailing/ boating", "driving", *(f"attribute {n}" for n in range(2, 102))]
VOTES = np.tile([[0.0, 1 / 3, 2 / 3, 1.0] * 25 + [0.0, 1.0]], (10, 1))


def cells(texts: list[str]) -> np.ndarray:
    held = np.empty((len(texts), 1), object)
    held[:, 0] = texts
    return held


def write_sun(root, names=NAMES, paths=PATHS, votes=VOTES):
    savemat = pytest.importorskip("scipy.io").savemat
    for path in paths:
        picture(root / "images" / path)
    savemat(root / "attributes.mat", {"attributes": cells(names)})
    savemat(root / "images.mat", {"images": cells(paths)})
    savemat(root / "attributeLabels_continuous.mat", {"labels_cv": votes})
    return root


def test_cells_of_strings_nested_classes_and_votes_are_read(tmp_path) -> None:
    data = read_attributes(write_sun(tmp_path))
    assert data.vocabulary.names == tuple(NAMES)
    assert data.classes == ("airport_ticket", "zoo")
    assert data.labels.tolist() == [0] * 5 + [1] * 5
    np.testing.assert_allclose(data.targets, VOTES, atol=1e-6)
    assert (data.weights == 1).all()
    assert data.files[9] == tmp_path / "images" / "z" / "zoo" / "y 4.jpg"
    assert [len(data.rows(name)) for name in ("train", "validation", "test")] == [4, 2, 4]


def test_prototypes_are_means_of_training_pictures(tmp_path) -> None:
    votes = VOTES.copy()
    votes[read_attributes(write_sun(tmp_path)).split > 0, 0] = 1
    assert read_attributes(write_sun(tmp_path, votes=votes)).prototypes[:, 0].tolist() == [0, 0]


def test_a_missing_vote_is_unknown(tmp_path) -> None:
    votes = VOTES.copy()
    votes[3, 1] = np.nan
    data = read_attributes(write_sun(tmp_path, votes=votes))
    assert data.weights[3, :3].tolist() == [1, 0, 1]
    assert data.targets[3, 1] == 0


def test_scopes_go_by_the_place_in_the_list(tmp_path) -> None:
    scopes = [word.scope for word in read_attributes(write_sun(tmp_path)).vocabulary.attributes]
    assert [scopes[at] for at in (0, 35, 36, 86, 87, 101)] == ["abstract"] * 2 + ["context"] * 2 + ["abstract"] * 2


def test_broken_files_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match=r"votes of shape \(10, 101\) for 10 images and 102 attributes"):
        read_attributes(write_sun(tmp_path, votes=VOTES[:, 1:]))
    with pytest.raises(DataError, match="votes from 0 to 100; expected shares"):
        read_attributes(write_sun(tmp_path, votes=VOTES * 100))
    with pytest.raises(DataError, match=r"'lost.jpg', which lies in no folder"):
        read_attributes(write_sun(tmp_path, paths=["lost.jpg", *PATHS[1:]]))
    write_sun(tmp_path)
    (tmp_path / "images" / PATHS[0]).unlink()
    with pytest.raises(DataError, match=r"lacks 1 of 10 pictures .* such as images/a/airport/ticket/x0.jpg"):
        read_attributes(tmp_path)
    (tmp_path / "images.mat").write_bytes((tmp_path / "attributes.mat").read_bytes())
    with pytest.raises(DataError, match="has no variable 'images'"):
        read_attributes(tmp_path)
    (tmp_path / "images.mat").write_text("no matrix")
    with pytest.raises(DataError, match="not a MATLAB file of version 5, or is damaged"):
        read_attributes(tmp_path)
    (tmp_path / "attributeLabels_continuous.mat").unlink()
    write_sun(tmp_path / "b", votes=VOTES)
    (tmp_path / "b" / "attributeLabels_continuous.mat").unlink()
    with pytest.raises(DataError, match=r"there is no MATLAB file .*attributeLabels_continuous.mat"):
        read_attributes(tmp_path / "b")
