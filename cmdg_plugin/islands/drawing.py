"""A sheet to draw on: shapes in body coordinates, painted twice, once in color and once as a map of what is what."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from PIL import Image, ImageDraw

Color = tuple[int, int, int]
Point = tuple[float, float]

SHEET_SIZE: tuple[int, int] = (128, 256)
"""Width and height in pixels at which people are drawn, before the camera's resolution takes its share."""


class Part(IntEnum):
    """What a pixel of a picture shows; `SCENE` is everything that is not the person."""

    SCENE = 0
    FACE = 1
    HAIR = 2
    HEADWEAR = 3
    EYEWEAR = 4
    SCARF = 5
    UPPER = 6
    ACCENT = 7
    ARMS = 8
    LOWER = 9
    LEGS = 10
    SHOES = 11
    BAG = 12


@dataclass(frozen=True)
class Frame:
    """Where a person stands on the sheet.

    Body coordinates: y from 0 (top of the head) to 100 (soles), x from the body's axis to the right, same unit.

    Attributes:
        center: x of the body's axis in pixels.
        top: y of the top of the head in pixels.
        height: Height of the person in pixels.
        tilt: How far the camera looks down, 0 (level) to about 0.6 (steep): the head grows and the legs shrink.
        lean: Horizontal shift of the head against the feet, in body units.
    """

    center: float
    top: float
    height: float
    tilt: float = 0.0
    lean: float = 0.0

    def scale(self, y: float) -> float:
        """Pixels per body unit at body height `y`."""
        return self.height / 100 * (1 + self.tilt * (0.5 - y / 100))

    def project(self, point: Point) -> Point:
        """Pixel position of a point in body coordinates."""
        x, y = point
        v = y / 100
        # The integral of the local scale, so that the soles stay where a level camera sees them.
        fall = v * (1 + self.tilt / 2) - self.tilt * v * v / 2
        return self.center + x * self.scale(y) + self.lean * (1 - v) * self.height / 100, self.top + fall * self.height


def shade(color: Color, factor: float) -> Color:
    """Make a color lighter (`factor` > 1) or darker (`factor` < 1)."""
    r, g, b = (int(min(max(channel * factor, 0), 255)) for channel in color)
    return r, g, b


class Sheet:
    """A picture in the making and its map of parts.

    Args:
        backdrop: What is behind the person, of size `SHEET_SIZE`; it is copied.
    """

    def __init__(self, backdrop: Image.Image) -> None:
        self.image = backdrop.copy()
        self.parts = Image.new('L', backdrop.size, int(Part.SCENE))
        self._pens = (ImageDraw.Draw(self.image), ImageDraw.Draw(self.parts))

    def polygon(self, points: Sequence[Point], color: Color, part: Part) -> None:
        """Fill a polygon given in pixels."""
        rounded = [(round(x), round(y)) for x, y in points]
        self._pens[0].polygon(rounded, fill=color)
        self._pens[1].polygon(rounded, fill=int(part))

    def ellipse(self, center: Point, radii: Point, color: Color, part: Part) -> None:
        """Fill an ellipse given in pixels."""
        box = (center[0] - radii[0], center[1] - radii[1], center[0] + radii[0], center[1] + radii[1])
        self._pens[0].ellipse(box, fill=color)
        self._pens[1].ellipse(box, fill=int(part))

    def weave(self, part: Part, pattern: np.ndarray, color: Color) -> None:
        """Color the pixels of a part in which a pattern holds; they count as `Part.ACCENT` from then on.

        Args:
            part: Which part wears the pattern.
            pattern: Where it does, boolean, (height, width) of the sheet.
            color: The pattern's color.
        """
        labels = np.asarray(self.parts)
        chosen = (labels == part) & pattern
        pixels = np.array(self.image)
        pixels[chosen] = color
        self.image = Image.fromarray(pixels)
        self.parts = Image.fromarray(np.where(chosen, np.uint8(Part.ACCENT), labels))
        self._pens = (ImageDraw.Draw(self.image), ImageDraw.Draw(self.parts))


class BodyPen:
    """Draws in body coordinates on a sheet.

    Args:
        sheet: What to draw on.
        frame: Where the body stands.
        counts: Whether the strokes belong to the pictured person; strokes of bystanders are scene.
    """

    def __init__(self, sheet: Sheet, frame: Frame, counts: bool = True) -> None:
        self.sheet = sheet
        self.frame = frame
        self._counts = counts

    def shape(self, points: Sequence[Point], color: Color, part: Part) -> None:
        """Fill a polygon."""
        self.sheet.polygon([self.frame.project(point) for point in points], color, self._label(part))

    def disc(self, center: Point, radii: Point, color: Color, part: Part) -> None:
        """Fill an ellipse with the given center and half axes."""
        scale = self.frame.scale(center[1])
        radii = (radii[0] * scale, radii[1] * scale)
        self.sheet.ellipse(self.frame.project(center), radii, color, self._label(part))

    def limb(self, ends: tuple[Point, Point], widths: tuple[float, float], color: Color, part: Part) -> None:
        """Draw a tapered, rounded piece of arm or leg between two joints of the given widths."""
        (ax, ay), (bx, by) = ends
        length = max(float(np.hypot(bx - ax, by - ay)), 1e-6)
        nx, ny = (ay - by) / length / 2, (bx - ax) / length / 2
        wa, wb = widths
        corners = [
            (ax + nx * wa, ay + ny * wa),
            (bx + nx * wb, by + ny * wb),
            (bx - nx * wb, by - ny * wb),
            (ax - nx * wa, ay - ny * wa),
        ]
        self.shape(corners, color, part)
        for joint, width in zip(ends, widths, strict=True):
            self.disc(joint, (width / 2, width / 2), color, part)

    def _label(self, part: Part) -> Part:
        return part if self._counts else Part.SCENE
