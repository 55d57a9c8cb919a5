"""A grid of augmented training images, each with its captions."""

from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont

from cmdg_plugin.regions import REGIONS
from cmdg_plugin.visualization.canvas import FAINT, INK, PAPER, Pixels, paste_fitted
from cmdg_plugin.visualization.text import Font, wrap_characters, wrap_words
from cmdg_plugin.visualization.training_pictures import TrainingPicture

_MARGIN, _GAP, _TEXT_WIDTH = 24, 14, 330
_Line = tuple[str, str, Font]


def draw_training_grid(
    pictures: Sequence[TrainingPicture], *, columns: int = 3, cell_size: Pixels = (224, 224)
) -> Image.Image:
    """Draw images with their source, identity, camera, training label, file and four captions beside them.

    Args:
        pictures: What to draw, row by row.
        columns: Images in a row.
        cell_size: Width and height that an image is fitted into, in pixels.

    Raises:
        ValueError: If there is nothing to draw or `columns` is below 1.
    """
    if not pictures or columns < 1:
        raise ValueError(f'expected at least one image and one column, got {len(pictures)} and {columns}.')
    texts = [list(_lines(picture)) for picture in pictures]
    columns = min(columns, len(pictures))
    pitch = cell_size[0] + _GAP + _TEXT_WIDTH + 2 * _GAP
    beside = [sum(_line_height(font) for _, _, font in text) for text in texts]
    heights = [
        max(cell_size[1], *beside[start : start + columns]) + 2 * _GAP for start in range(0, len(pictures), columns)
    ]
    grid = Image.new('RGB', (2 * _MARGIN + columns * pitch - 2 * _GAP, 2 * _MARGIN + sum(heights) - 2 * _GAP), PAPER)
    for number, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        row, column = divmod(number, columns)
        _draw_card(grid, picture, text, (_MARGIN + column * pitch, _MARGIN + sum(heights[:row])), cell_size)
    return grid


def _lines(picture: TrainingPicture) -> Iterator[_Line]:
    """Everything that stands beside an image, broken into lines: text, color, font."""
    heading, body, small = (ImageFont.load_default(size) for size in (16, 14, 12))
    for line in wrap_words(picture.title, heading, _TEXT_WIDTH):
        yield line, INK, heading
    for line in wrap_characters(picture.file, small, _TEXT_WIDTH):
        yield line, FAINT, small
    for region, caption in sorted(zip(REGIONS, picture.captions, strict=True), key=lambda pair: pair[0] != 'global'):
        text = caption or '(no caption)'
        for line in wrap_words(text if region == 'global' else f'{region}: {text}', body, _TEXT_WIDTH):
            yield line, INK if region == 'global' and caption else FAINT, body


def _line_height(font: Font) -> int:
    return round(1.3 * font.size) if isinstance(font, ImageFont.FreeTypeFont) else 16


def _draw_card(
    grid: Image.Image, picture: TrainingPicture, lines: Sequence[_Line], corner: Pixels, size: Pixels
) -> None:
    canvas = ImageDraw.Draw(grid)
    left, top = corner
    paste_fitted(grid, Image.fromarray(picture.image), corner, size)
    for text, color, font in lines:
        canvas.text((left + size[0] + _GAP, top), text, color, font)
        top += _line_height(font)
