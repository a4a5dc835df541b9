"""The method that answers when none was asked for, and why it does."""

from __future__ import annotations

from sightline.common.preferences import preference

DEFAULT = "lrp"
WHY = (
    "The LRP flow is the default method. Of all methods tested, it put the largest share of its evidence on the "
    "right object, at every depth of two real networks (documentation: The flows)."
)

FALLBACK = "hirescam"
WHY_FALLBACK = (
    "The LRP flow is the default method, but it cannot follow this network. HiResCAM is used instead: it needs "
    "gradients only."
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
    return names, f"This is the default method: {setting.where} sets it."
