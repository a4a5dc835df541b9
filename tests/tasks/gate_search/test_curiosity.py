"""The bonus for new schemes: per scheme, smaller for what comes again, the same at each seed."""

import torch

from sightline.tasks.gate_search.searchers.adam import Adam
from sightline.tasks.gate_search.searchers.curiosity import Curiosity


def curious(seed=0, **rates):
    return Curiosity(8, torch.Generator().manual_seed(seed), **rates)


def schemes(*rows):
    return torch.tensor([[float(sign) for sign in row] for row in rows])


OLD, NEW = "11001010", "00110101"


def test_the_bonus_of_what_repeats_goes_down_steadily_and_that_of_the_new_stays_higher():
    one = curious()
    course = []
    for _ in range(60):
        course.append(one.bonus(schemes(OLD, NEW)))
        one.learn(schemes(OLD))
    old, new = torch.stack(course).T
    assert old[20] < 0.5 * old[0]
    assert old[-1] < 0.1 * old[0]
    assert bool((old[10::10].diff() <= 0).all())
    assert new[-1] > 5 * old[-1]


def test_each_scheme_has_a_bonus_of_its_own():
    together = curious().bonus(schemes(OLD, NEW, "11111111"))
    assert together.shape == (3,)
    assert len(set(together.tolist())) == 3
    alone = torch.cat([curious().bonus(schemes(row)) for row in (OLD, NEW, "11111111")])
    assert torch.allclose(together, alone)


def test_a_new_scheme_is_worth_about_one():
    rows = (torch.rand(200, 8, generator=torch.Generator().manual_seed(9)) < 0.5).float()
    assert 0.7 < curious().bonus(rows).mean() < 1.4


def test_the_seed_is_all_that_is_random():
    torch.manual_seed(1)
    one = curious(5).bonus(schemes(OLD))
    torch.manual_seed(2)
    assert torch.equal(one, curious(5).bonus(schemes(OLD)))
    assert not torch.equal(one, curious(6).bonus(schemes(OLD)))


def test_learning_leaves_the_global_random_state():
    before = torch.random.get_rng_state()
    curious().learn(schemes(OLD))
    assert torch.equal(before, torch.random.get_rng_state())


def test_adam_steps_as_its_equations_say():
    ours = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    one, theirs, mean, square = Adam([ours], 0.05), [1.0, -2.0], [0.0, 0.0], [0.0, 0.0]
    for step in range(1, 6):
        one.descend(((ours - step) ** 2).sum())
        for k in range(2):
            slope = 2 * (theirs[k] - step)
            mean[k] = 0.9 * mean[k] + 0.1 * slope
            square[k] = 0.999 * square[k] + 0.001 * slope**2
            theirs[k] -= 0.05 * (mean[k] / (1 - 0.9**step)) / ((square[k] / (1 - 0.999**step)) ** 0.5 + 1e-8)
        assert torch.allclose(ours, torch.tensor(theirs, dtype=torch.float64), atol=1e-12)
