"""Parts of methods that the batteries do not reach: grouping, controls, the registry's facts."""

from __future__ import annotations

import pytest
import torch

import sightline
from sightline.errors import MethodError
from sightline.explainers import METHODS
from sightline.explainers.cam.eigen import first_component
from sightline.explainers.cam.groups import group_channels
from sightline.registry import Registry
from tests.tiny import build, picture


def test_groups_of_identical_channels_lose_nothing() -> None:
    base = torch.randn(3, 10)
    profiles = base[[0, 1, 2, 0, 1, 2, 2]]
    groups = group_channels(profiles, 3)
    assert groups.error < 1e-10
    assert sorted(groups.sizes.tolist()) == [2, 2, 3]
    assert groups.of[0] == groups.of[3] != groups.of[1]


def test_the_grouping_error_is_the_share_of_energy_that_the_centres_lose() -> None:
    profiles = torch.randn(12, 6)
    groups = group_channels(profiles, 4, seed=3)
    lost = sum(float((row - groups.centres[g]).square().sum()) for row, g in zip(profiles, groups.of, strict=True))
    assert groups.error == pytest.approx(lost / float(profiles.square().sum()), rel=1e-4)
    assert 0 < groups.error < 1
    assert group_channels(profiles, 12).error == 0.0


def test_more_groups_than_different_channels_do_not_fail() -> None:
    groups = group_channels(torch.ones(6, 4), 3)
    assert groups.error == 0.0
    assert int(groups.sizes.sum()) == 6


def test_masking_with_groups_of_identical_channels_equals_masking_one_by_one() -> None:
    model = build("plain_inplace")
    with torch.no_grad():
        model[3].weight[1::2] = model[3].weight[::2]
        model[3].bias[1::2] = model[3].bias[::2]
    for method in ("scorecam", "ablationcam"):
        exact = sightline.explain(model, picture(), target=1, method=method, layers="4", options={"groups": 0})
        grouped = sightline.explain(model, picture(), target=1, method=method, layers="4", options={"groups": 4})
        assert grouped[0].flow[0].notes == {"grouping_error": pytest.approx(0, abs=1e-9), "groups": 4.0}
        assert exact[0].flow[0].notes["groups"] == 8.0
        if method == "scorecam":
            assert torch.allclose(exact[0].flow[0].values, grouped[0].flow[0].values, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (6, 6)])
def test_the_first_component_is_that_of_the_singular_value_decomposition(shape: tuple[int, int]) -> None:
    x = torch.randn(2, *shape, dtype=torch.float64)
    ours = first_component(x)
    for sample, found in zip(x, ours, strict=True):
        u, s, _ = torch.linalg.svd(sample)
        right = u[:, 0] * s[0]
        assert torch.allclose(found, right * torch.sign(right.sum()), atol=1e-10)
    assert not first_component(torch.zeros(1, 3, 2)).any()


def test_nulls_know_nothing_of_the_model() -> None:
    controls = [name for name, method in METHODS.items() if method.family == "Controls"]
    assert set(controls) >= {"uniform", "gaussian", "edges", "random"}
    one = sightline.explain(build("residual"), picture(), method=controls, target=0)
    other = sightline.explain(build("residual", seed=5), picture(), method=controls, target=3)
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.flow[-1].values, b.flow[-1].values)


def test_the_gaussian_sits_in_the_middle_and_edges_follow_edges() -> None:
    x = torch.zeros(1, 3, 16, 16)
    x[..., 12:] = 1
    flow = sightline.explain(build("residual"), x, method=["gaussian", "edges"], target=0)
    bump, step = flow[0].flow[0].values, flow[1].flow[0].values
    assert torch.allclose(bump, bump.flip(0))
    assert torch.allclose(bump, bump.T)
    assert bump[4, 4] == bump.max()
    assert step[:, 5:7].sum() == step.sum()


def test_random_maps_differ_by_picture_and_seed_and_repeat() -> None:
    def maps(seed: int) -> torch.Tensor:
        found = sightline.explain(build("residual"), picture(), method="random", target=0, seed=seed)
        return torch.stack([item.flow[0].values for item in found])

    assert torch.equal(maps(0), maps(0))
    assert not torch.equal(maps(0), maps(1))
    assert not torch.equal(maps(0)[0], maps(0)[1])


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_tells_what_the_matrix_wants_to_know(name: str) -> None:
    method = METHODS[name]
    assert method.name == name
    assert all((method.title, method.family, method.equation, method.source, method.cost))
    assert sum(part is not None for part in (method.reduction, method.control, method.run)) == 1


def test_a_name_is_given_once_and_unknown_names_list_near_ones() -> None:
    registry = Registry[int]("thing", error=MethodError)
    registry.add("one", 1)
    with pytest.raises(MethodError, match="registered already"):
        registry.add("one", 2)
    with pytest.raises(MethodError, match="near names: 'one'"):
        registry["ones"]


def test_randomised_methods_repeat_bit_for_bit() -> None:
    for method in ("smoothgrad", "scorecam"):
        options = {"samples": 3} if method == "smoothgrad" else {"groups": 3}
        pair = [sightline.explain(build("dense"), picture(1), target=0, method=method, options=options) for _ in "ab"]
        assert torch.equal(pair[0][0].flow[0].values, pair[1][0].flow[0].values)
