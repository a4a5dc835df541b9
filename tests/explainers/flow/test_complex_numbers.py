"""Models that compute with complex numbers: Fourier filters and complex weights."""

import pytest
import torch
from torch import nn

import sightline
from sightline.errors import UnfollowedError


class FourierNet(nn.Module):
    """A convolution, a global filter in the frequency domain, pooling and a head; no biases."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 4, 4, 4, bias=False)
        self.gain = nn.Parameter(torch.randn(4, 8, 5, 2))
        self.mix = nn.Parameter(torch.randn(4, 4, dtype=torch.cfloat))
        self.head = nn.Linear(4, 3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft2(self.patches(x)) * torch.view_as_complex(self.gain).conj()
        mixed = torch.einsum("bchw,cd->bdhw", spectrum, self.mix).conj()
        parts = torch.view_as_complex(torch.view_as_real(mixed.resolve_conj()) * 2)
        return self.head(torch.fft.irfft2(parts, s=(8, 8))[:, :, :3].mean((2, 3)))


@pytest.fixture(scope="module")
def net() -> FourierNet:
    torch.manual_seed(0)
    return FourierNet().eval()


def test_relevance_of_a_linear_net_is_gradient_times_input(net):
    x = torch.randn(2, 3, 32, 32, requires_grad=True)
    (G,) = torch.autograd.grad(net(x)[:, 1].sum(), x)

    e = sightline.explain(
        net, x.detach(), target=1, method="lrp", layers="input", options={"gamma": 0.0, "first": 0.0}
    )

    for item, right in zip(e, (x * G).sum(1).detach(), strict=True):
        assert torch.allclose(item.flow["input"].values, right, rtol=1e-4, atol=1e-5)


def test_a_conjugate_is_another_tensor(net):
    class Conjugated(nn.Module):
        def forward(self, x):
            z = torch.fft.fft2(x)
            return (z * z.conj()).real.mean((1, 2, 3))[:, None] * torch.tensor([1.0, 2.0])

    x = torch.randn(1, 1, 8, 8)

    e = sightline.explain(Conjugated(), x, target=1, method="lrp", layers="input")[0]

    # Parseval: the score is twice the sum of squares, shared out in halves over two equal factors.
    assert torch.allclose(e.flow["input"].values, 2 * (x**2)[0, 0], atol=1e-4)


def test_naflow_refuses_complex_numbers(net):
    with pytest.raises(UnfollowedError, match="complex numbers"):
        sightline.explain(net, torch.randn(1, 3, 32, 32), method="naflow")


def test_a_product_with_complex_weights_is_linear():
    class Projected(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(64, 3, dtype=torch.cfloat))

        def forward(self, x):
            return (torch.fft.fft2(x).flatten(1) @ self.weight).real

    torch.manual_seed(0)
    model, x = Projected().eval(), torch.randn(2, 1, 8, 8, requires_grad=True)
    (G,) = torch.autograd.grad(model(x)[:, 1].sum(), x)

    e = sightline.explain(model, x.detach(), target=1, method="lrp", layers="input")

    for item, right in zip(e, (x * G).sum(1).detach(), strict=True):
        assert torch.allclose(item.flow["input"].values, right, rtol=1e-4, atol=1e-3)
