"""A dataset indexed from its caption file alone."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cmdg_plugin.datasets.caption_fields import CaptionRecord
from cmdg_plugin.datasets.captions import load_captions
from cmdg_plugin.datasets.index_files import make_relative
from cmdg_plugin.datasets.sources.benchmarks import BENCHMARKS
from cmdg_plugin.datasets.sources.index import SourceIndex
from cmdg_plugin.datasets.sources.record_indexing import check_missing_choice, index_images, keep_existing
from cmdg_plugin.files.witness import is_file
from cmdg_plugin.registry import SOURCES
from cmdg_plugin.saying import say

_MARKET_FOLDERS = ('bounding_box_train/', 'bounding_box_test/', 'query/')


@SOURCES.register_module()
class CaptionFileSource:
    """Images, identities, cameras, captions and splits as one caption file lists them.

    Identities of negative number are junk and left out. Number 0 of Market-1501 (recognized by its folders or by name)
    and of GRID is a distractor: in the gallery, nobody's match, never trained on.

    Args:
        name: Name of the dataset, as tables and metric keys show it.
        root: Folder that the file's paths are relative to.
        caption_file: The JSON file; see `load_captions`. A relative path that does not exist is tried below `root` too.
        distractors: Identities that only stand in the gallery; `None` decides by the dataset as above.
        shared_identities: Whether a number means the same identity in training and test images. It does not in the
            released files (MSMT17 counts from 0 twice).
        only: Folder below the root whose images count, as for CUHK03's labeled and detected ones; '' for every one.
        released: Position of the split that results are compared on: the last one, as in the release.
        on_missing_image: What to do with listed images that do not exist: `'error'`, or `'skip'` and log how many.

    Raises:
        ValueError: If `on_missing_image` is neither.
    """

    index_version = 1

    def __init__(
        self,
        name: str,
        root: str,
        caption_file: str,
        *,
        distractors: Iterable[int] | None = None,
        shared_identities: bool = False,
        only: str = '',
        released: int = -1,
        on_missing_image: str = 'error',
    ) -> None:
        check_missing_choice(name, on_missing_image)
        self.name = name
        self.root = Path(root).expanduser()
        self.caption_file = Path(caption_file).expanduser()
        self.distractors = None if distractors is None else frozenset(distractors)
        self.shared_identities = shared_identities
        self.only = f'{only.strip("/")}/' if only else ''
        self.released = released
        self.on_missing_image = on_missing_image

    def load(self) -> SourceIndex:
        """Index the caption file.

        Raises:
            FileNotFoundError: If the caption file, the root or an image is not there; shows the expected folders.
            ValueError: If a record does not say who is in its image.
        """
        captions = self._read_records()
        captions = keep_existing(self.name, self.root, captions, self.caption_file, self.on_missing_image)
        return index_images(
            self.name,
            self.root,
            captions,
            self.caption_file,
            distractors=self._distractors(captions),
            shared_identities=self.shared_identities,
            released=self.released,
        )

    def _read_records(self) -> list[CaptionRecord]:
        # Below the root too, which an absolute path does not go.
        places = (self.caption_file, self.root / self.caption_file)
        path = next((place for place in places if is_file(place)), self.caption_file)
        relative = make_relative(self.root)
        records = [
            record if (short := relative(record.file_path)) == record.file_path else replace(record, file_path=short)
            for record in load_captions(path)
        ]
        chosen = [record for record in records if record.file_path.startswith(self.only)]
        if not chosen:
            raise ValueError(
                f'{self.name}: {self.caption_file} lists no image below {self.only}; the first of its {len(records):,} '
                f'is {records[0].file_path}.'
            )
        if len(chosen) < len(records):
            say(
                f'{self.name}: {len(records) - len(chosen):,} of {len(records):,} records of {self.caption_file} are '
                f'not below {self.only}; left out'
            )
        return chosen

    def _distractors(self, captions: list[CaptionRecord]) -> frozenset[int]:
        if self.distractors is not None:
            return self.distractors
        market_like = captions[0].file_path.startswith(_MARKET_FOLDERS)
        known = BENCHMARKS.get(self.name.lower())
        return frozenset({0}) if market_like or (known is not None and 0 in known.distractors) else frozenset()
