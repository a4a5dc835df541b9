"""Gates read, frozen, swapped; which earlier block a gate hangs on, against hand-made computations."""

import pytest
import torch

from sightline.errors import GateError
from sightline.gates import plug, plugged, use_scheme
from sightline.gates.analysis.probing import changed_gates
from sightline.gates.analysis.recurrence import forest_map, gradient_map, intervention_map, without_memory
from sightline.gates.analysis.statistics import ablate, gate_record
from tests.gates.nets import build, picture


def net(gate="dia", name="cifar resnet", **wishes):
    torch.manual_seed(0)
    return plug(build(name), gate, **wishes).eval()


def test_the_record_of_dia_is_its_own_recurrence():
    model, x = net(), picture(3, side=16)
    record = gate_record(model, x, batch_size=2)
    state, inputs = None, []
    paths = [site.path for site in record.sites if site.stage == 1]
    unit = model.get_submodule(paths[0]).shared_gate()
    handle = unit.register_forward_hook(lambda _, given, out: inputs.append(given[0]))
    with torch.no_grad():
        model(x)
        handle.remove()
        for path, given in zip(paths, inputs, strict=True):
            factor, state = unit.factor(given, state)
            assert torch.allclose(record.values[path], factor.flatten(1), atol=1e-6)
    assert record.exact


@pytest.mark.parametrize(
    ("gate", "shape"), [("se", (3, 16)), ("constant", (3, 16)), ("sge", (3, 4, 16, 16)), ("eca", (3, 16))]
)
def test_gates_of_channels_and_of_places(gate, shape):
    record = gate_record(net(gate), picture(3, side=16))
    first = record.values[record.sites[0].path]
    assert tuple(first.shape) == shape
    assert record.exact == (gate != "eca")


def test_a_fitted_gate_is_the_read_one():
    model, x = net("se"), picture(3, side=16)
    read = gate_record(model, x)
    twin = net(lambda channels: _Blind(channels))
    unit = {site.path: model.get_submodule(site.path).shared_gate() for site in plugged(model).sites}
    for path, gate in unit.items():
        twin.get_submodule(path).shared_gate().inside.load_state_dict(gate.state_dict())
    fitted = gate_record(twin, x)
    assert not fitted.exact
    for path, values in read.values.items():
        assert torch.allclose(values, fitted.values[path], atol=1e-4)


class _Blind(torch.nn.Module):
    def __init__(self, channels):
        from sightline.gates.modules.stateless import SqueezeExcite

        super().__init__()
        self.inside = SqueezeExcite(channels, reduction=min(16, channels))

    def forward(self, x):
        return self.inside(x)


def test_a_constant_gate_is_explained_by_no_picture_and_is_even():
    record = gate_record(net("constant"), picture(4, side=16))
    assert set(record.by_picture().values()) == {0.0}
    assert all(value == pytest.approx(1) for value in record.entropy().values())
    assert [tuple(rows.shape) for rows in record.heat().values()] == [(2, 16), (2, 32), (2, 64)]


def test_only_plugged_blocks_are_recorded_and_an_empty_scheme_is_refused():
    model = net()
    use_scheme(model, "10|00|11")
    assert [(site.stage, site.block) for site in gate_record(model, picture(side=16)).sites] == [
        (1, 1),
        (3, 1),
        (3, 2),
    ]
    use_scheme(model, "empty")
    with pytest.raises(GateError, match="scheme in use is empty"):
        gate_record(model, picture(side=16))


def test_classes_are_told_from_the_mean():
    record = gate_record(net("se"), picture(4, side=16))
    path = record.sites[0].path
    values = record.channels(path)
    found = record.per_class(torch.tensor([0, 2, 2, 0]))[path]
    assert torch.allclose(found[2], values[1:3].mean(0) - values.mean(0), atol=1e-6)
    assert found[1].isnan().all()


@pytest.mark.parametrize("gate", ["dia", "sge"])
def test_a_gate_in_place_of_itself_changes_nothing_and_the_model_is_left(gate):
    model, x = net(gate), picture(3, side=16)
    before = model(x)
    with changed_gates(model, lambda path, factor: factor):
        assert torch.allclose(model(x), before, atol=1e-5)
    with changed_gates(model, lambda path, factor: factor * 0):
        assert not torch.allclose(model(x), before, atol=1e-3)
    model.train()
    gate_record(model, x)
    assert model.training
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_freezing_a_constant_gate_costs_nothing_and_all_stand_last():
    model, x = net("constant"), picture(6, side=16)
    found = ablate(model, x, model(x).argmax(1), batch_size=4)
    assert [one.path for one in found][-1] == ""
    assert len(found) == 7
    assert all(one.accuracy == 1 and one.mean.mean == one.swap.mean == 0 for one in found)


def test_freezing_and_swapping_are_what_they_say():
    model, x = net("se"), picture(6, side=16)
    labels = model(x).argmax(1)
    path = plugged(model).sites[0].path
    values = gate_record(model, x).values[path]
    with changed_gates(model, lambda p, f: values.mean(0)[None, :, None, None].expand_as(f) if p == path else f):
        wanted = float((model(x).argmax(1) != labels).float().mean())
    assert ablate(model, x, labels)[0].mean.mean == pytest.approx(wanted)


def test_the_gradient_map_is_zero_without_a_state_and_true_with_one():
    x = picture(2, side=16)
    assert not gradient_map(net("se"), x, 1).matrix.any()
    model = net()
    found = gradient_map(model, x, 1)
    assert found.matrix[1, 0] > 0
    assert not found.matrix.triu().any()
    unit, seen = model.get_submodule(found.paths[0]).shared_gate(), []
    handle = unit.register_forward_hook(lambda _, given, out: seen.append(given[0].mean((2, 3), keepdim=True)))
    with torch.no_grad():
        model(x)
    handle.remove()

    def second(y):
        return unit.factor(seen[1], unit.factor(y, None)[1])[0].flatten(1)

    jacobian = torch.autograd.functional.jacobian(second, seen[0])
    own = torch.stack([jacobian[k, :, k].flatten(1).square().sum() for k in range(2)])
    assert found.matrix[1, 0] == pytest.approx(float(own.mean().sqrt()), rel=1e-4)


def test_the_intervention_changes_later_gates_only():
    model, x = net(), picture(4, side=16)
    before = model(x)
    found = intervention_map(model, x, 2)
    assert found.dependency.matrix[1, 0] > 0
    assert not found.dependency.matrix.triu().any()
    assert found.logit[0] > 0
    assert found.logit[-1] == found.turned[-1] == 0
    assert torch.equal(model(x), before)
    same = picture(1, side=16).repeat(3, 1, 1, 1)
    assert intervention_map(model, same, 2).dependency.matrix.max() < 1e-5


def test_without_memory_every_gate_begins_anew():
    model, x = net(), picture(3, side=16)
    paths = [site.path for site in plugged(model).sites if site.stage == 1]
    unit, seen = model.get_submodule(paths[0]).shared_gate(), []
    with without_memory(model):
        forgetful = gate_record(model, x)
        handle = unit.register_forward_hook(lambda _, given, out: seen.append(given[0]))
        with torch.no_grad():
            model(x)
        handle.remove()
    for path, given in zip(paths, seen, strict=True):
        assert torch.allclose(forgetful.values[path], unit.factor(given, None)[0].flatten(1), atol=1e-6)
    assert not torch.allclose(gate_record(model, x).values[paths[1]], forgetful.values[paths[1]], atol=1e-4)


def test_a_forest_finds_the_block_that_foretells():
    pytest.importorskip("sklearn")
    record = gate_record(net("se", name="tiny residual", share="block"), picture(60, side=8))
    a, b, c = (site.path for site in record.sites)
    generator = torch.Generator().manual_seed(0)
    record.values[a] = torch.rand(60, 6, generator=generator)
    record.values[b] = torch.rand(60, 6, generator=generator)
    record.values[c] = record.values[a].flip(1) ** 2
    found = forest_map(record, 1, trees=20)
    assert found.matrix[2, 0] > 3 * found.matrix[2, 1]
    assert found.matrix[2].sum() == pytest.approx(1, abs=1e-5)
    assert found.held_out[2] > 0.3 > 0.1 > found.held_out[1]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: gate_record(net(), picture()[:0]), "there is none"),
        (lambda: ablate(net(), picture(2), torch.zeros(3)), "2 pictures and 3 labels"),
        (lambda: intervention_map(net("se"), picture(2), 1), "no state"),
        (lambda: intervention_map(net(), picture(1), 1), "at least two"),
        (lambda: gradient_map(net(), picture(2), 9), "stages with gates: 1, 2, 3"),
        (lambda: gate_record(net("se"), picture(2, side=16)).per_class(torch.zeros(3)), "label for every picture"),
    ],
)
def test_what_cannot_be_is_refused(ask, said):
    with pytest.raises(GateError, match=said):
        ask()
