"""The images to caption: those of a folder, or those that an index names."""

from collections.abc import Iterator
from pathlib import Path

from cmdg_plugin.datasets.caption_fields import CaptionRecord
from cmdg_plugin.datasets.index_files import default_image_root, iterate_rows, make_relative


def iterate_items(source: Path) -> Iterator[CaptionRecord]:
    """Go through the images of a folder (with subfolders) or of an index, without holding them all.

    An index is a caption file (released or ours; its captions are not used), a JSON list or JSON Lines of records, or a
    CSV with a header line. Keys or columns: `file_path` or `path`; if known `identity`, `camera`, `split` or `role`.
    What they do not say is read from file names, as `load_captions` does. A folder comes in no particular order.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ValueError: If the index cannot be read, or a record has no usable path.
    """
    relative = make_relative(default_image_root(source))
    return (CaptionRecord(relative(path), None, *facts) for path, facts in (row.read() for row in iterate_rows(source)))
