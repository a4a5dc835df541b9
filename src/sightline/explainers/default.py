"""The method that answers when none was asked for, and why it does."""

from __future__ import annotations

from sightline.common.preferences import preference

DEFAULT = "lrp"
WHY = (
    "Nobody chose the method, so it is the LRP flow: of all methods here it kept the largest share of its "
    "evidence on the right object at every depth of two real networks (see the page on flows in the docs)."
)

FALLBACK = "hirescam"
WHY_FALLBACK = (
    "Nobody chose the method. The LRP flow is the default, but this network computes in a way that it cannot "
    "follow, so this is HiResCAM, which asks for gradients only."
)


def preferred() -> tuple[tuple[str, ...], str] | None:
    """The methods that the user's own setting names, and why they answer; None where nothing is set.

    Raises:
        InputError: the user's configuration cannot be read.
    """
    setting = preference("method")
    if setting is None:
        return None
    names = tuple(name.strip() for name in setting.value.split(",") if name.strip())
    return names, f"Nobody chose the method in this call; {setting.where} sets it."
