"""What is known of labels and their thresholds, in sentences: of probabilities and operating points."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.training.operating import OperatingPoint, share_text

LISTED = 6
"""Most labels that the first sentence lists."""


def finding(points: Sequence[OperatingPoint], probabilities: Sequence[float]) -> str:
    """The labels that reach their thresholds, the surest first; "no finding" where none does.

    Args:
        points: operating points.
        probabilities: of the labels, in the same order.

    Example:
        >>> point = OperatingPoint("a", 0.3, "highest F1", 20, 80, None, None)
        >>> finding([point], [0.91]), finding([point], [0.12])
        ('Finding: a .91.', 'No finding: every label is below its threshold; nearest is a .12, from .30 on.')
    """
    pairs = list(zip(points, probabilities, strict=True))
    flagged = sorted((pair for pair in pairs if pair[1] >= pair[0].threshold), key=lambda pair: -pair[1])
    if not flagged:
        point, value = max(pairs, key=lambda pair: pair[1] / max(pair[0].threshold, 1e-9))
        return (
            f"No finding: every label is below its threshold; nearest is {point.label} {decimal(value)}, from "
            f"{decimal(point.threshold)} on."
        )
    names = ", ".join(f"{point.label} {decimal(value)}" for point, value in flagged[:LISTED])
    more = f" and {len(flagged) - LISTED} more" if len(flagged) > LISTED else ""
    return f"{'Finding' if len(flagged) == 1 else 'Findings'}: {names}{more}."


def about(point: OperatingPoint, probability: float) -> str:
    """What is known of one label's threshold.

    Args:
        point: the label's operating point.
        probability: of the label in this picture.
    """
    side = "reaches" if probability >= point.threshold else "is below"
    start = f"{point.label} {decimal(probability)} {side} its threshold of {decimal(point.threshold)}"
    if not point.aim:
        return f"{start}, which validation pictures could not choose."
    shares = (f"sensitivity {share_text(point.sensitivity)}", f"specificity {share_text(point.specificity)}")
    doubt = f" ({point.remark})" if point.remark else ""
    return f"{start}, chosen for {point.aim}{doubt}; on test pictures {shares[0]}, {shares[1]}."


def decimal(value: float) -> str:
    """A probability in two digits, never rounded to certainty.

    Example:
        >>> decimal(0.912), decimal(0.9999), decimal(0.0001)
        ('.91', 'over .99', 'under .01')
    """
    if value > 0.995:
        return "over .99"
    return "under .01" if value < 0.005 else f"{value:.2f}".lstrip("0")
