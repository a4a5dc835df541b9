"""The supernet's masks, its accuracy under a scheme, batch norms estimated anew, and workers."""

from functools import partial

import pytest
import torch
from torch import nn

from sightline.errors import GateError, MissingExtraError
from sightline.gates import Scheme, plugged, use_scheme
from sightline.tasks.gate_search.accuracy import Accuracy, recalibrate
from sightline.tasks.gate_search.executors import processes, ray_workers
from sightline.tasks.gate_search.network import draw, mask, supernet
from sightline.tasks.gate_search.search import search
from tests.gates.nets import build, picture
from tests.tasks.gate_search.tables import LENGTHS, Table


def net(gate="se", **wishes):
    return supernet(build("cifar resnet"), gate, **wishes)


def batches(count=3, size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [(picture(size, seed + k, side=16), torch.randint(5, (size,), generator=generator)) for k in range(count)]


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_supernet_is_dense_and_shares_by_stage():
    model = net("dia")
    assert plugged(model).scheme == Scheme.dense((2, 2, 2))
    assert plugged(model).share == "stage"


def test_a_supernet_takes_no_scheme():
    with pytest.raises(GateError, match="takes no scheme"):
        net(scheme="empty")


def test_masks_are_a_function_of_the_generator_alone():
    torch.manual_seed(1)
    one = [draw(LENGTHS, torch.Generator().manual_seed(4)) for _ in range(2)]
    torch.manual_seed(2)
    assert one[0] == one[1] == draw(LENGTHS, torch.Generator().manual_seed(4))
    generator = torch.Generator().manual_seed(4)
    assert draw(LENGTHS, generator) != draw(LENGTHS, generator)


def test_masks_are_fair_coins_and_independent():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor([draw((2, 3), generator).flat() for _ in range(2000)]).double()
    assert (drawn.mean(0) - 0.5).abs().max() < 0.04
    assert (torch.corrcoef(drawn.T) - torch.eye(5)).abs().max() < 0.08


@pytest.mark.parametrize(("share", "scheme"), [(0.0, Scheme.empty), (1.0, Scheme.dense)])
def test_a_share_of_none_and_of_all(share, scheme):
    assert draw(LENGTHS, torch.Generator(), share=share) == scheme(LENGTHS)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_is_a_probability(share):
    with pytest.raises(GateError, match="share of plugged blocks"):
        draw(LENGTHS, torch.Generator(), share=share)


def test_a_plain_loop_trains_with_a_fresh_mask_each_step_and_masks_out_gradients():
    model, generator = net().train(), torch.Generator().manual_seed(0)
    gates = {site.path: model.get_submodule(site.path).shared_gate() for site in plugged(model).sites}
    seen = set()
    for inputs, labels in batches(6):
        scheme = mask(model, generator)
        seen.add(scheme)
        assert plugged(model).scheme == scheme
        model.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        for stage, bits in enumerate(scheme.bits, 1):
            path = next(site.path for site in plugged(model).sites if site.stage == stage)
            found = any(part.grad is not None for part in gates[path].parameters())
            assert found == any(bits)
    assert len(seen) > 3


def test_the_accuracy_is_that_of_the_scheme_and_leaves_everything_as_it_was():
    model, data = net().train(), batches()
    use_scheme(model, "10|01|11")
    before, modes = state(model), {part: part.training for part in model.modules()}
    scheme = Scheme.parse("01|00|10", (2, 2, 2))
    for calibration in (None, batches(2, seed=5)):
        found = Accuracy(model, data, calibration=calibration)(scheme)
        assert str(plugged(model).scheme) == "10|01|11"
        assert same(before, state(model))
        assert modes == {part: part.training for part in model.modules()}
        twin = use_scheme(net(), scheme)
        twin.load_state_dict(before)
        twin.eval()
        if calibration:
            recalibrate(twin, calibration)
        right = sum(int((twin(x).argmax(1) == y).sum()) for x, y in data)
        assert found == right / 24


def test_the_accuracy_leaves_everything_as_it_was_after_an_error():
    model = net()
    before = state(model)
    with pytest.raises(RuntimeError):
        Accuracy(model, [(torch.zeros(1, 7, 8, 8), torch.zeros(1))], calibration=batches(1))(Scheme.empty((2, 2, 2)))
    assert same(before, state(model))
    assert plugged(model).scheme == Scheme.dense((2, 2, 2))


def test_recalibrated_statistics_are_means_over_batches():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(3, momentum=0.3))
    data = [picture(4, seed) * 3 + 2 for seed in range(3)]
    recalibrate(model, data)
    assert torch.allclose(model[1].running_mean, torch.stack([x.mean((0, 2, 3)) for x in data]).mean(0), atol=1e-5)
    variances = torch.stack([x.transpose(0, 1).flatten(1).var(1) for x in data])
    assert torch.allclose(model[1].running_var, variances.mean(0), atol=1e-4)
    assert model[1].momentum == 0.3
    assert model.training


def test_recalibration_draws_nothing_and_without_norms_changes_nothing():
    before = torch.random.get_rng_state()
    recalibrate(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(3)), batches(1))
    assert torch.equal(before, torch.random.get_rng_state())
    recalibrate(nn.Sequential(nn.Conv2d(3, 3, 1)), [])


def test_recalibration_and_accuracy_want_batches():
    with pytest.raises(GateError, match="there is no batch; hand in a list"):
        recalibrate(nn.BatchNorm2d(3), [])
    with pytest.raises(GateError, match="needs validation pictures"):
        Accuracy(net(), [])(Scheme.empty((2, 2, 2)))


def test_the_accuracy_wants_a_plugged_model_and_a_scheme_that_fits():
    with pytest.raises(GateError, match="no gate is plugged"):
        Accuracy(build("cifar resnet"), batches())
    with pytest.raises(GateError, match="the network 3"):
        Accuracy(net(), batches())(Scheme.empty((2, 2)))


def test_a_supernet_is_searched():
    found = search(Accuracy(net(), batches(1)), (2, 2, 2), budget=8)
    assert len(found.trials) == 8
    assert all(0 <= trial.score <= 1 for trial in found.trials)


def test_ray_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"sightline\[audit\]"), ray_workers(Table, 2):
        pass


@pytest.mark.parametrize("spread", [processes, ray_workers])
def test_no_worker_is_refused(spread):
    with pytest.raises(GateError, match="at least 1 worker"), spread(Table, 0):
        pass


def test_processes_search_as_one_does(tmp_path):
    with processes(partial(Table, seed=1), 2) as evaluate:
        spread = search(None, LENGTHS, budget=20, searcher="greedy", evaluate=evaluate, log=tmp_path / "spread")
    alone = search(Table(seed=1), LENGTHS, budget=20, searcher="greedy", log=tmp_path / "alone")
    assert spread == alone
    assert (tmp_path / "spread").read_bytes() == (tmp_path / "alone").read_bytes()


def test_ray_workers_search_as_one_process_does():
    ray = pytest.importorskip("ray")
    try:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80_000_000)
    except Exception as problem:  # noqa: BLE001 - a machine under load is too slow for Ray's own time limits
        pytest.skip(f"Ray does not start here: {str(problem)[:100]}")
    try:
        with ray_workers(partial(Table, seed=1), 2) as evaluate:
            spread = search(None, LENGTHS, budget=20, searcher="greedy", evaluate=evaluate)
    finally:
        ray.shutdown()
    assert spread == search(Table(seed=1), LENGTHS, budget=20, searcher="greedy")
