"""The search page's form: what its fields mean as arguments of `Gallery.search`."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cmdg_plugin.datasets.caption_fields import show
from cmdg_plugin.files.images import blaming, decode_image
from cmdg_plugin.gallery.columns import read_time
from cmdg_plugin.gallery.filters import parse_filter
from cmdg_plugin.gallery.gallery import Gallery

MOST_PICTURES = 20
MOST_PIXELS = 200_000_000
"""Of all pictures of a query together, so that one visitor cannot take all memory."""

MOST_RESULTS = 100
_DATE = re.compile(r'\d{4}-\d\d-\d\d', re.ASCII)


@dataclass(frozen=True)
class Form:
    """Fields of the search page as they were filled in; empty ones are empty texts.

    Attributes:
        sentence: What the person looks like.
        weight: The sentence's weight beside pictures.
        cameras: Numbers of cameras, between commas.
        start: Earliest time, in ISO 8601.
        end: Latest time; a date means all of that day.
        where: A condition on columns, as `Gallery.search` takes it.
        top: How many results.
    """

    sentence: str = ''
    weight: float = 0.5
    cameras: str = ''
    start: str = ''
    end: str = ''
    where: str = ''
    top: float = 20

    @property
    def text(self) -> str | None:
        """The sentence; None if there is none."""
        return self.sentence.strip() or None

    def count(self) -> int:
        """How many results.

        Raises:
            ValueError: If it is not a whole number in the page's range.
        """
        if not isinstance(self.top, int | float) or self.top not in range(1, MOST_RESULTS + 1):
            raise ValueError(f'Give a number of results from 1 to {MOST_RESULTS}; got {show(self.top)}.')
        return int(self.top)

    def condition(self, gallery: Gallery) -> str | None:
        """Put the filters together; None if there is none.

        Args:
            gallery: Has the columns that the condition may name.

        Raises:
            ValueError: If one of them cannot be used.
        """
        parts = []
        if self.where.strip():
            # By itself, so that a bracket too many cannot reach into the other parts.
            parse_filter(self.where, gallery.columns)
            parts.append(f'({self.where.strip()})')
        if self.cameras.strip():
            parts.append(f'camera in {self._cameras()}')
        start, end = self.start.strip(), self.end.strip()
        if start:
            parts.append(f'time >= "{_read_time(start, "earliest")}"')
        if end:
            limit = _read_time(end, 'latest')
            if start and limit < _read_time(start, 'earliest'):
                raise ValueError(f'The latest time ({end}) is before the earliest one ({start}).')
            if _DATE.fullmatch(end):
                parts.append(f'time <= "{end}T23:59:59.999999"')
            else:
                parts.append(f'time <= "{limit}"')
        return ' and '.join(parts) or None

    def _cameras(self) -> list[int]:
        try:
            return [int(number) for number in self.cameras.replace(',', ' ').split()]
        except ValueError:
            raise ValueError(f'Cameras are whole numbers such as 3, 7; got {show(self.cameras)}.') from None


def read_uploads(files: Sequence[str]) -> list[Image.Image]:
    """Read uploaded files as pictures of one person.

    Args:
        files: Where the server has put them.

    Raises:
        ValueError: If one is not a picture, called as its user calls it, or there are too many, or too large ones.
    """
    if len(files) > MOST_PICTURES:
        raise ValueError(f'Give at most {MOST_PICTURES} pictures of a person; got {len(files)}.')
    names = [Path(file).name for file in files]
    try:
        contents = [Path(file).read_bytes() for file in files]
    except OSError as error:
        raise ValueError('A picture that was uploaded is no longer here: upload it again.') from error
    if sum(map(_count_pixels, contents, names)) > MOST_PIXELS:
        raise ValueError(f'Give pictures of at most {MOST_PIXELS:,} pixels together: fewer, or smaller ones.')
    return list(map(decode_image, contents, names))


def _count_pixels(content: bytes, name: str) -> int:
    with blaming(name), Image.open(io.BytesIO(content)) as image:
        return image.width * image.height


def _read_time(text: str, which: str) -> str:
    try:
        return read_time(text)
    except ValueError as error:
        raise ValueError(f'The {which} time cannot be read: {error}.') from error
