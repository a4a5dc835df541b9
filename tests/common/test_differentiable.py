"""What torch does against a gradient in eval mode is switched off inside, and on again outside."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from sightline.common import differentiable
from sightline.common.differentiable import recurrent_by_torch, without_checkpoints
from sightline.common.modes import leave_as_found
from sightline.common.threads import tree


def calls_of(use_reentrant: bool) -> int:
    """How often a checkpointed function runs in a forward and a backward."""
    calls: list[int] = []

    def cube(x: Tensor) -> Tensor:
        calls.append(1)
        return x**3

    x = torch.full((2,), 2.0, requires_grad=True)
    checkpoint(cube, x, use_reentrant=use_reentrant).sum().backward()
    assert torch.equal(x.grad, torch.full((2,), 12.0))
    return len(calls)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_a_checkpointed_function_runs_once_inside_and_twice_outside(use_reentrant: bool) -> None:
    assert calls_of(use_reentrant) == 2
    with without_checkpoints():
        assert calls_of(use_reentrant) == 1
    assert calls_of(use_reentrant) == 2


def test_checkpoints_are_plain_until_the_last_thread_is_done_and_after_an_error() -> None:
    open_, done = threading.Event(), threading.Event()

    def hold() -> None:
        with without_checkpoints():
            open_.set()
            done.wait(20)

    other = threading.Thread(target=hold)
    other.start()
    open_.wait(20)
    with pytest.raises(ZeroDivisionError), without_checkpoints():
        raise ZeroDivisionError
    assert calls_of(True) == 1
    done.set()
    other.join(20)
    assert calls_of(True) == 2
    assert "apply" not in vars(torch.utils.checkpoint.CheckpointFunction)


def test_keyword_arguments_and_a_sequence_of_checkpoints_give_what_they_would() -> None:
    x = torch.ones(2, requires_grad=True)
    chain = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    with without_checkpoints():
        assert torch.equal(checkpoint(torch.add, x, 1, alpha=3, use_reentrant=False), x + 3)
        assert torch.equal(checkpoint_sequential(chain, 2, x, use_reentrant=True), chain(x))


def test_an_error_inside_a_checkpointed_part_is_the_parts_own() -> None:
    def fails(x: Tensor) -> Tensor:
        raise LookupError("of its own")

    for use_reentrant in (True, False):
        with without_checkpoints(), pytest.raises(LookupError, match="of its own"):
            checkpoint(fails, torch.ones(1), use_reentrant=use_reentrant)


class Reader(nn.LSTM):
    """A recurrent layer that notes how it was run."""

    seen: tuple[bool, ...] = ()

    def forward(self, *args: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        Reader.seen += (torch.backends.cudnn.enabled,)
        return super().forward(*args)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.fc = Reader(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.rnn(x)[0][:, -1]
        Reader.seen += (torch.backends.cudnn.enabled,)
        return self.fc(rows)


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if recurrent layers lay on a GPU: which code runs them cannot be seen here, the switch can."""
    monkeypatch.setattr(differentiable, "runs_on_cudnn", lambda module: torch.backends.cudnn.enabled)
    monkeypatch.setattr(Reader, "seen", ())
    before = torch.backends.cudnn.enabled
    yield
    assert torch.backends.cudnn.enabled == before


@pytest.mark.usefixtures("on_a_gpu")
def test_cudnn_is_off_while_a_recurrent_layer_runs_and_at_no_other_time() -> None:
    net = Net().train()
    with leave_as_found(net):
        net(torch.ones(1, 2, 3))
        net(torch.ones(1, 2, 3))
    assert Reader.seen == (False, True) * 2
    net(torch.ones(1, 2, 3))
    assert Reader.seen[-2:] == (True, True)
    assert not net.rnn._forward_hooks
    assert not net.rnn._forward_pre_hooks


@pytest.mark.usefixtures("on_a_gpu")
@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_cudnn_is_on_again_after_an_error_in_a_recurrent_layer(kind: type[nn.RNNBase]) -> None:
    layer = kind(3, 4)
    with recurrent_by_torch(tree(layer)), pytest.raises(RuntimeError):
        layer(torch.ones(2, 5))
    with recurrent_by_torch(tree(layer)):
        with pytest.raises(RuntimeError):
            layer(torch.ones(2, 5))
        assert torch.backends.cudnn.enabled
        layer(torch.ones(2, 3))


@pytest.mark.usefixtures("on_a_gpu")
def test_a_recurrent_layer_that_is_never_left_is_given_up_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.GRU(3, 4)

    @contextmanager
    def broken() -> Iterator[None]:
        with recurrent_by_torch((layer,)):
            layer._forward_hooks.clear()
            layer._forward_hooks_always_called.clear()
            yield

    with broken():
        layer(torch.ones(2, 3))
        assert not torch.backends.cudnn.enabled
    assert torch.backends.cudnn.enabled


def test_a_recurrent_layer_on_the_cpu_is_left_alone() -> None:
    layer = nn.GRU(3, 4)
    with recurrent_by_torch((layer,)):
        assert not layer._forward_hooks


def test_a_model_that_was_made_with_partial_checkpoints_is_differentiated_as_one_without() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2))
    x = torch.ones(1, 2, requires_grad=True)
    right = torch.autograd.grad(net(x).sum(), x)[0]
    net[1].forward = functools.partial(checkpoint, net[1].forward, use_reentrant=True)
    with leave_as_found(net):
        out = net(x)
    assert torch.equal(torch.autograd.grad(out.sum(), x)[0], right)
