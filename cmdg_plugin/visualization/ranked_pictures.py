"""Pictures of what a query found: the query, its caption and its nearest gallery images, framed by right and wrong."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from PIL import Image, ImageDraw, ImageFont

from cmdg_plugin.evaluation.ranked_queries import RankedQuery
from cmdg_plugin.files.images import read_image
from cmdg_plugin.files.writing import open_whole_bytes
from cmdg_plugin.regions import REGIONS
from cmdg_plugin.visualization.canvas import FAINT, INK, PAPER, Pixels, paste_fitted
from cmdg_plugin.visualization.text import wrap_characters, wrap_words

_MARGIN, _GAP, _FRAME, _TAB, _NAME_LINES = 20, 10, 4, 22, 3
# File systems take 255 bytes, some 143, and an ending and a number stand there, too.
_LONGEST_TARGET, _LONGEST_STEM, _CUT = 40, 80, '...'
_QUERY = '#2f5d9b'
_VERDICTS = {True: ('  right', '#1a7f37'), False: ('  wrong', '#c62828'), None: ('', '#57606a')}


def draw_ranked_query(query: RankedQuery, *, cell_size: Pixels = (128, 256)) -> Image.Image:
    """Draw one query: heading, global caption, the query image, then its gallery images by rank.

    Images keep their aspect and are fitted into equal cells. A frame is green where the image shows the query's
    identity, red where not, and gray where nobody knows; the tab on it says so in words too, after the rank, and ends
    with the image's cosine similarity to the query (its distance, where features have not length one).

    Args:
        query: What to draw.
        cell_size: Width and height that an image may take, in pixels.

    Raises:
        ValueError: If the query has no gallery images, or not a flag (and, where there are any, a distance) for each.
        UnreadableImage: If an image cannot be read.
    """
    if not query.gallery_paths or len(query.gallery_paths) != len(query.matches):
        raise ValueError(
            f'Query {query.query_path} needs gallery images and as many right/wrong flags, got '
            f'{len(query.gallery_paths)} and {len(query.matches)}.'
        )
    if len(query.distances) not in (0, len(query.gallery_paths)):
        raise ValueError(
            f'Query {query.query_path} needs a distance for each of its {len(query.gallery_paths)} gallery images, or '
            f'none, got {len(query.distances)}.'
        )
    heading, body, small = (ImageFont.load_default(size) for size in (19, 16, 12))
    pitch = cell_size[0] + 2 * _FRAME + _GAP
    # The query stands a little apart from what it found.
    lefts = [_MARGIN] + [_MARGIN + 2 * _GAP + pitch * column for column in range(1, len(query.gallery_paths) + 1)]
    paths = (query.query_path, *query.gallery_paths)
    labels, closeness = _labels(query), _closeness(query)
    if not query.query_path:
        paths, labels, closeness = paths[1:], labels[1:], closeness[1:]
        lefts = [_MARGIN + pitch * column for column in range(len(paths))]
    width = lefts[-1] + pitch - _GAP + _MARGIN
    caption = wrap_words(_caption(query), body, width - 2 * _MARGIN)
    cells_top = _MARGIN + 30 + 22 * len(caption) + 12
    names_top = cells_top + _TAB + cell_size[1] + _FRAME + 6
    names = [
        wrap_characters(PurePath(path).name, small, cell_size[0] + 2 * _FRAME, max_lines=_NAME_LINES) for path in paths
    ]
    height = names_top + 16 * max(map(len, names)) + _MARGIN
    picture = Image.new('RGB', (width, height), PAPER)
    canvas = ImageDraw.Draw(picture)
    canvas.text((_MARGIN, _MARGIN), _heading(query), INK, heading)
    for number, line in enumerate(caption):
        canvas.text((_MARGIN, _MARGIN + 30 + 22 * number), line, FAINT if query.captions is None else INK, body)
    for path, left, lines, (label, color), close in zip(paths, lefts, names, labels, closeness, strict=True):
        _draw_cell(picture, path, (left, cells_top), cell_size, (label, close), color)
        for number, line in enumerate(lines):
            canvas.text((left, names_top + 16 * number), line, FAINT, small)
    return picture


def draw_ranked_queries(queries: Sequence[RankedQuery], folder: str | Path) -> list[Path]:
    """Write a PNG per query, named `<target>_<number>_<query file>.png`; `worst_` or `best_` follows the number.

    Long names are shortened in the middle.

    Args:
        queries: What to draw.
        folder: Where to write; made if it is missing.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, query in enumerate(queries, start=1):
        file = folder / (_name(query, number) + '.png')
        with open_whole_bytes(file) as out:
            draw_ranked_query(query).save(out, format='PNG')
        files.append(file)
    return files


def _name(query: RankedQuery, number: int) -> str:
    """Name of a query's picture; the number keeps those of one target apart, however alike their files are named."""
    target, stem = (
        re.sub(r'[^\w.-]+', '-', text) for text in (query.target, PurePath(query.query_path or 'text').stem)
    )
    chosen_as = f'{query.chosen_as}_' if query.chosen_as else ''
    return f'{_shorten(target, _LONGEST_TARGET)}_{number:02d}_{chosen_as}{_shorten(stem, _LONGEST_STEM)}'


def _shorten(text: str, limit: int) -> str:
    """Cut the middle out of a text that takes more bytes than a name may; what is cut mid-character goes with it."""
    encoded = text.encode('utf-8', errors='replace')
    if len(encoded) <= limit:
        return encoded.decode('utf-8')
    half = (limit - len(_CUT)) // 2
    return f'{encoded[:half].decode("utf-8", "ignore")}{_CUT}{encoded[-half:].decode("utf-8", "ignore")}'


def _heading(query: RankedQuery) -> str:
    if None in query.matches:
        return f'{query.target}: the {len(query.matches)} nearest'
    which = {'worst': ', one of the worst queries', 'best': ', one of the best queries'}.get(query.chosen_as, '')
    right = query.matches.count(True)
    heading = f"{query.target}{which}: {right} of the first {len(query.matches)} show the query's identity"
    if query.average_precision is None:
        return heading
    return f'{heading}; average precision {100 * query.average_precision:.1f}%'


def _caption(query: RankedQuery) -> str:
    return '(no caption)' if query.captions is None else f'"{query.captions[REGIONS.index("global")]}"'


def _labels(query: RankedQuery) -> list[tuple[str, str]]:
    """Text and color of each image's tab, the query first."""
    labels = [('query', _QUERY)]
    for rank, match in enumerate(query.matches, start=1):
        verdict, color = _VERDICTS[match]
        labels.append((f'{rank}{verdict}', color))
    return labels


def _closeness(query: RankedQuery) -> list[str]:
    """How close each image is to the query, after what these numbers are, which the query's own tab says."""
    if not query.distances:
        return [''] * (1 + len(query.gallery_paths))
    if query.unit_length:
        return ['cosine', *(f'{1 - distance**2 / 2:.3f}' for distance in query.distances)]
    return ['distance', *(f'{distance:.3g}' for distance in query.distances)]


def _draw_cell(
    picture: Image.Image, path: str, corner: Pixels, size: Pixels, texts: tuple[str, str], color: str
) -> None:
    """Draw an image in its frame with a tab on top, which has a text at either end."""
    canvas = ImageDraw.Draw(picture)
    left, top = corner
    right, bottom = left + size[0] + 2 * _FRAME, top + _TAB + size[1] + _FRAME
    canvas.rectangle((left, top, right - 1, bottom - 1), fill=color)
    for text, edge, anchor in zip(texts, (left + _FRAME + 3, right - _FRAME - 3), ('lm', 'rm'), strict=True):
        canvas.text((edge, top + _TAB // 2), text, PAPER, ImageFont.load_default(14), anchor=anchor)
    paste_fitted(picture, read_image(path), (left + _FRAME, top + _TAB), size)
