import pytest
import torch

from sightline.errors import InputError
from sightline.tasks.attributes.explain.contributions import (
    integrated_contributions,
    linear_contributions,
    sensitivity_contributions,
)

B, C, K, F = 5, 4, 7, 9


@pytest.fixture
def world():
    g = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    a, b = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([1, 2, 3, 0, 2])
    return {"U": draw(C, K), "c": draw(C), "a": draw(B, K), "mean": draw(K), "A": a, "B": b, "draw": draw}


def linear(w, **classes):
    return linear_contributions(w["U"], w["a"], w["mean"], **classes)


def test_linear_contributions_equal_the_equation_one_by_one(world):
    found = linear(world, target=world["A"])
    for i in range(B):
        for k in range(K):
            want = world["U"][world["A"][i], k] * (world["a"][i, k] - world["mean"][k])
            assert found[i, k] == pytest.approx(float(want), abs=1e-12)


def test_linear_contributions_add_up_to_the_change_of_the_score(world):
    scores = lambda a: torch.nn.functional.linear(a, world["U"], world["c"])  # noqa: E731
    change = (scores(world["a"]) - scores(world["mean"][None])).gather(1, world["A"][:, None])[:, 0]
    torch.testing.assert_close(linear(world, target=world["A"]).sum(1), change, rtol=0, atol=1e-10)
    assert (linear(world, target=world["A"]) < 0).any()


def test_a_contrast_is_a_difference_and_turns_its_sign_with_the_classes(world):
    there = linear(world, target=world["A"], against=world["B"])
    back = linear(world, target=world["B"], against=world["A"])
    torch.testing.assert_close(there, -back)
    torch.testing.assert_close(there, linear(world, target=world["A"]) - linear(world, target=world["B"]))


def test_no_weight_or_the_mean_value_contributes_nothing(world):
    world["U"][:, 2] = 0
    world["a"][:, 3] = world["mean"][3]
    found = linear(world, target=world["A"])
    assert (found[:, [2, 3]] == 0).all()
    assert (found[:, 4] != 0).all()


def test_rescaling_an_attribute_with_inverse_weights_changes_nothing(world):
    before = linear(world, target=world["A"])
    scale = torch.linspace(0.1, 10, K, dtype=torch.float64)
    after = linear_contributions(world["U"] / scale, world["a"] * scale, world["mean"] * scale, target=world["A"])
    torch.testing.assert_close(after, before)


def head(world):
    hidden, out = world["draw"](K, 6), world["draw"](6)
    return lambda a: torch.tanh(a @ hidden) @ out


def test_integrated_contributions_are_complete(world):
    score = head(world)
    found = integrated_contributions(score, world["a"], world["mean"])
    change = score(world["a"]) - score(world["mean"].expand(B, K))
    assert ((found.contributions.sum(1) - change).abs() <= 0.01 * found.contributions.abs().sum(1)).all()
    assert found.complete()
    assert found.gap.shape == (B,)


def test_too_few_steps_show_in_the_gap(world):
    found = integrated_contributions(head(world), 6 * world["a"], world["mean"], steps=1)
    assert not found.complete()
    assert float(found.gap.max()) > 0.05


def test_integrated_contributions_equal_a_fine_riemann_sum(world):
    score, steps = head(world), 4000
    want = torch.zeros_like(world["a"])
    for i in range(steps):
        at = (world["mean"] + (i + 0.5) / steps * (world["a"] - world["mean"])).requires_grad_()
        want += torch.autograd.grad(score(at).sum(), at)[0] / steps
    found = integrated_contributions(score, world["a"], world["mean"]).contributions
    torch.testing.assert_close(found, want * (world["a"] - world["mean"]), rtol=1e-5, atol=1e-6)


def test_integrated_contributions_of_a_linear_head_are_the_linear_ones(world):
    rows = world["U"][world["A"]]
    found = integrated_contributions(lambda a: (a * rows).sum(1), world["a"], world["mean"], steps=1)
    torch.testing.assert_close(found.contributions, linear(world, target=world["A"]))


def test_a_constant_added_to_the_score_changes_no_contribution(world):
    score = head(world)
    plain = integrated_contributions(score, world["a"], world["mean"]).contributions
    torch.testing.assert_close(
        integrated_contributions(lambda a: score(a) + 3, world["a"], world["mean"]).contributions, plain
    )


def test_contributions_are_measured_under_inference_mode_and_leave_no_gradient(world):
    layer = torch.nn.Linear(K, 1).double()
    with torch.inference_mode():
        found = integrated_contributions(lambda a: layer(a)[:, 0], world["a"].clone(), world["mean"])
    assert found.complete()
    assert layer.weight.grad is None


def sensitivity(world):
    return world["draw"](B, F), world["draw"](K, F), world["draw"](B, K), world["draw"](K)


def test_sensitivity_is_the_slope_along_the_attributes_direction_times_the_way(world):
    gradient, weights, logits, means = sensitivity(world)
    found = sensitivity_contributions(gradient, weights, logits, means)
    for i in range(B):
        for k in range(K):
            length = weights[k].norm()
            want = (gradient[i] @ (weights[k] / length)) * (logits[i, k] - means[k]) / length
            assert found[i, k] == pytest.approx(float(want), abs=1e-12)


def test_sensitivity_is_the_fall_of_a_linear_score_when_the_attribute_is_set_to_its_mean(world):
    _, weights, _, means = sensitivity(world)
    v, class_row = world["draw"](B, F), world["draw"](F)
    logits = v @ weights.T
    found = sensitivity_contributions(class_row.expand(B, F), weights, logits, means)
    for k in range(K):
        direction = weights[k] / weights[k].norm()
        moved = v - torch.outer((logits[:, k] - means[k]) / weights[k].norm(), direction)
        torch.testing.assert_close(moved @ weights[k], means[k].expand(B))
        torch.testing.assert_close((v - moved) @ class_row, found[:, k])


def test_sensitivity_does_not_change_with_the_scale_of_the_attribute_head(world):
    gradient, weights, logits, means = sensitivity(world)
    scale = torch.linspace(0.1, 10, K, dtype=torch.float64)
    torch.testing.assert_close(
        sensitivity_contributions(gradient, weights * scale[:, None], logits * scale, means * scale),
        sensitivity_contributions(gradient, weights, logits, means),
    )


def test_an_attribute_without_a_direction_or_at_its_mean_has_no_sensitivity(world):
    gradient, weights, logits, means = sensitivity(world)
    weights[1], logits[:, 2] = 0, means[2]
    found = sensitivity_contributions(gradient, weights, logits, means)
    assert (found[:, [1, 2]] == 0).all()
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    "ask",
    [
        lambda w: linear_contributions(w["U"], w["a"], w["mean"], target=w["A"] + 3),
        lambda w: linear_contributions(w["U"], w["a"][:, :3], w["mean"], target=w["A"]),
        lambda w: integrated_contributions(lambda a: a, w["a"], w["mean"]),
        lambda w: integrated_contributions(lambda a: a.sum(1), w["a"], w["mean"], steps=0),
        lambda w: sensitivity_contributions(w["a"], w["U"][:, :3], w["a"][:, :C], w["c"]),
    ],
)
def test_what_does_not_fit_is_refused(world, ask):
    with pytest.raises(InputError, match="got"):
        ask(world)
