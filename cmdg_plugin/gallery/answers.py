"""What is shown of a search, on a report and on the search page: the query, the verdict in words, cards of matches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from cmdg_plugin.gallery.gallery import Gallery
from cmdg_plugin.gallery.results import Match, SearchResult
from cmdg_plugin.visualization.pages import picture_url

VERDICTS: dict[str | None, str] = {
    'match': 'Match: the first result is similar enough to be the same person. Check it before anything follows.',
    'unsure': 'Unsure: the first result may be the same person or another one.',
    'nobody': 'Nobody: no entry is similar enough to be this person. What follows is only nearest.',
    None: 'Not calibrated for this kind of query: the results are the nearest entries, whether or not the person is '
    'among them.',
}
"""The verdicts of `SearchResult` in words."""

RESPONSIBLE_USE = (
    'A rank is not an identification: a person must check every match before anything follows from it. Search only '
    'for people whose images you may use, and for a purpose that the law allows.'
)

_CARD = (200, 400)
_QUERY = (100, 200)


@dataclass(frozen=True)
class Card:
    """A match as it is shown.

    Attributes:
        match: The match.
        name: What its file is called.
        picture: A small copy as data URL; None where it cannot be read.
        facts: What else is known, each with its name.
    """

    match: Match
    name: str
    picture: str | None
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answer:
    """A search as it is shown.

    Attributes:
        verdict: The verdict in words.
        kind: `match`, `unsure`, `nobody`, `empty`, or `plain` where the gallery is not calibrated.
        cards: The matches.
        searched: How many entries passed the filter.
        exact: Whether all of these were compared with the query.
        pictures: Small copies of what was searched for, as data URLs.
        text: The sentence that was searched for.
        text_weight: Its weight, where pictures were searched for as well.
        where: The filter.
    """

    verdict: str
    kind: str
    cards: tuple[Card, ...]
    searched: int
    exact: bool
    pictures: tuple[str, ...]
    text: str | None
    text_weight: float | None
    where: str | None


def describe_answer(
    result: SearchResult,
    gallery: Gallery,
    *,
    pictures: Sequence[Image.Image] = (),
    text: str | None = None,
    where: str | None = None,
    text_weight: float = 0.5,
    full_paths: bool = True,
) -> Answer:
    """Put together what is shown of a search.

    Args:
        result: What it found.
        gallery: Where.
        pictures: What was searched for, RGB.
        text: The sentence that was searched for.
        where: The filter.
        text_weight: The sentence's weight beside pictures.
        full_paths: Whether names hold the folders, too, which visitors of a web page need not know.
    """
    verdict, kind = VERDICTS[result.verdict], result.verdict or 'plain'
    if not result.searched:
        verdict, kind = 'Nothing found: no entry of the gallery passes the filter.', 'empty'
        if where is None:
            verdict = 'Nothing found: the gallery is empty.'
    return Answer(
        verdict=verdict,
        kind=kind,
        cards=tuple(_card(match, gallery, full_paths) for match in result.matches),
        searched=result.searched,
        exact=result.exact,
        pictures=tuple(picture_url(picture, _QUERY) for picture in pictures),
        text=text,
        text_weight=text_weight if pictures and text is not None else None,
        where=where,
    )


def _card(match: Match, gallery: Gallery, full_paths: bool) -> Card:
    try:
        picture = picture_url(gallery.read_image(match.path), _CARD)
    except ValueError:  # moved, removed or damaged since it was added
        picture = None
    known: dict[str, Any] = {'identity': match.identity, 'camera': match.camera, 'time': match.time, **match.columns}
    facts = tuple((name, str(value)) for name, value in known.items() if value is not None)
    return Card(match, match.path if full_paths else Path(match.path).name, picture, facts)
