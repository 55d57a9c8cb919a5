"""Places: what stands behind people, and what gets in front of them."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .drawing import SHEET_SIZE, Color, Part, Sheet, shade

_WIDE = SHEET_SIZE[0] * 5
_HIGH = SHEET_SIZE[1]


class _Brush:
    """Paints one place.

    Args:
        image: The place, painted in place.
        rng: Source of all chance.
    """

    def __init__(self, image: Image.Image, rng: np.random.Generator) -> None:
        self.pen = ImageDraw.Draw(image)
        self.rng = rng

    def bands(self, *bands: tuple[float, Color]) -> None:
        """Fill the place with horizontal bands, each given by the share of the height where it starts."""
        for start, color in bands:
            self.pen.rectangle((0, start * _HIGH, _WIDE, _HIGH), fill=color)

    def boxes(self, colors: list[Color], rows: tuple[float, float], count: int) -> None:
        """Scatter upright boxes (stalls, houses, boats) whose feet stand between two shares of the height."""
        for _ in range(count):
            x, wide = self.rng.uniform(-40, _WIDE), self.rng.uniform(20, 90)
            foot = self.rng.uniform(*rows) * _HIGH
            high = self.rng.uniform(0.08, 0.4) * _HIGH
            color = shade(colors[int(self.rng.integers(len(colors)))], self.rng.uniform(0.8, 1.2))
            self.pen.rectangle((x, foot - high, x + wide, foot), fill=color)

    def blobs(self, color: Color, rows: tuple[float, float], count: int) -> None:
        """Scatter round things (tree crowns, lamps, heaps)."""
        for _ in range(count):
            x, y, r = self.rng.uniform(0, _WIDE), self.rng.uniform(*rows) * _HIGH, self.rng.uniform(8, 34)
            self.pen.ellipse((x - r, y - r, x + r, y + r * 0.9), fill=shade(color, self.rng.uniform(0.7, 1.3)))

    def tiles(self, color: Color, rows: tuple[float, float], size: float) -> None:
        """Draw the joints of tiles or planks."""
        top, bottom = rows[0] * _HIGH, rows[1] * _HIGH
        for x in np.arange(0, _WIDE, size):
            self.pen.line((x, top, x - 0.3 * (bottom - top), bottom), fill=color, width=2)
        for y in np.arange(top, bottom, size * 0.6):
            self.pen.line((0, y, _WIDE, y), fill=color, width=2)


def _quay(brush: _Brush) -> None:
    brush.bands((0, (170, 196, 214)), (0.32, (72, 112, 140)), (0.6, (142, 132, 116)))
    brush.boxes([(236, 236, 232), (180, 60, 50), (40, 70, 110)], (0.34, 0.5), 10)
    brush.tiles((112, 102, 90), (0.6, 1), 34)


def _stalls(brush: _Brush) -> None:
    brush.bands((0, (168, 140, 110)), (0.7, (150, 128, 104)))
    brush.boxes([(200, 70, 50), (220, 170, 60), (70, 130, 90), (230, 220, 200), (120, 70, 120)], (0.5, 0.74), 34)
    brush.blobs((210, 120, 50), (0.5, 0.7), 30)


def _lawn(brush: _Brush) -> None:
    brush.bands((0, (190, 206, 214)), (0.12, (150, 92, 72)), (0.42, (92, 138, 62)), (0.8, (184, 176, 160)))
    brush.boxes([(90, 110, 130), (214, 208, 196)], (0.3, 0.36), 20)
    brush.blobs((58, 104, 48), (0.1, 0.45), 16)


def _hall(brush: _Brush) -> None:
    brush.bands((0, (196, 198, 194)), (0.5, (150, 152, 150)))
    brush.boxes([(60, 70, 84), (230, 200, 60), (110, 116, 120)], (0.44, 0.52), 14)
    brush.tiles((128, 130, 130), (0.5, 1), 44)


def _tunnel(brush: _Brush) -> None:
    brush.bands((0, (56, 54, 52)), (0.18, (104, 100, 88)), (0.62, (150, 120, 40)), (0.66, (62, 60, 60)))
    brush.tiles((76, 72, 64), (0.18, 0.62), 24)
    brush.boxes([(200, 190, 150), (150, 40, 36), (40, 60, 90)], (0.4, 0.5), 9)


def _slope(brush: _Brush) -> None:
    brush.bands((0, (150, 176, 208)), (0.3, (214, 222, 232)), (0.55, (236, 240, 246)))
    brush.blobs((48, 72, 66), (0.1, 0.4), 30)
    brush.boxes([(110, 76, 52), (160, 50, 44)], (0.4, 0.5), 6)
    brush.blobs((222, 228, 238), (0.6, 1.0), 30)


def _arcade(brush: _Brush) -> None:
    brush.bands((0, (44, 36, 60)), (0.1, (78, 58, 92)), (0.6, (92, 84, 98)))
    brush.boxes([(236, 90, 170), (70, 210, 220), (240, 220, 120), (120, 70, 200)], (0.3, 0.56), 26)
    brush.tiles((70, 62, 80), (0.6, 1), 28)


def _studio(brush: _Brush) -> None:
    tone = brush.rng.uniform(60, 220, size=3)
    for y in range(_HIGH):
        r, g, b = (tone * (0.75 + 0.5 * y / _HIGH)).clip(0, 255).astype(int).tolist()
        brush.pen.line((0, y, _WIDE, y), fill=(r, g, b))


def _street(brush: _Brush) -> None:
    brush.bands((0, (150, 150, 156)), (0.66, (90, 92, 96)), (0.74, (70, 72, 76)))
    brush.boxes([(178, 160, 140), (120, 100, 96), (200, 200, 196), (90, 104, 120)], (0.64, 0.68), 30)


def _collage(brush: _Brush) -> None:
    wall, floor = brush.rng.integers(40, 230, size=(2, 3)).tolist()
    brush.bands((0, tuple(wall)), (brush.rng.uniform(0.4, 0.8), tuple(floor)))
    brush.boxes([tuple(color) for color in brush.rng.integers(20, 240, size=(6, 3)).tolist()], (0.2, 1.0), 24)


def _dunes(brush: _Brush) -> None:
    brush.bands((0, (150, 190, 220)), (0.36, (214, 186, 140)))
    brush.blobs((196, 164, 116), (0.4, 1.0), 40)


_PAINTERS: dict[str, Callable[[_Brush], None]] = {
    painter.__name__.removeprefix('_'): painter
    for painter in (_quay, _stalls, _lawn, _hall, _tunnel, _slope, _arcade, _studio, _street, _collage, _dunes)
}
PRETRAINING_PLACES: tuple[str, ...] = ('studio', 'street', 'collage', 'dunes')
"""Places that no domain of the benchmark uses."""


@lru_cache(maxsize=64)
def panorama(place: str, seed: int) -> Image.Image:
    """Paint a place, five sheets wide and one high.

    Args:
        place: Name of the place.
        seed: Which of all places of that name: a camera looks at the same one all day.

    Returns:
        The place, RGB; not to be drawn on, since others get the same one.

    Raises:
        ValueError: If there is no such place.
    """
    if place not in _PAINTERS:
        raise ValueError(f'No place is called {place!r}; there are {", ".join(_PAINTERS)}.')
    rng = np.random.default_rng(seed)
    image = Image.new('RGB', (_WIDE, _HIGH))
    _PAINTERS[place](_Brush(image, rng))
    grain = rng.normal(0, 6, size=(_HIGH, _WIDE, 1))
    pixels = (np.asarray(image) + grain).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1.2))


def backdrop(place: str, seed: int, rng: np.random.Generator) -> Image.Image:
    """Cut a piece of a place, as wide and high as a sheet.

    Args:
        place: Name of the place.
        seed: Which of all places of that name.
        rng: Where in the place somebody stands.

    Returns:
        The piece, RGB, of size `SHEET_SIZE`.

    Raises:
        ValueError: If there is no such place.
    """
    painted = panorama(place, seed)
    left = int(rng.integers(_WIDE - SHEET_SIZE[0]))
    return painted.crop((left, 0, left + SHEET_SIZE[0], _HIGH))


OBSTACLES: tuple[str, ...] = ('pole', 'bench', 'plant', 'suitcase', 'railing')


def draw_obstacle(kind: str, sheet: Sheet, rng: np.random.Generator) -> None:
    """Put something between the camera and the person.

    Args:
        kind: One of `OBSTACLES`.
        sheet: What to draw on; changed in place.
        rng: Size, place and color of the thing.

    Raises:
        ValueError: If there is no such obstacle.
    """
    wide, high = SHEET_SIZE
    r, g, b = rng.integers(40, 200, size=3).tolist()
    color: Color = (r, g, b)
    x = rng.uniform(0.2, 0.8) * wide
    if kind == 'pole':
        _block(sheet, (x, 0), (x + rng.uniform(10, 22), high), shade((120, 120, 124), rng.uniform(0.5, 1.4)))
    elif kind == 'bench':
        top = rng.uniform(0.66, 0.78) * high
        _block(sheet, (0, top), (wide, top + 12), color)
        _block(sheet, (0, top + 20), (wide, top + 30), shade(color, 0.8))
    elif kind == 'plant':
        for _ in range(14):
            center = (x + rng.uniform(-26, 26), high - rng.uniform(0, 70))
            green = shade((60, 120, 56), rng.uniform(0.6, 1.3))
            sheet.ellipse(center, (rng.uniform(6, 14), rng.uniform(6, 18)), green, Part.SCENE)
    elif kind == 'suitcase':
        top = rng.uniform(0.62, 0.74) * high
        _block(sheet, (x - 22, top), (x + 22, high), color)
        _block(sheet, (x - 3, top - 26), (x + 3, top), (50, 50, 54))
    elif kind == 'railing':
        top = rng.uniform(0.48, 0.6) * high
        for y in (top, top + 34, top + 68):
            _block(sheet, (0, y), (wide, y + 7), shade((150, 154, 160), rng.uniform(0.7, 1.2)))
    else:
        raise ValueError(f'No obstacle is called {kind!r}; there are {", ".join(OBSTACLES)}.')


def _block(sheet: Sheet, start: tuple[float, float], end: tuple[float, float], color: Color) -> None:
    corners = [start, (end[0], start[1]), end, (start[0], end[1])]
    sheet.polygon(corners, color, Part.SCENE)
