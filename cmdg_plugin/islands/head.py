"""The head of a drawn person: face, hair, glasses, hat."""

from .drawing import BodyPen, Part, Point, shade
from .people import COLORS, HAIR_COLORS, SKIN_TONES, Person
from .poses import Pose


class Head:
    """One drawing of one head.

    Args:
        pen: Draws in the body's coordinates.
        person: Whose head.
        pose: Where it looks.
    """

    def __init__(self, pen: BodyPen, person: Person, pose: Pose) -> None:
        self.pen = pen
        self.person = person
        self.pose = pose
        self.skin = SKIN_TONES[person.skin]
        self.hair = HAIR_COLORS[person.hair_color]

    def draw(self) -> None:
        """Draw the head; long hair of people who do not turn their back to the camera has to be drawn before."""
        x = 1.4 * self.pose.ahead if self.pose.sideways else 0.0
        face = (5.0, 6.8)
        if self.pose.facing == 'back':
            self._from_behind(face)
        else:
            self.pen.disc((x, 7.6), face, self.skin, Part.FACE)
            self._hair_before(x, face)
            self._eyes(x)
        self._headwear(x)

    def _from_behind(self, face: Point) -> None:
        style = self.person.hair_style
        color, part = (self.skin, Part.FACE) if style == 'bald' else (self.hair, Part.HAIR)
        self.pen.disc((0, 7.4), (face[0] + 0.3, face[1] + 0.1), color, part)
        if style == 'long':
            self.long_hair()
        elif style == 'ponytail':
            self.pen.limb(((0, 7), (0, 23)), (3.2, 2.4), shade(self.hair, 0.85), Part.HAIR)
        elif style == 'bun':
            self.pen.disc((0, 1.2), (3.0, 2.6), shade(self.hair, 0.85), Part.HAIR)

    def _hair_before(self, x: float, face: Point) -> None:
        style = self.person.hair_style
        if style == 'bald':
            return
        back = -self.pose.ahead if self.pose.sideways else 0
        crown = [
            (x - face[0] - 0.4, 7.5),
            (x - 4.4, 2.2),
            (x, 0.2),
            (x + 4.4, 2.2),
            (x + face[0] + 0.4, 7.5),
            (x + 3.6, 4.4),
            (x - 3.6, 4.4),
        ]
        self.pen.shape(crown, self.hair, Part.HAIR)
        if back:
            self.pen.disc((x + back * 2.8, 6.0), (3.2, 5.2), self.hair, Part.HAIR)
        if style == 'ponytail' and back:
            self.pen.limb(((x + back * 5.5, 6), (x + back * 7.5, 19)), (2.8, 2.0), self.hair, Part.HAIR)
        elif style == 'bun':
            self.pen.disc((x + back * 5.0, 0.8 if not back else 3.0), (2.6, 2.4), self.hair, Part.HAIR)
        elif style == 'long' and back:
            self.pen.limb(((x + back * 3.6, 6), (x + back * 4.4, 24)), (4.6, 4.0), self.hair, Part.HAIR)

    def long_hair(self) -> None:
        """Draw the hair that falls over the shoulders."""
        self.pen.shape([(-5.4, 5), (5.4, 5), (6.6, 25), (-6.6, 25)], self.hair, Part.HAIR)

    def _eyes(self, x: float) -> None:
        if self.person.eyewear == 'none':
            return
        dark = self.person.eyewear == 'sunglasses'
        color = (16, 16, 20) if dark else (60, 60, 66)
        height = 1.5 if dark else 0.7
        left = x - 4.6 if not self.pose.sideways else x + min(0.0, 5.0 * self.pose.ahead)
        right = x + 4.6 if not self.pose.sideways else x + max(0.0, 5.0 * self.pose.ahead)
        self.pen.shape(
            [(left, 6.6 - height), (right, 6.6 - height), (right, 6.6 + height), (left, 6.6 + height)],
            color,
            Part.EYEWEAR,
        )

    def _headwear(self, x: float) -> None:
        kind = self.person.headwear
        if kind == 'none':
            return
        color = COLORS[self.person.headwear_color]
        deep = 5.0 if kind == 'beanie' else 3.8
        dome = [(x - 5.6, deep), (x - 4.6, 0.4), (x, -1.6), (x + 4.6, 0.4), (x + 5.6, deep)]
        self.pen.shape(dome, color, Part.HEADWEAR)
        if kind == 'sun hat':
            self.pen.disc((x, deep), (9.4, 1.7), shade(color, 0.85), Part.HEADWEAR)
        elif kind == 'cap' and self.pose.facing != 'back':
            reach = (x + 3 * self.pose.ahead, x + 9.5 * self.pose.ahead) if self.pose.sideways else (x - 4.6, x + 4.6)
            brim = [(reach[0], deep - 1), (reach[1], deep - 0.4), (reach[1], deep + 1.0), (reach[0], deep + 1.0)]
            self.pen.shape(brim, shade(color, 0.7), Part.HEADWEAR)
