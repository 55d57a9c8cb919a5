"""What is answered about which images: kept on disk, so that memory does not grow with the number of images."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cmdg_plugin.captioning.image_state import STATE_KEYS
from cmdg_plugin.captioning.items import iterate_items
from cmdg_plugin.captioning.shards import Shard
from cmdg_plugin.datasets.caption_fields import CaptionRecord
from cmdg_plugin.regions import CAPTION_FILE_ORDER
from cmdg_plugin.saying import say

_BATCH = 1000
_REGION_COLUMNS = ', '.join(f'about_{region} TEXT' for region in CAPTION_FILE_ORDER)
_REGION_NAMES = ', '.join(f'about_{region}' for region in CAPTION_FILE_ORDER)
_NOT_KEPT = frozenset({'path', 'region', *STATE_KEYS})


@dataclass(frozen=True, slots=True)
class ItemState:
    """One image and its answers.

    Attributes:
        item: The image.
        answers: For each region in caption-file order, what a line of the journal says of the answer; None while it
            is missing.
    """

    item: CaptionRecord
    answers: tuple[dict[str, Any] | None, ...]


class WorkList(AbstractContextManager):
    """A table of images and their four answers, in a temporary file that ends with it.

    It holds no facts of its own: the journals do, and a new one is filled from them at every start. SQLite puts the
    file into the folder for temporary files (`SQLITE_TMPDIR`, `TMPDIR`, else the system's): about a kilobyte an image.
    """

    def __init__(self) -> None:
        # An empty name is SQLite's private temporary database: it leaves nothing behind, even after a kill.
        self._database = sqlite3.connect('', isolation_level=None)
        self._database.executescript(
            f"""
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            PRAGMA cache_size = -8192;
            CREATE TABLE items (
                number INTEGER PRIMARY KEY, file_path TEXT NOT NULL UNIQUE,
                identity INTEGER, camera INTEGER, split TEXT, {_REGION_COLUMNS}
            );
            BEGIN;
            """
        )

    def __exit__(self, *raised: Any) -> None:
        """Drop the table; say what to do where there was no room for it."""
        self.close()
        error = raised[1]
        if isinstance(error, sqlite3.OperationalError):
            raise OSError(
                f'the list of images could not be kept in a temporary file ({error}); set SQLITE_TMPDIR to a folder '
                'with 1 kB an image to spare.'
            ) from error

    def close(self) -> None:
        """Drop the table."""
        self._database.close()

    def add(self, items: Iterable[CaptionRecord]) -> int:
        """Add images; one that is named twice (as in files of several splits) is taken once.

        Numbers fit into SQLite's 64 bits and paths into UTF-8, as everything that reads records sees to.

        Returns:
            How many were named before.

        Raises:
            ValueError: If two records of one path name different identities or cameras.
        """
        known = 0
        insert = 'INSERT OR IGNORE INTO items (file_path, identity, camera, split) VALUES (?, ?, ?, ?)'
        for item in items:
            row = (item.file_path, item.identity, item.camera, item.split)
            if self._database.execute(insert, row).rowcount == 0:
                self._check_same(item)
                known += 1
        return known

    def _check_same(self, item: CaptionRecord) -> None:
        query = 'SELECT identity, camera FROM items WHERE file_path = ?'
        before = self._database.execute(query, (item.file_path,)).fetchone()
        if before != (item.identity, item.camera):
            raise ValueError(
                f'{item.file_path} is named twice, once as identity {before[0]}, camera {before[1]} and once as '
                f'identity {item.identity}, camera {item.camera}; correct the index.'
            )

    def set_answer(self, entry: Mapping[str, Any]) -> bool:
        """Note what became of a sentence, as a line of the journal says it; returns False for an image not listed."""
        answer = {key: value for key, value in entry.items() if key not in _NOT_KEPT}
        update = f'UPDATE items SET about_{entry["region"]} = ? WHERE file_path = ?'
        row = (json.dumps(answer, ensure_ascii=False), entry['path'])
        return self._database.execute(update, row).rowcount == 1

    def get_answer(self, file_path: str, region: str) -> dict[str, Any] | None:
        """What was noted of a sentence, or None."""
        row = self._database.execute(f'SELECT about_{region} FROM items WHERE file_path = ?', (file_path,)).fetchone()
        return None if row is None else _decode(row[0])

    def __len__(self) -> int:
        return self._count('1')

    def count_missing(self) -> int:
        """How many sentences have neither a caption nor a failure."""
        return sum(self._count(f'about_{region} IS NULL') for region in CAPTION_FILE_ORDER)

    def _count(self, condition: str) -> int:
        return int(self._database.execute(f'SELECT COUNT(*) FROM items WHERE {condition}').fetchone()[0])

    def missing(self) -> Iterator[tuple[CaptionRecord, str]]:
        """Go through the sentences without an answer, in the order the images came; answers may be set meanwhile."""
        nothing = ' OR '.join(f'about_{region} IS NULL' for region in CAPTION_FILE_ORDER)
        for state in self._pages(f'number > ? AND ({nothing}) ORDER BY number', 0, 'number'):
            for region, answer in zip(CAPTION_FILE_ORDER, state.answers, strict=True):
                if answer is None:
                    yield state.item, region

    def states(self) -> Iterator[ItemState]:
        """Go through all images by path."""
        return self._pages('file_path > ? ORDER BY file_path', '', 'file_path')

    def _pages(self, condition: str, first: int | str, key: str) -> Iterator[ItemState]:
        # Pages, as a query that is left open while rows change may see some of them twice.
        query = (
            f'SELECT {key}, file_path, identity, camera, split, {_REGION_NAMES} FROM items '
            f'WHERE {condition} LIMIT {_BATCH}'
        )
        while rows := self._database.execute(query, (first,)).fetchall():
            for row in rows:
                yield ItemState(CaptionRecord(row[1], None, *row[2:5]), tuple(_decode(answer) for answer in row[5:]))
            first = rows[-1][0]

    def first_missing(self, limit: int) -> list[str]:
        """The first few sentences without an answer, as `path (region)`."""
        return [f'{item.file_path} ({region})' for item, region in islice(self.missing(), limit)]


def _decode(answer: str | None) -> dict[str, Any] | None:
    return None if answer is None else json.loads(answer)


def list_images(worklist: WorkList, source: Path, shard: Shard | None) -> None:
    """Fill a list with the images of a folder or an index, or with one shard of them.

    Raises:
        FileNotFoundError: If there is no such folder or index.
        ValueError: If the index is wrong or there is no image.
    """
    items = iterate_items(source)
    known = worklist.add(items if shard is None else shard.select(items))
    if known:
        say(f'{known} records of {source} repeat an image; each image is taken once')
    if not len(worklist):
        part = f' in shard {shard.index}/{shard.count}' if shard else ''
        raise ValueError(f'no images to caption in {source}{part}.')
