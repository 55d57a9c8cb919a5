"""Pictures of what a query found: its nearest gallery images, right ones framed green, wrong ones red."""

import textwrap
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from cmdg_plugin.evaluation.ranked_queries import RankedQuery
from cmdg_plugin.regions import REGIONS

_TILE = (96, 192)
_FRAME = 4
_GAP = 10
_LINE = 13
_FONT_SIZE = 11
_COLORS = {True: (30, 150, 60), False: (205, 45, 45), None: (60, 60, 60)}
_CAPTION_LETTERS = 190


def draw_ranked_queries(queries: Iterable[RankedQuery], folder: str | Path) -> list[Path]:
    """Draw one PNG a query, named after target and query image.

    Args:
        queries: Queries with their ranked gallery images.
        folder: Where the pictures go; made if it is not there.

    Returns:
        The files, in the order of the queries.
    """
    files = []
    for query in queries:
        path = Path(folder) / f'{query.target}_{Path(query.query_path).stem}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_ranked_query(query).save(path)
        files.append(path)
    return files


def draw_ranked_query(query: RankedQuery) -> Image.Image:
    """Draw a query, its caption, and its gallery images in order, each with its rank and file name.

    Args:
        query: A query with its ranked gallery images.

    Returns:
        An RGB picture.
    """
    font = ImageFont.load_default(size=_FONT_SIZE)
    caption = query.captions[REGIONS.index('global')] if query.captions else ''
    lines = textwrap.wrap(caption, _CAPTION_LETTERS) or ['']
    column = _TILE[0] + 2 * _FRAME + _GAP
    top = _GAP + (len(lines) + 1) * _LINE
    width = _GAP + column * (1 + len(query.gallery_paths))
    canvas = Image.new('RGB', (max(width, 11 * column), top + _TILE[1] + 2 * _FRAME + 4 * _LINE), 'white')
    draw = ImageDraw.Draw(canvas)
    draw.text(
        (_GAP, _GAP // 2), '\n'.join([f'{query.target}: query and nearest gallery images', *lines]), 'black', font
    )
    tiles = [(query.query_path, None, 'query')]
    ranked = zip(query.gallery_paths, query.matches, strict=True)
    tiles += [(path, match, f'{rank}') for rank, (path, match) in enumerate(ranked, 1)]  # type: ignore[misc]
    for position, (path, match, title) in enumerate(tiles):
        left = _GAP + position * column
        canvas.paste(_framed(path, _COLORS[match]), (left, top))
        mark = {True: ' right', False: ' wrong', None: ''}[match]
        name = textwrap.fill(Path(path).name, (_TILE[0] + _GAP) // 6)
        draw.text((left, top + _TILE[1] + 2 * _FRAME + 2), f'{title}{mark}\n{name}', _COLORS[match], font)
    return canvas


def _framed(path: str, color: tuple[int, int, int]) -> Image.Image:
    with Image.open(path) as image:
        tile = ImageOps.pad(image.convert('RGB'), _TILE, color='white')
    return ImageOps.expand(tile, _FRAME, color)
