"""A work folder is known again, also when options had other names as it was begun."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sightline.errors import TrainingError
from sightline.training.resume import as_now, check_folder, checkpoint, claim_folder


def begun(work: Path, facts: dict) -> Path:
    checkpoint(work, "last").parent.mkdir(parents=True)
    checkpoint(work, "last").touch()
    (work / "training.json").write_text(json.dumps(facts))
    return work


def test_old_names_of_options_are_read_as_new_ones() -> None:
    old = {"--rate": 0.1, "--reading": 4, "--width": 8, "--spec": {"size": 32, "mean": [0.5]}, "classes": "f00d"}
    new = ["--lr", "--attribute-stride", "--attribute-width", "--size", "classes"]
    expected = {"--lr": 0.1, "--attribute-stride": 4, "--attribute-width": 8, "--size": 32, "classes": "f00d"}
    assert as_now(old, new) == expected
    assert as_now({"--reading": 4}, ["--attribute-width"]) == {"--attribute-width": 4}


def test_a_folder_of_former_days_goes_on_with_the_same_recipe_only(tmp_path: Path) -> None:
    work = begun(tmp_path / "work", {"--batch": 20, "--drops": [1, 2]})
    with pytest.raises(TrainingError, match="--batch-size was 20, is now 30"):
        claim_folder(work, {"--batch-size": 30, "--lr-milestones": (1, 2)})
    claim_folder(work, {"--batch-size": 20, "--lr-milestones": (1, 2)})


def test_another_recipe_is_refused_before_the_data_is_known(tmp_path: Path) -> None:
    work = begun(tmp_path / "work", {"classes": "f00d", "--lr": 0.1})
    check_folder(work, {"--lr": 0.1})
    with pytest.raises(TrainingError, match=r"--lr was 0\.1, is now 0\.2"):
        check_folder(work, {"--lr": 0.2})
    check_folder(tmp_path / "new", {"--lr": 0.2})
