"""Every way of explaining, each registered in `METHODS` with its equation, source and cost."""

from sightline.explainers import attention, cams, captum_methods, eigen, masking, nulls
from sightline.explainers.method import METHODS, Method, Outcome, Request, StageMaps, null, own_pass, reduction

__all__ = [
    "METHODS",
    "Method",
    "Outcome",
    "Request",
    "StageMaps",
    "attention",
    "cams",
    "captum_methods",
    "eigen",
    "masking",
    "null",
    "nulls",
    "own_pass",
    "reduction",
]
