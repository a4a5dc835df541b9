"""A network in another state for a while, and back: everything a user could notice, whatever happened inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline.common.modes import as_found, evaluating, leave_as_found, restored
from sightline.common.randomness import seeded

CONTEXTS = {"as_found": as_found, "evaluating": evaluating, "leave_as_found": leave_as_found, "restored": restored}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.head = nn.Linear(4, 2)
        self.calls = 0
        self.register_buffer("seen", torch.tensor([1.0, float("nan")]))
        self.register_buffer("cache", None)
        self.head.bias.requires_grad_(False)
        self.head.weight.grad = torch.ones(2, 4)
        self.body[3].eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


def tables(module: nn.Module) -> list[dict[str, Any]]:
    own = vars(module)
    return [own, *(value for value in own.values() if isinstance(value, dict))]


def photograph(model: nn.Module) -> list[Any]:
    """Names, order, identity and bits of all that a model holds."""
    modules = list(model.modules())
    tensors = [*model.parameters(), *model.buffers()]
    return [
        [[(name, id(value)) for name, value in table.items()] for module in modules for table in tables(module)],
        [sorted(module._non_persistent_buffers_set) for module in modules],
        [(t.detach().numpy().tobytes(), t.requires_grad, t.dtype, id(t.grad)) for t in tensors],
    ]


def trains(net: Net) -> None:
    for module in net.modules():
        module.training = not module.training


def counts(net: Net) -> None:
    net.calls += 1
    net.last = torch.ones(3)


def writes(net: Net) -> None:
    net.body[1].running_mean += 1
    net.seen.fill_(3.0)


def writes_behind_the_counter(net: Net) -> None:
    net.body[1].running_mean.data.add_(1)
    net.body[1].running_var.numpy()[:] = 7
    net.seen.data = torch.zeros(5)


def replaces(net: Net) -> None:
    net.cache = torch.ones(2)
    net.body[1].running_mean = torch.ones(4)
    net.register_buffer("more", torch.ones(1), persistent=False)
    net.extra = nn.Linear(1, 1)
    net.scale = nn.Parameter(torch.ones(1))


def takes_out(net: Net) -> None:
    del net.body[1]
    del net.seen
    net.head = nn.Identity()


def hooks(net: Net) -> None:
    net.body.register_forward_hook(lambda *_: None)
    net.head.register_forward_pre_hook(lambda *_: None, with_kwargs=True)
    net.head.register_full_backward_hook(lambda *_: None)


def learns(net: Net) -> None:
    net.head.weight.grad = None
    net.body[0].weight.grad = torch.ones_like(net.body[0].weight)


def compiles(net: Net) -> None:
    net.body[2].inplace = False
    net._compiled_call_impl = print


def puts_equals_in_place(net: Net) -> None:
    net.body[0]._forward_hooks = type(net.body[0]._forward_hooks)()


def renames(net: Net) -> None:
    calls = net.__dict__.pop("calls")
    net.__dict__["others"] = calls


HAPPENINGS = (
    trains, counts, writes, writes_behind_the_counter, replaces, takes_out, hooks, learns, compiles,
    puts_equals_in_place, renames,
)  # fmt: skip


@pytest.mark.parametrize("happening", HAPPENINGS, ids=lambda h: h.__name__)
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_whatever_happens_inside_the_network_is_as_before(
    context: str, happening: Callable[[Net], None], error: type[BaseException] | None
) -> None:
    net = Net()
    before = photograph(net)
    try:
        with CONTEXTS[context](net):
            happening(net)
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt):
        assert error is not None
    assert photograph(net) == before


@pytest.mark.parametrize("context", ["as_found", "evaluating", "leave_as_found"])
def test_the_random_state_is_put_back_and_contexts_nest(context: str) -> None:
    net, before = Net(), torch.get_rng_state()
    with CONTEXTS[context](net):
        torch.rand(3)
        inner = torch.get_rng_state()
        with CONTEXTS[context](net):
            torch.rand(3)
        assert torch.equal(torch.get_rng_state(), inner)
    assert torch.equal(torch.get_rng_state(), before)


def test_data_may_be_drawn_and_statistics_taken_where_that_is_asked_for() -> None:
    net, before = Net(), torch.get_rng_state()
    with evaluating(net, buffers=False, randomness=False):
        torch.rand(3)
        net.body[1].running_mean.fill_(2.0)
        net.body[1].momentum = 0.5
    assert not torch.equal(torch.get_rng_state(), before)
    assert net.body[1].running_mean.tolist() == [2.0] * 4
    assert net.body[1].momentum == 0.1


def test_evaluating_is_eval_mode_for_every_part_and_calls_no_code_of_the_users() -> None:
    class Refuses(Net):
        def train(self, mode: bool = True) -> nn.Module:
            raise AssertionError

    net = Refuses()
    with evaluating(net):
        assert not any(module.training for module in net.modules())
    assert [module.training for module in net.body] == [True, True, True, False]
    with evaluating(lambda x: x):
        pass


def test_leave_as_found_freezes_and_differentiates_even_under_inference_mode() -> None:
    net = Net()
    with torch.inference_mode(), leave_as_found(net):
        x = torch.rand(1, 3, 8, 8, requires_grad=True)
        torch.autograd.grad(net(x).sum(), x)
        assert not any(parameter.requires_grad for parameter in net.parameters())
        assert not net.body[2].inplace
    with leave_as_found(net, out_of_place=False):
        assert net.body[2].inplace


def test_weights_that_cannot_be_frozen_have_twins_inside_and_are_the_same_outside() -> None:
    with torch.inference_mode():
        net = Net()
    net.head._parameters["weight"] = torch.rand(2, 4, requires_grad=True) * 2
    before = photograph_of_identities(net)
    with leave_as_found(net):
        x = torch.rand(1, 3, 8, 8, requires_grad=True)
        torch.autograd.grad(net(x).sum(), x)
        net.body[1].running_mean.fill_(5.0)
    assert photograph_of_identities(net) == before
    assert net.body[1].running_mean.tolist() == [0.0] * 4


def photograph_of_identities(net: nn.Module) -> list[tuple[int, bool]]:
    return [(id(t), t.requires_grad) for t in (*net.parameters(), *net.buffers())]


def test_buffers_made_under_inference_mode_are_written_back() -> None:
    with torch.inference_mode():
        net = Net()
    with evaluating(net), torch.inference_mode():
        net.body[1].running_mean.fill_(5.0)
    assert net.body[1].running_mean.tolist() == [0.0] * 4


def test_a_buffer_that_cannot_be_written_keeps_no_other_part_from_coming_back() -> None:
    net = Net()
    net.register_buffer("narrow", torch.zeros(1).expand(4))  # copy_ refuses it

    def spoil() -> None:
        with evaluating(net):
            net.narrow.data[:1].fill_(3.0)
            net.body[1].running_mean.fill_(2.0)
            net.calls += 1

    with pytest.raises(RuntimeError, match="single memory location"):
        spoil()
    assert net.body[1].running_mean.tolist() == [0.0] * 4
    assert net.calls == 0
    assert net.training
    assert net.body[0].weight.requires_grad


def test_a_weight_that_cannot_be_thawed_keeps_no_other_weight_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    net, thaw = Net(), nn.Parameter.requires_grad_

    def stuck(self: nn.Parameter, wanted: bool = True) -> Tensor:
        if wanted and self is net.body[0].weight:
            raise RuntimeError("stuck")
        return thaw(self, wanted)

    monkeypatch.setattr(nn.Parameter, "requires_grad_", stuck)
    with pytest.raises(RuntimeError, match="stuck"), leave_as_found(net):
        pass
    assert all(net.get_parameter(name).requires_grad for name in ("head.weight", "body.1.weight", "body.0.bias"))
    assert net.training


def test_ctrl_c_in_the_middle_of_putting_back_is_answered_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    net, thaw, pressed = Net(), nn.Parameter.requires_grad_, []

    def interrupted(self: nn.Parameter, wanted: bool = True) -> Tensor:
        if wanted and not pressed:
            pressed.append(True)
            raise KeyboardInterrupt
        return thaw(self, wanted)

    monkeypatch.setattr(nn.Parameter, "requires_grad_", interrupted)
    before = photograph(net)
    with pytest.raises(KeyboardInterrupt), leave_as_found(net):
        pass
    assert photograph(net) == before


def test_restored_writes_into_the_same_tensors_of_all_models() -> None:
    one, other = Net(), Net()
    other.head.weight = one.head.weight
    before = photograph(one), photograph(other)
    with restored(one, other), torch.no_grad():
        for parameter in (*one.parameters(), *other.parameters()):
            parameter.data.mul_(3)
            parameter.add_(1)
    assert (photograph(one), photograph(other)) == before


def test_seeded_draws_the_same_and_leaves_the_state() -> None:
    before, draws = torch.get_rng_state(), []
    for _ in range(2):
        with seeded(3):
            draws.append(torch.rand(2))
    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), before)
