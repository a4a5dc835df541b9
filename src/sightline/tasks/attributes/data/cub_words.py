"""The 28 questions of CUB-200-2011: on which part each is answered, and which allow one answer only.

Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Sequence

from sightline.tasks.attributes.data.vocabulary import Attribute, Scope, Vocabulary

COUNT = 312
"""Number of attributes; the data set's own README says 322."""

GROUPS_ON = {
    "bill": ("has_bill_shape", "has_bill_length", "has_bill_color"),
    "wing": ("has_wing_color", "has_wing_shape", "has_wing_pattern"),
    "upperparts": ("has_upperparts_color",),
    "underparts": ("has_underparts_color",),
    "breast": ("has_breast_pattern", "has_breast_color"),
    "back": ("has_back_color", "has_back_pattern"),
    "tail": ("has_tail_shape", "has_upper_tail_color", "has_under_tail_color", "has_tail_pattern"),
    "head": ("has_head_pattern",),
    "throat": ("has_throat_color",),
    "eye": ("has_eye_color",),
    "forehead": ("has_forehead_color",),
    "nape": ("has_nape_color",),
    "belly": ("has_belly_color", "has_belly_pattern"),
    "leg": ("has_leg_color",),
    "crown": ("has_crown_color",),
    "": ("has_size", "has_shape", "has_primary_color"),
}
"""Groups by the part on which they are seen; those of no part are about the whole bird."""

POINTS = {
    "bill": ("beak",),
    "wing": ("left wing", "right wing"),
    "upperparts": ("back", "nape", "left wing", "right wing"),
    "underparts": ("throat", "breast", "belly"),
    "breast": ("breast",),
    "back": ("back",),
    "tail": ("tail",),
    "head": ("crown", "forehead", "nape", "left eye", "right eye"),
    "throat": ("throat",),
    "eye": ("left eye", "right eye"),
    "forehead": ("forehead",),
    "nape": ("nape",),
    "belly": ("belly",),
    "leg": ("left leg", "right leg"),
    "crown": ("crown",),
}
"""Key points on which a part can be found. Left and right are points of their own, as in the files, because a
mirrored photo exchanges them; whoever asks for a part takes any of its points that is visible."""

EXCLUSIVE = (
    "has_bill_shape", "has_breast_pattern", "has_tail_shape", "has_size", "has_shape", "has_back_pattern",
    "has_tail_pattern", "has_belly_pattern", "has_wing_pattern",
)  # fmt: skip
"""The groups whose percentages sum to 100 in each of the 200 classes of `class_attribute_labels_continuous.txt`.

In all others annotators gave several answers to one photo: sums reach 291 for colours, 219 for the head's pattern,
117 for the wing's shape and 107 for the bill's length. A soft-max over these would teach that one of the answers is
wrong.
"""

_PART = {group: part for part, groups in GROUPS_ON.items() for group in groups}


def cub_vocabulary(names: Sequence[str]) -> Vocabulary:
    """The vocabulary of attributes named `has_group::value`.

    A group that CUB-200-2011 does not have is taken as of no part, and as one in which several answers may be right.

    Example:
        >>> words = cub_vocabulary(["has_size::small_(5_-_9_in)", "has_size::medium_(9_-_16_in)", "flies"])
        >>> [(group.name, group.scope, group.exclusive) for group in words.groups]
        [('has_size', 'object', True), ('flies', 'object', False)]
    """
    words = tuple(_word(name) for name in names)
    groups = [word.group for word in words]
    return Vocabulary(words, tuple(name for name in EXCLUSIVE if groups.count(name) > 1))


def unknown_groups(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Groups that CUB-200-2011 does not have."""
    return tuple(group.name for group in vocabulary.groups if group.name not in _PART)


def _word(name: str) -> Attribute:
    group, _, value = name.partition("::")
    part = _PART.get(group, "")
    scope: Scope = "part" if part else "object"
    return Attribute(name=name, group=group, value=value or name, part=part, scope=scope)
