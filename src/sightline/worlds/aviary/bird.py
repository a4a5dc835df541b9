"""The drawing of a bird, part by part, back to front.

Each function draws one part from the scene's values; what a part looks like depends on its own
attribute groups only, so that a counterfactual changes nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sightline.worlds.aviary import outlines, plumage
from sightline.worlds.aviary.attributes import GROUPS, PARTS, group_index, part_id
from sightline.worlds.aviary.canvas import Canvas, Floats, Frame, Region, ellipse, sharp, smooth
from sightline.worlds.aviary.palette import BILL, EYE, LEG, PLUMAGE
from sightline.worlds.aviary.scene import Scene


@dataclass(frozen=True)
class Sitter:
    """A scene's bird with all that its parts need: frames, jitter, the rim's width."""

    scene: Scene
    frame: Frame
    jitter: Floats
    rim: int

    @property
    def head(self) -> Frame:
        """The head's own coordinates."""
        return self.frame.turned(outlines.NECK, self.scene.pose.head)

    def value(self, group: str) -> str:
        """The scene's value of a group."""
        index = group_index(group)
        return GROUPS[index].values[self.scene.values[index]]

    def colour(self, group: str, part: str) -> Floats:
        """Plumage colour of a group with the scene's small jitter of that part."""
        return self.tinted(PLUMAGE[self.value(group)], part)

    def tinted(self, rgb: tuple[int, int, int], part: str) -> Floats:
        """A colour with the scene's small jitter of that part."""
        return np.asarray(np.array(rgb, np.float32) + self.jitter[PARTS.index(part)], np.float32)

    def noise(self, region: Region, part: str) -> Floats:
        """Feather texture for a region of a part."""
        return plumage.texture(region.mask.shape, self.scene.seed % 60013 + 977 * PARTS.index(part))


def bird_frame(scene: Scene, extent: int) -> Frame:
    """Where the bird's own coordinates lie on a canvas of `extent` pixels."""
    pose = scene.pose
    return Frame(pose.x * extent, pose.y * extent, pose.length * extent, pose.tilt, pose.left)


def draw_bird(canvas: Canvas, scene: Scene) -> None:
    """Draw every part that the scene does not miss."""
    rng = np.random.default_rng([scene.seed, 17])
    jitter = rng.normal(0, 6, (len(PARTS), 3)).clip(-12, 12).astype(np.float32)
    rim = max(1, round(canvas.factor * canvas.side / 128 * 0.7))
    sitter = Sitter(scene, bird_frame(scene, canvas.extent), jitter, rim)
    body = canvas.region(sitter.frame.place(smooth(outlines.BODY)))
    head = canvas.region(sitter.head.place(smooth(outlines.HEAD)))
    for part in PARTS:
        if part not in scene.missing:
            _draw_part(canvas, sitter, part, body if part in ("belly", "breast", "back") else head)


def _draw_part(canvas: Canvas, sitter: Sitter, part: str, within: Region) -> None:
    """Hand one part to its draughtsman."""
    if part in ("belly", "breast", "back"):
        _draw_trunk(canvas, sitter, part, within)
    elif part in ("throat", "crown"):
        _draw_head(canvas, sitter, part, within)
    else:
        {"tail": _draw_tail, "leg": _draw_legs, "wing": _draw_wing, "bill": _draw_bill, "eye": _draw_eye}[part](
            canvas, sitter
        )


def _draw_trunk(canvas: Canvas, sitter: Sitter, part: str, body: Region) -> None:
    """Belly (all of the body that is nothing else), breast and back."""
    region = body
    if part != "belly":
        outline = outlines.BREAST if part == "breast" else outlines.BACK
        region = canvas.region(sitter.frame.place(smooth(outline)), body)
    along, down = sitter.frame.grid(region)
    base = sitter.colour(f"{part}_color", part)
    colour = plumage.rounded(base, down, sitter.noise(region, part), top=-0.45, bottom=0.45)
    if part == "breast":
        colour = plumage.mottled(colour, base, sitter.value("breast_pattern"), along, down)
    canvas.paint(region, plumage.finish(colour, region.mask, sitter.rim, 0.16), part_id(part))


def _draw_tail(canvas: Canvas, sitter: Sitter) -> None:
    """The tail feathers, turned about the rump."""
    frame = sitter.frame.turned(outlines.RUMP, -sitter.scene.pose.tail)
    base = sitter.colour("upper_tail_color", "tail")
    for outline in outlines.TAILS[sitter.value("tail_shape")]:
        region = canvas.region(frame.place(smooth(outline)))
        along, down = frame.grid(region)
        colour = plumage.rounded(base, down, sitter.noise(region, "tail"), top=0.0, bottom=0.8)
        colour = plumage.barbed(colour, along, down)
        canvas.paint(region, plumage.finish(colour, region.mask, sitter.rim), part_id("tail"))


def _draw_legs(canvas: Canvas, sitter: Sitter) -> None:
    """Two legs with feet; the far one is darker."""
    for outline, shade in zip(outlines.LEGS, (0.78, 1.0), strict=True):
        base = sitter.tinted(LEG[sitter.value("leg_color")], "leg") * np.float32(shade)
        for piece in outline:
            region = canvas.region(sitter.frame.place(smooth(piece)))
            along, _ = sitter.frame.grid(region)
            colour = base * (1.0 + 0.0 * along[..., None])
            canvas.paint(region, plumage.finish(colour, region.mask, 1, 0.2), part_id("leg"))


def _draw_wing(canvas: Canvas, sitter: Sitter) -> None:
    """The near wing, lifted about the shoulder."""
    frame = sitter.frame.turned(outlines.SHOULDER, sitter.scene.pose.wing)
    region = canvas.region(frame.place(smooth(outlines.WING)))
    along, down = frame.grid(region)
    base = sitter.colour("wing_color", "wing")
    colour = plumage.rounded(base, down, sitter.noise(region, "wing"), top=-0.35, bottom=0.6)
    colour = plumage.quilled(colour, base, sitter.value("wing_pattern"), along, down)
    canvas.paint(region, plumage.finish(colour, region.mask, sitter.rim, 0.42), part_id("wing"))


def _draw_head(canvas: Canvas, sitter: Sitter, part: str, head: Region) -> None:
    """Throat (all of the head that is nothing else), then the crown with its pattern."""
    pattern = sitter.value("head_pattern")
    base = sitter.colour(f"{part}_color", part)
    shapes = [head] if part == "throat" else [canvas.region(sitter.head.place(smooth(outlines.CROWN)), head)]
    if part == "crown" and pattern == "crested":
        shapes.insert(0, canvas.region(sitter.head.place(smooth(outlines.CREST))))
    for region in shapes:
        _, down = sitter.head.grid(region)
        colour = plumage.rounded(base, down, sitter.noise(region, part), top=-0.9, bottom=0.0)
        canvas.paint(region, plumage.finish(colour, region.mask, sitter.rim, 0.2), part_id(part))
    if part == "crown" and pattern in ("eyebrow", "masked"):
        _draw_stripe(canvas, sitter, pattern, head)


def _draw_stripe(canvas: Canvas, sitter: Sitter, pattern: str, head: Region) -> None:
    """A pale brow or a dark band through the eye."""
    outline, ink = (outlines.BROW, plumage.PAPER) if pattern == "eyebrow" else (outlines.BAND, plumage.INK)
    region = canvas.region(sitter.head.place(smooth(outline)), head)
    canvas.paint(region, np.asarray(ink, np.uint8), part_id("crown"))


def _draw_bill(canvas: Canvas, sitter: Sitter) -> None:
    """Upper and lower bill."""
    base = sitter.tinted(BILL[sitter.value("bill_color")], "bill")
    for outline, shade in zip(outlines.BILLS[sitter.value("bill_shape")], (1.04, 0.8), strict=True):
        region = canvas.region(sitter.head.place(sharp(outline)))
        _, down = sitter.head.grid(region)
        colour = base * np.float32(shade) + 0.0 * down[..., None]
        canvas.paint(region, plumage.finish(colour, region.mask, 1, 0.25), part_id("bill"))


def _draw_eye(canvas: Canvas, sitter: Sitter) -> None:
    """A dark ring, the iris, the pupil and a glint."""
    x, y = outlines.EYE
    iris = np.clip(sitter.tinted(EYE[sitter.value("eye_color")], "eye"), 0, 255).astype(np.uint8)
    ring = np.array([24, 22, 26], np.uint8)
    glint = np.array([255, 255, 255], np.uint8)
    for dx, dy, radius, colour in (
        (0.0, 0.0, 0.086, ring),
        (0.0, 0.0, 0.068, iris),
        (0.006, 0.0, 0.032, ring),
        (0.026, -0.028, 0.018, glint),
    ):
        corners = sitter.head.place(ellipse(x + dx, y + dy, radius, radius))
        canvas.paint(canvas.region(corners), colour, part_id("eye"))
