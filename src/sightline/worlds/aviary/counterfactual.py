"""The same scene with one thing changed: an attribute, a part, the background, or a whole cue.

Each function returns a scene; everything that is not named stays equal, seeds included. Rendering is
left to `render`.
"""

from __future__ import annotations

from dataclasses import replace

from sightline.errors import DataError, near
from sightline.worlds.aviary.attributes import GROUPS, group_index, groups_of, part_id, value_index
from sightline.worlds.aviary.scene import FAMILIES, Backdrop, Scene
from sightline.worlds.aviary.world import LENGTHS


def with_value(scene: Scene, group: str, value: str) -> Scene:
    """One attribute changed; a size changes the bird's length too.

    Raises:
        DataError: no such group or value.

    Example:
        >>> from sightline.worlds.aviary import World
        >>> with_value(World().scene(0), "crown_color", "red").values[3]
        0
    """
    at = group_index(group)
    return with_values(scene, {at: value_index(at, value)})


def with_values(scene: Scene, values: dict[int, int]) -> Scene:
    """Several groups changed, by position; what the annotator noted follows."""
    new = tuple(values.get(g, old) for g, old in enumerate(scene.values))
    noted = tuple(values.get(g, old) for g, old in enumerate(scene.noted))
    size = group_index("has_size")
    grown = LENGTHS[new[size]] / LENGTHS[scene.values[size]]
    pose = scene.pose if grown == 1 else replace(scene.pose, length=scene.pose.length * grown)
    return replace(scene, values=new, noted=noted, pose=pose)


def without_part(scene: Scene, part: str) -> Scene:
    """One part not drawn; what lies behind it shows.

    Raises:
        DataError: no such part.
    """
    part_id(part)
    return scene if part in scene.missing else replace(scene, missing=(*scene.missing, part))


def with_background(scene: Scene, family: str, seed: int | None = None) -> Scene:
    """Only the background changed: another family, and other details if a seed is given.

    Raises:
        DataError: no such family.
    """
    if family not in FAMILIES:
        raise DataError(f"there is no background family {family!r}; {near(family, FAMILIES, most=8)}")
    return replace(scene, backdrop=Backdrop(family, scene.backdrop.seed if seed is None else seed))


def without_bird(scene: Scene) -> Scene:
    """The scene without its bird."""
    return replace(scene, bird=False)


def with_cue(scene: Scene, donor: Scene, cue: str) -> Scene:
    """One cue taken from another scene; pose, light, texture and occluders stay.

    Args:
        scene: the scene that keeps all else.
        donor: the scene that gives the cue.
        cue: `background`, `foreground` (all attribute values but the size), or `part:NAME`.

    Raises:
        DataError: no such cue.
    """
    if cue == "background":
        return replace(scene, backdrop=donor.backdrop)
    return with_values(scene, {g: donor.values[g] for g in cue_groups(cue)})


def without_cue(scene: Scene, donor: Scene, cue: str) -> Scene:
    """Everything but one cue taken from another scene: the complement of `with_cue`."""
    if cue == "background":
        return with_cue(scene, donor, "foreground")
    own = set(cue_groups(cue))
    rest = {g: donor.values[g] for g in cue_groups("foreground") if g not in own}
    return replace(with_values(scene, rest), backdrop=donor.backdrop)


def cue_groups(cue: str) -> tuple[int, ...]:
    """Positions of the groups that a bird cue is made of.

    Raises:
        DataError: no such cue.
    """
    if cue == "foreground":
        return tuple(g for g, group in enumerate(GROUPS) if group.part != "body")
    kind, _, part = cue.partition(":")
    if kind != "part":
        raise DataError(f"there is no bird cue {cue!r}; cues are foreground, background and part:NAME")
    return groups_of(part)
