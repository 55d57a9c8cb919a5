"""A search as one HTML page, which can be read without this program and passed on as one file."""

import os
from collections.abc import Sequence
from pathlib import Path

from cmdg_plugin.files.writing import write_whole
from cmdg_plugin.gallery.answers import RESPONSIBLE_USE, describe_answer
from cmdg_plugin.gallery.encoding import QueryImage, list_pictures, open_query_image
from cmdg_plugin.gallery.gallery import Gallery
from cmdg_plugin.gallery.results import SearchResult
from cmdg_plugin.saying import printable
from cmdg_plugin.visualization.pages import render_page

_TEMPLATE = Path(__file__).with_name('report.html')


def write_report(
    result: SearchResult,
    gallery: Gallery,
    folder: str | os.PathLike[str],
    image: QueryImage | Sequence[QueryImage] | None = None,
    text: str | None = None,
    where: str | None = None,
    text_weight: float = 0.5,
) -> Path:
    """Write a page of ranked matches; pictures are inside it, and all text is escaped.

    Args:
        result: What `Gallery.search` found.
        gallery: Where. An image that can no longer be read is said to be so.
        folder: Where to write `index.html`; made if it is missing.
        image: What was searched for: the arguments of `Gallery.search`.
        text: As there.
        where: As there.
        text_weight: As there.

    Returns:
        The page.

    Raises:
        ValueError: If an image of the query cannot be read.
        OSError: If the page cannot be written.
    """
    images = [] if image is None else list_pictures(image)
    answer = describe_answer(
        result,
        gallery,
        pictures=[open_query_image(each) for each in images],
        text=text,
        where=where,
        text_weight=text_weight,
    )
    name = printable(gallery.folder.resolve().name)
    page = Path(os.path.expanduser(folder)) / 'index.html'
    write_whole(
        page,
        render_page(
            _TEMPLATE, gallery=name, answer=answer, problem=None, clickable=False, responsible_use=RESPONSIBLE_USE
        ),
    )
    return page
