"""The images to caption: those of a folder, or those that an index names."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cmdg_plugin.datasets.caption_fields import RecordFacts
from cmdg_plugin.datasets.index_files import default_image_root, iterate_rows, make_relative


@dataclass(frozen=True, slots=True)
class CaptionItem:
    """One image to caption; None where nothing says who, which camera or which split.

    Attributes:
        file_path: Path below the image root, with forward slashes.
        identity: Who is in it.
        camera: Which camera took it.
        split: `train`, `val`, `query` or `gallery`.
    """

    file_path: str
    identity: int | None = None
    camera: int | None = None
    split: str | None = None


def iterate_items(source: Path) -> Iterator[CaptionItem]:
    """Go through the images of a folder (with subfolders) or of an index, without holding them all.

    An index is a caption file (released or ours; its captions are not used), a JSON list or JSON Lines of records, or a
    CSV with a header line. Keys or columns: `file_path` or `path`; if known `identity`, `camera`, `split` or `role`.
    What they do not say is read from file names, as `load_captions` does. A folder comes in no particular order.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ValueError: If the index cannot be read, or a record has no usable path.
    """
    relative = make_relative(default_image_root(source))
    return (_item(relative(path), facts) for path, facts in (row.read() for row in iterate_rows(source)))


def _item(file_path: str, facts: RecordFacts) -> CaptionItem:
    return CaptionItem(file_path, facts.identity, facts.camera, facts.split)
