"""A page about one or more caption files; every caption is escaped, as it is text from a model."""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cmdg_plugin.captioning.caption_statistics import CaptionStatistics, describe_captions
from cmdg_plugin.captioning.images import UnreadableImage, load_view
from cmdg_plugin.captioning.items import iterate_items
from cmdg_plugin.clip_length import ClipLength
from cmdg_plugin.datasets.caption_fields import CaptionRecord
from cmdg_plugin.datasets.captions import load_captions
from cmdg_plugin.files.writing import write_whole
from cmdg_plugin.regions import CAPTION_FILE_ORDER
from cmdg_plugin.visualization.pages import picture_url, render_page

_TEMPLATE = Path(__file__).with_name('report.html')
_THUMBNAIL = (128, 256)
_LISTED = 20


@dataclass(frozen=True)
class Coverage:
    """How the captions of a file and the images of a folder match.

    Attributes:
        images: Images in the folder.
        captioned: Those with captions.
        missing: The first few without.
        strangers: Captioned paths that the folder does not have.
    """

    images: int
    captioned: int
    missing: list[str]
    strangers: int


@dataclass(frozen=True)
class Example:
    """One image of the page, with its captions.

    Attributes:
        file_path: Its path.
        picture: A small copy as data URL; None where it cannot be read.
        captions: Its sentences, in caption-file order.
    """

    file_path: str
    picture: str | None
    captions: tuple[str, ...]


@dataclass(frozen=True)
class FileReport:
    """All that the page says about one caption file."""

    name: str
    statistics: CaptionStatistics
    coverage: Coverage | None = None
    examples: list[Example] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values, without pictures."""
        coverage = asdict(self.coverage) if self.coverage else None
        return {'file': self.name, 'coverage': coverage, **asdict(self.statistics)}


def report_on_file(
    path: Path, image_root: Path | None = None, *, num_examples: int = 24, seed: int = 0, top: int = 15
) -> FileReport:
    """Read a caption file, released or generated, and describe it.

    Args:
        path: The caption file.
        image_root: Folder that its paths start in; without it there is neither coverage nor a page of images.
        num_examples: How many random images to show.
        seed: Draws them.
        top: How many words and phrases to list.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it is not a caption file.
    """
    records = load_captions(path)
    statistics = describe_captions(records, ClipLength(), top=top)
    if image_root is None:
        return FileReport(path.name, statistics)
    if not image_root.is_dir():
        raise FileNotFoundError(f'no folder of images at {image_root}.')
    chosen = random.Random(seed).sample(records, min(num_examples, len(records)))
    examples = [Example(r.file_path, _thumbnail(image_root / r.file_path), r.captions or ()) for r in chosen]
    return FileReport(path.name, statistics, measure_coverage(records, image_root), examples)


def measure_coverage(records: Sequence[CaptionRecord], image_root: Path) -> Coverage:
    """Compare captioned paths with the images of a folder."""
    captioned = {record.file_path for record in records}
    there = {item.file_path for item in iterate_items(image_root)}
    missing = sorted(there - captioned)
    return Coverage(len(there), len(there & captioned), missing[:_LISTED], len(captioned - there))


def write_report(reports: Sequence[FileReport], out: Path) -> Path:
    """Write the page, and its numbers beside it as JSON; returns the file of the numbers.

    Args:
        reports: One a caption file; they become columns.
        out: The page, a `.html` file.

    Raises:
        ValueError: If `out` is not an `.html` file.
    """
    if out.suffix != '.html':
        raise ValueError(f'the report must be a .html file, got {out}.')
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, render_page(_TEMPLATE, reports=reports, regions=CAPTION_FILE_ORDER))
    numbers = out.with_suffix('.json')
    write_whole(numbers, json.dumps([report.as_dict() for report in reports], indent=2, ensure_ascii=False))
    return numbers


def _thumbnail(path: Path) -> str | None:
    try:
        image = load_view(path, None)
    except UnreadableImage:
        return None
    return picture_url(image, _THUMBNAIL)
