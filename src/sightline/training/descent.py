"""The lowest point of a smooth convex loss whose gradient is written out: linear heads on fixed features.

It knows neither losses nor heads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

HISTORY, TOLERANCE, CHANGE = 10, 1e-6, 1e-9
"""Steps that L-BFGS remembers; it ends where no entry of the gradient is larger than `TOLERANCE`, or where a step
lowers the loss by less than `CHANGE`."""

Slope = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Loss and gradient at a point."""


@torch.no_grad()
def lowest(slope: Slope, start: Float[Tensor, "..."], steps: int) -> Float[Tensor, "..."]:
    """Where the loss is lowest, by L-BFGS in double precision.

    SciPy's, not PyTorch's: for a head of a few hundred weights the steps of `torch.optim.LBFGS` take several times as
    long as the loss itself.

    Args:
        slope: loss and gradient at a point of the shape of `start`.
        start: where the search begins.
        steps: most steps.
    """
    from scipy.optimize import minimize

    def at(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        loss, gradient = slope(torch.from_numpy(flat).reshape(start.shape).to(start))
        return float(loss), gradient.double().reshape(-1).cpu().numpy()

    limits = {"maxiter": steps, "maxcor": HISTORY, "gtol": TOLERANCE, "ftol": CHANGE}
    first = start.double().reshape(-1).cpu().numpy()
    end = minimize(at, first, jac=True, method="L-BFGS-B", options=limits)
    return torch.from_numpy(end.x).reshape(start.shape).to(start)
