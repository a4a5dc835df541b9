"""The method that answers when none was asked for, and why it does."""

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
