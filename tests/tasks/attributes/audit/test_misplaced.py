"""An attribute that is read off another part is named, by its peaks and by redrawing."""

from dataclasses import replace

import pytest
import torch

from sightline.tasks.attributes.audit.misplaced import confusion, shortcut

from .planted import PARTS, SIZES, observations, redrawn


def looking(seen, elsewhere=(), seed=0):
    """Peaks on the own part in nine of ten pictures; for pairs in `elsewhere` on the other part instead."""
    draw = torch.Generator().manual_seed(seed)
    groups = len(SIZES)
    target = torch.arange(groups).repeat(len(seen), 1)
    for group, other in elsewhere:
        target[:, group] = other
    stray = torch.rand(target.shape, generator=draw) < 0.1
    target = torch.where(stray, torch.randint(groups, target.shape, generator=draw), target)
    attention = torch.nn.functional.one_hot(target, groups).float() * 0.7
    return replace(seen, part_attention=attention, part_names=PARTS, part_areas=torch.full((len(seen), groups), 0.2))


def test_a_shortcut_is_named_with_both_parts():
    seen = looking(observations(300)[0], [(1, 2)])
    found = shortcut(seen).findings
    assert [f.where for f in found] == ["wing on tail"]
    assert found[0].low > 0
    assert found[0].p < 0.001


def test_maps_on_their_own_parts_are_not_reported():
    verdict = shortcut(looking(observations(300)[0]))
    assert verdict.findings == ()
    assert verdict.tested == 20


def test_a_peak_whose_cell_holds_some_of_the_own_part_is_on_it():
    seen = looking(observations(300)[0], [(1, 2)])
    attention = seen.part_attention.clone()
    attention[:, 1, 1] = 0.05
    assert shortcut(replace(seen, part_attention=attention)).findings == ()


def test_a_peak_on_both_parts_counts_for_its_own_alone():
    seen = looking(observations(300)[0])
    attention, turn = seen.part_attention.clone(), torch.arange(300) % 20
    attention[:, 1] = 0.7 * torch.nn.functional.one_hot(torch.full((300,), 3), 5)
    attention[turn < 13, 1] = 0.7 * torch.nn.functional.one_hot(torch.full((1,), 2), 5)
    attention[turn < 8, 1, 1] = 0.05
    # on wing and tail in 8 of 20 pictures, on the tail alone in 5: fewer than on its own
    assert shortcut(replace(seen, part_attention=attention)).findings == ()
    attention[turn < 8, 1, 1] = 0.0
    assert "wing on tail" in [f.where for f in shortcut(replace(seen, part_attention=attention)).findings]


def test_a_part_that_fills_the_object_draws_peaks_without_a_shortcut():
    seen = looking(observations(300)[0], [(1, 2)])
    areas = torch.zeros(300, 5) + 0.01
    areas[:, 2] = 0.99
    assert shortcut(replace(seen, part_areas=areas)).findings == ()


def test_hidden_parts_are_left_out():
    seen = looking(observations(300)[0], [(1, 2)])
    areas = seen.part_areas.clone()
    areas[:, 1] = 0
    assert shortcut(replace(seen, part_areas=areas)).findings == ()


def test_rows_of_the_confusion_are_shares_of_peaks():
    table = confusion(looking(observations(300)[0], [(1, 2)]))
    assert table.sum(1).tolist() == pytest.approx([1.0] * 5)
    assert table[1, 2] > 0.8
    assert table[0, 0] > 0.8


def test_an_answer_that_another_part_moves_is_reported():
    moves = 0.8 * torch.eye(5)
    moves[2, 1] = 0.9  # drawing the tail anew moves the wing's answer
    seen = looking(observations(300)[0])
    found = shortcut(seen, redrawn(moves=moves)).findings
    assert [f.where for f in found] == ["wing from tail"]
    assert shortcut(seen, redrawn()).findings == ()


def test_without_masks_it_is_skipped():
    assert "no part masks" in shortcut(observations(60)[0]).skipped
