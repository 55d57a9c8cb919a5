"""How a person is drawn: a posed body, dressed from the feet up."""

import numpy as np

from .drawing import BodyPen, Color, Frame, Part, Point, Sheet, shade
from .head import Head
from .people import COLORS, SKIN_TONES, Person
from .poses import Pose

_BUILD = {'slim': 0.86, 'average': 1.0, 'stocky': 1.2}
STATURE: dict[str, float] = {'short': 0.9, 'average': 0.95, 'tall': 1.0}
"""Height against that of tall people."""


def draw_person(sheet: Sheet, person: Person, pose: Pose, frame: Frame, counts: bool = True) -> None:
    """Draw a person on a sheet.

    Args:
        sheet: What to draw on; changed in place.
        person: Whom to draw.
        pose: How the person stands.
        frame: Where the person stands.
        counts: Whether this is the pictured person; bystanders are scene.
    """
    figure = _Figure(BodyPen(sheet, frame, counts), person, pose)
    figure.draw()
    if counts and person.upper_pattern in ('stripes', 'checks') and person.upper not in ('jacket', 'coat'):
        sheet.weave(Part.UPPER, _weaving(person.upper_pattern, sheet, frame), COLORS[person.accent_color])


def draw_shadow(sheet: Sheet, frame: Frame) -> None:
    """Draw what a person's feet shade, before the person."""
    x, y = frame.project((0, 98.5))
    sheet.ellipse((x, y), (frame.height * 0.14, frame.height * 0.02), (44, 44, 48), Part.SCENE)


def _weaving(pattern: str, sheet: Sheet, frame: Frame) -> np.ndarray:
    width, height = sheet.image.size
    period = max(frame.height / 100 * 4.6, 2)
    rows = ((np.arange(height) - frame.top) % period < period * 0.45)[:, None]
    columns = ((np.arange(width) - frame.center) % period < period * 0.35)[None, :]
    return np.broadcast_to(rows, (height, width)) if pattern == 'stripes' else rows ^ columns


class _Figure:
    """One drawing of one person; holds the colors and measures that its parts share."""

    def __init__(self, pen: BodyPen, person: Person, pose: Pose) -> None:
        self.pen = pen
        self.person = person
        self.pose = pose
        self.skin = SKIN_TONES[person.skin]
        self.head = Head(pen, person, pose)
        self.upper = shade(COLORS[person.upper_color], 1 + person.shades[0])
        self.accent = COLORS[person.accent_color]
        self.lower = shade(COLORS[person.lower_color], 1 + person.shades[1])
        self.bag = shade(COLORS.get(person.bag_color, (0, 0, 0)), 1 + person.shades[2])
        build = _BUILD[person.build]
        self.shoulder = (6.4 if pose.sideways else 11.0) * build
        self.hip = (6.0 if pose.sideways else 8.4) * build
        self.limb_width = 5.2 * (0.5 + 0.5 * build)
        self.swing = float(np.sin(pose.phase)) * pose.stride

    def draw(self) -> None:
        """Draw everything, what is behind first."""
        if self.pose.facing == 'front' and self.person.bag == 'backpack':
            self.pen.shape([(-9, 20), (9, 20), (10, 40), (-10, 40)], shade(self.bag, 0.7), Part.BAG)
        if self.pose.facing != 'back' and self.person.hair_style == 'long':
            self.head.long_hair()
        if self.pose.sideways:
            self._arm(-1, 0.74)
        self._legs()
        self._skirt()
        self._torso()
        if not self.pose.sideways:
            self._arm(-1, 0.86)
        self._arm(1, 0.9)
        self._bag()
        self.head.draw()

    def _legs(self) -> None:
        for side in (-1, 1):
            hip, knee, ankle = self._leg_joints(side)
            dim = 0.8 if side == -1 and self.pose.sideways else 1.0
            lower = self.person.lower
            width = self.limb_width * 1.35
            cloth, bare = shade(self.lower, dim), shade(self.skin, dim)
            self.pen.limb((hip, knee), (width * 1.15, width * 0.85), cloth, Part.LOWER)
            covered = lower in ('trousers', 'jeans')
            shin, part = (cloth, Part.LOWER) if covered else (bare, Part.LEGS)
            shin_width = width * 0.8 if covered else width * 0.62
            if lower == 'skirt':
                self.pen.limb((_between(hip, knee, 0.5), knee), (shin_width, shin_width), bare, Part.LEGS)
            self.pen.limb((knee, ankle), (shin_width, shin_width * 0.85), shin, part)
            self._shoe(ankle, dim, shin_width)

    def _leg_joints(self, side: int) -> tuple[Point, Point, Point]:
        swing = self.swing * side
        if self.pose.sideways:
            reach = 11 * swing * self.pose.ahead
            bend = 3.0 * self.pose.ahead * max(0.0, -swing)
            return (0.6 * side, 52), (reach * 0.5 + bend, 73), (reach - bend, 94 - 2.5 * max(0.0, -swing))
        lift = 4.5 * max(0.0, swing)
        x = self.hip * 0.5 * side
        return (x, 52), (x * 1.02, 73 - lift * 0.5), (x * 1.0 - side * 0.5, 94.5 - lift)

    def _shoe(self, ankle: Point, dim: float, width: float) -> None:
        x, y = ankle
        color = shade(COLORS[self.person.shoe_color], dim)
        if self.person.shoes == 'boots':
            self.pen.limb(((x, y - 9), (x, y)), (width * 1.15, width * 1.1), color, Part.SHOES)
        toe = 3.4 * self.pose.ahead if self.pose.sideways else 0.0
        size = (5.0, 2.3) if self.pose.sideways else (3.4, 3.0)
        if self.person.shoes == 'sandals':
            self.pen.disc((x + toe, y + 2.2), size, shade(self.skin, dim), Part.LEGS)
            self.pen.disc((x + toe, y + 3.4), (size[0], 1.4), color, Part.SHOES)
        else:
            self.pen.disc((x + toe, y + 2.6), size, color, Part.SHOES)

    def _skirt(self) -> None:
        if 'skirt' not in self.person.lower:
            return
        hem, flare = (70, 1.35) if self.person.lower == 'skirt' else (87, 1.45)
        wide = self.hip * flare
        drift = 2 * self.swing * self.pose.ahead if self.pose.sideways else 0.0
        points = [(-self.hip * 0.9, 47), (self.hip * 0.9, 47), (wide + drift, hem), (-wide + drift, hem)]
        self.pen.shape(points, self.lower, Part.LOWER)

    def _torso(self) -> None:
        upper, s, h = self.person.upper, self.shoulder, self.hip
        hem = {'coat': 70, 'jacket': 53, 'hoodie': 54, 'tank top': 50}.get(upper, 51)
        neck = 16.0
        flare = 1.25 if upper == 'coat' else 1.05
        self.pen.limb(((0, 12), (0, 19)), (4.6, 5.4), shade(self.skin, 0.9), Part.FACE)
        outline = [(-3, neck), (3, neck), (s * 0.85, 18.5), (s, 22), (h, 44), (h * flare, hem)]
        outline += [(-x, y) for x, y in reversed(outline)]
        self.pen.shape(outline, self.upper, Part.UPPER)
        open_front = self.pose.facing == 'front' and upper in ('jacket', 'coat')
        if open_front:
            width = 3.4 if upper == 'jacket' else 2.6
            self.pen.shape(
                [(-width, neck), (width, neck), (width * 0.8, 51), (-width * 0.8, 51)], self.accent, Part.ACCENT
            )
        elif self.person.upper_pattern == 'block' and upper not in ('jacket', 'coat'):
            self.pen.shape(
                [(-h * 1.2, 34), (h * 1.2, 34), (h * flare, hem), (-h * flare, hem)], self.accent, Part.ACCENT
            )
        if self.pose.facing == 'front' and self.person.upper_pattern == 'logo' and not open_front:
            self.pen.disc((0, 29), (4.2, 3.6), self.accent, Part.ACCENT)
        self._collar(neck)

    def _collar(self, neck: float) -> None:
        upper = self.person.upper
        dark = shade(self.upper, 0.72)
        if upper == 'hoodie':
            self.pen.disc((0, neck + 1), (6.4, 3.2 if self.pose.facing == 'front' else 5.0), dark, Part.UPPER)
        elif upper == 'shirt' and self.pose.facing == 'front':
            self.pen.shape([(-3.4, neck), (0, 21), (3.4, neck)], shade(self.skin, 0.92), Part.FACE)
            self.pen.shape([(-0.5, 21), (0.5, 21), (0.5, 50), (-0.5, 50)], dark, Part.UPPER)
        elif upper == 'tank top':
            self.pen.shape([(-5, neck), (5, neck), (3.4, 22), (-3.4, 22)], self.skin, Part.FACE)
        if self.person.scarf_color != 'none':
            scarf = COLORS[self.person.scarf_color]
            self.pen.disc((0, 17), (5.8, 3.2), scarf, Part.SCARF)
            if self.pose.facing != 'back':
                self.pen.limb(((2, 18), (3, 31)), (3.4, 3.4), scarf, Part.SCARF)

    def _arm(self, side: int, dim: float) -> None:
        swing = self.swing * side
        if self.pose.sideways:
            reach = -9 * swing * self.pose.ahead
            joints = ((0.0, 22.0), (reach * 0.45 - 0.8 * self.pose.ahead, 35.0), (reach + self.pose.ahead, 48.0))
        else:
            x = (self.shoulder - 0.6) * side
            joints = ((x, 22.0), (x * 1.16, 35.5), (x * 1.12, 48.5 - 3 * max(0.0, swing)))
            if self.pose.bag_in_front and self.person.bag not in ('none', 'backpack'):
                joints = (joints[0], (x * 1.15, 36.0), (x * 0.3, 44.0))
        top, elbow, hand = joints
        sleeve, bare, width = shade(self.upper, dim), shade(self.skin, dim), self.limb_width
        sleeveless = self.person.upper == 'tank top'
        self.pen.limb((top, elbow), (width, width * 0.85), bare, Part.ARMS)
        self.pen.limb((elbow, hand), (width * 0.75, width * 0.6), bare, Part.ARMS)
        if self.person.long_sleeves:
            cuff = _between(elbow, hand, 0.86)
            self.pen.limb((top, elbow), (width * 1.15, width), sleeve, Part.UPPER)
            self.pen.limb((elbow, cuff), (width, width * 0.85), sleeve, Part.UPPER)
        elif not sleeveless:
            self.pen.limb((top, _between(top, elbow, 0.6)), (width * 1.2, width * 1.15), sleeve, Part.UPPER)
        self.pen.disc(hand, (width * 0.36, width * 0.42), bare, Part.ARMS)

    def _bag(self) -> None:
        kind = self.person.bag
        if kind == 'backpack':
            self._backpack()
        elif kind != 'none':
            x = 0.0 if self.pose.bag_in_front else self.pose.bag_side * (self.hip * 1.25)
            shoulder = (-self.pose.bag_side * self.shoulder * 0.6, 18)
            straps, center, radii = {
                'shoulder bag': ((shoulder, (x, 42)), (x, 45), (4.6, 4.4)),
                'handbag': (((x, 44), (x, 50)), (x, 53), (4.8, 3.8)),
                'shopping bag': (((x, 46), (x, 54)), (x, 60), (4.8, 7.0)),
            }[kind]
            self._strap(straps, shade(self.bag, 0.75))
            self._box(center, radii, self.bag)

    def _backpack(self) -> None:
        if self.pose.facing == 'back':
            self._box((0, 30), (self.shoulder * 0.72, 11), self.bag)
            self._box((0, 35), (self.shoulder * 0.5, 4), shade(self.bag, 0.8))
        elif self.pose.sideways:
            self._box((-self.pose.ahead * (self.shoulder + 1.5), 29), (4.2, 10.5), self.bag)
            self._strap(((0, 18), (-self.pose.ahead * 3, 36)), shade(self.bag, 0.8))
        else:
            for side in (-1, 1):
                self._strap(((side * self.shoulder * 0.55, 17.5), (side * self.shoulder * 0.6, 37)), self.bag)

    def _strap(self, ends: tuple[Point, Point], color: Color) -> None:
        self.pen.limb(ends, (1.8, 1.8), color, Part.BAG)

    def _box(self, center: Point, radii: Point, color: Color) -> None:
        (x, y), (rx, ry) = center, radii
        cut = 0.25 * rx
        points = [(x - rx, y - ry + cut), (x - rx + cut, y - ry), (x + rx - cut, y - ry), (x + rx, y - ry + cut)]
        points += [(x + rx, y + ry), (x - rx, y + ry)]
        self.pen.shape(points, color, Part.BAG)


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share
