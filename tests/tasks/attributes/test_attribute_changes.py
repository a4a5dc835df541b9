import itertools
import random

import pytest
import torch

from sightline.errors import InputError
from sightline.tasks.attributes.data.vocabulary import Attribute, Vocabulary
from sightline.tasks.attributes.explain.counterfactual import applied, counterfactual


def vocabulary(sizes):
    """Exclusive groups of these sizes; a size of 1 is a word on its own."""
    words = [
        Attribute(f"g{g}::{v}" if size > 1 else f"g{g}", f"g{g}", f"v{v}")
        for g, size in enumerate(sizes)
        for v in range(size)
    ]
    return Vocabulary(tuple(words), tuple(f"g{g}" for g, size in enumerate(sizes) if size > 1))


def world(seed, classes=2):
    draw, g = random.Random(seed), torch.Generator().manual_seed(seed)
    words = vocabulary([draw.choice((1, 2, 3)) for _ in range(draw.randint(1, 10))])
    head = torch.randn(classes, len(words), generator=g, dtype=torch.float64)
    bias = torch.randn(classes, generator=g, dtype=torch.float64) * draw.choice((0, 1, 4))
    state = torch.rand(len(words), generator=g, dtype=torch.float64)
    for group in words.groups:
        if group.exclusive:
            state[list(group.members)] = torch.softmax(4 * state[list(group.members)], 0)
    return words, head, bias, state


def states_of(words, group, state):
    """All the ways a group may be, the present one first."""
    part = state[list(group.members)]
    if not group.exclusive:
        return [part, torch.ones(1).double() if part[0] < 0.5 else torch.zeros(1).double()]
    eye = torch.eye(len(part), dtype=torch.float64)
    return [part, *(eye[v] for v in range(len(part)) if v != int(part.argmax()))]


def brute_force(words, head, bias, state):
    """Fewest groups changed so that class 1 beats class 0, over every combination; None if there is none."""
    difference = head[1] - head[0]
    margins, counts = (bias[1] - bias[0])[None], torch.zeros(1)
    for group in words.groups:
        scores = [difference[list(group.members)] @ part for part in states_of(words, group, state)]
        margins = (margins[:, None] + torch.stack(scores)[None]).flatten()
        counts = (counts[:, None] + torch.tensor([0.0] + [1.0] * (len(scores) - 1))[None]).flatten()
    return int(counts[margins > 0].min()) if bool((margins > 0).any()) else None


def test_the_greedy_set_is_as_small_as_brute_force_finds():
    infeasible = sizes = 0
    for seed in range(1000):
        words, head, bias, state = world(seed)
        found = counterfactual(head, bias, state, words, target=0, against=1)
        want = brute_force(words, head, bias, state)
        assert found.feasible == (want is not None), seed
        infeasible += not found.feasible
        assert all(change.gain > 0 for change in found.changes), seed
        if found.feasible:
            assert len(found.changes) == want, seed
            sizes += len(found.changes) > 1
    assert infeasible > 50
    assert sizes > 50


def test_after_the_changes_the_head_itself_says_b():
    said = 0
    for seed in range(200):
        words, head, bias, state = world(seed, classes=4)
        found = counterfactual(head, bias, state, words, target=0, against=1)
        scores = head @ applied(state, found.changes, words) + bias
        assert found.margin == pytest.approx(float(scores[1] - scores[0]), abs=1e-9)
        assert found.feasible == bool(scores[1] > scores[0])
        assert found.winner == int(scores.argmax())
        assert found.wins == (int(scores.argmax()) == 1 and found.feasible)
        said += found.wins
    assert 20 < said < 200


def test_what_cannot_be_reached_is_said():
    words = vocabulary([2])
    found = counterfactual(
        torch.tensor([[5.0, 5.0], [0.0, 1.0]]), torch.zeros(2), torch.tensor([0.9, 0.1]), words, target=0, against=1
    )
    assert not found.feasible
    assert not found.wins
    assert found.margin == pytest.approx(-4.0)


def test_nothing_is_changed_where_b_wins_already():
    found = counterfactual(
        torch.eye(2), torch.zeros(2), torch.tensor([0.1, 0.9]), vocabulary([2]), target=0, against=1
    )
    assert found.changes == ()
    assert found.margin == pytest.approx(0.8)


def test_a_change_says_what_becomes_what():
    words = vocabulary([3, 1])
    head = torch.tensor([[1.0, 0, 0, 1], [0, 0, 3, 0]])
    found = counterfactual(head, torch.zeros(2), torch.tensor([0.8, 0.1, 0.1, 0.9]), words, target=0, against=1)
    (change,) = found.changes
    assert (change.group, change.before, change.after) == ("g0", 0, 2)
    assert (change.from_value, change.to_value) == ("v0", "v2")
    assert change.gain == pytest.approx(3 - (0.3 - 0.8))


def test_words_on_their_own_are_switched_on_and_off():
    words = vocabulary([1, 1])
    head = torch.tensor([[2.0, 0.0], [0.0, 1.5]])
    found = counterfactual(head, torch.zeros(2), torch.tensor([1.0, 0.0]), words, target=0, against=1)
    assert [(change.before, change.after) for change in found.changes] == [(0, None), (None, 1)]


def test_the_plausible_variant_only_goes_where_b_is():
    for seed in range(200):
        words, head, bias, state = world(seed)
        likely = torch.rand(2, len(words), generator=torch.Generator().manual_seed(seed)).double()
        free = counterfactual(head, bias, state, words, target=0, against=1)
        found = counterfactual(head, bias, state, words, target=0, against=1, prototypes=likely)
        for change in found.changes:
            at = change.after if change.after is not None else change.before
            members = words.groups[words.group_of[at]].members
            if len(members) > 1:
                assert change.after == max(members, key=lambda k: likely[1, k])
            else:
                assert (likely[1, at] >= 0.5) == (change.after is not None)
        assert not (found.feasible and not free.feasible)
        assert not found.feasible or len(found.changes) >= len(free.changes)


def test_a_prototype_that_nobody_knows_moves_nothing():
    words, unknown = vocabulary([2, 1]), torch.full((2, 3), float("nan"))
    head = torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    found = counterfactual(
        head, torch.zeros(2), torch.tensor([1.0, 0, 0]), words, target=0, against=1, prototypes=unknown
    )
    assert found.changes == ()


def test_order_of_groups_does_not_matter():
    words, head, bias, state = world(11)
    found = counterfactual(head, bias, state, words, target=0, against=1)
    order = list(itertools.chain.from_iterable(group.members for group in reversed(words.groups)))
    turned = counterfactual(head[:, order], bias, state[order], words.only(order), target=0, against=1)
    assert [change.gain for change in turned.changes] == pytest.approx([change.gain for change in found.changes])


@pytest.mark.parametrize(
    "change",
    [{"state": torch.tensor([2.0, 0.1])}, {"against": 0}, {"against": 2}, {"head": torch.eye(3)}],
)
def test_what_does_not_fit_is_refused(change):
    asked = {"head": torch.eye(2), "state": torch.tensor([0.9, 0.1]), "against": 1} | change
    with pytest.raises(InputError, match="got"):
        counterfactual(
            asked["head"], torch.zeros(2), asked["state"], vocabulary([2]), target=0, against=asked["against"]
        )
