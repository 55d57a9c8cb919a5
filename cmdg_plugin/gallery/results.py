"""What a gallery answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from cmdg_plugin.gallery.columns import Value
from cmdg_plugin.gallery.entries import Entry


@dataclass(frozen=True)
class Match:
    """An entry of the gallery that a query found.

    Attributes:
        path: File of the image, as the gallery stores it.
        score: Cosine similarity to the query, from -1 to 1; the weighted mean of both for image and sentence.
        rank: Place among the matches, from 1.
        identity: Who is in the image, where that is known.
        camera: Which camera took it.
        time: When, in ISO 8601.
        caption: What the image shows.
        columns: Further columns of the index it came from.
    """

    path: str
    score: float
    rank: int
    identity: str | None
    camera: int | None
    time: str | None
    caption: str | None
    columns: dict[str, Value]

    @classmethod
    def of(cls, entry: Entry, score: float, rank: int) -> 'Match':
        """A match with an entry."""
        known = (entry.identity, entry.camera, entry.time, entry.caption, dict(entry.columns))
        return cls(entry.path, score, rank, *known)


@dataclass(frozen=True)
class SearchResult:
    """What a query found.

    Attributes:
        matches: The nearest entries, nearest first.
        verdict: `match`, `unsure` or `nobody`; None while the gallery is not calibrated for this kind of query.
        searched: How many entries passed the filter.
        exact: Whether all of these were compared with the query; if not, `Gallery.recall` tells how many are found.
    """

    matches: tuple[Match, ...]
    verdict: str | None
    searched: int
    exact: bool = True


@dataclass(frozen=True)
class AddReport:
    """What adding images did.

    Attributes:
        added: Images that are new.
        replaced: Images that were there and have changed, in their file or in what is said about them.
        unchanged: Images that are there already.
        unreadable: Images that cannot be read, each with the reason.
    """

    added: int
    replaced: int
    unchanged: int
    unreadable: list[tuple[str, str]]


@dataclass(frozen=True)
class GalleryInfo:
    """What a gallery is.

    Attributes:
        entries: Number of images.
        model: Checkpoint that encoded them.
        hash: Hash of that model.
        engine: Where vectors are stored.
        size: Bytes that the gallery takes on this machine's disk.
        dimension: Numbers per image.
        calibrated: Kinds of query, `image` and `text`, for which the gallery knows when nobody matches.
        thresholds: What it knows of each, as `Threshold` holds it.
    """

    entries: int
    model: str
    hash: str
    engine: str
    size: int
    dimension: int
    calibrated: tuple[str, ...]
    thresholds: Mapping[str, Mapping[str, float]]
