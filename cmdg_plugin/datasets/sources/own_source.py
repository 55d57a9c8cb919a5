"""Your own images: a folder whose names tell who is where, or one index file."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cmdg_plugin.datasets.caption_fields import (
    CAMERA_KEYS,
    IDENTITY_KEYS,
    ROLE_KEYS,
    CaptionRecord,
    FieldError,
    clean_captions,
    show,
)
from cmdg_plugin.datasets.faulty_rows import read_all
from cmdg_plugin.datasets.index_files import PATH_KEYS, IndexRow, default_image_root, iterate_rows, make_relative
from cmdg_plugin.datasets.sources.caption_join import join_captions
from cmdg_plugin.datasets.sources.index import SourceIndex
from cmdg_plugin.datasets.sources.name_doubts import find_doubts
from cmdg_plugin.datasets.sources.record_indexing import check_missing_choice, index_images, keep_existing
from cmdg_plugin.regions import CAPTION_FILE_ORDER
from cmdg_plugin.registry import SOURCES
from cmdg_plugin.saying import say, warn

_SHOWN = 8
_FOLDER_RULE = """\
{root}/
├── train/    0012_c3_anything.jpg  (person 12, camera 3; where cameras are unknown: 0012_anything.jpg)
├── query/    0040_c1_anything.jpg  (to be evaluated on)
└── gallery/  0040_c2_anything.jpg"""


@SOURCES.register_module()
class OwnSource:
    """Your own images: a folder whose names tell who is where, or one index file (CSV, JSON, JSON Lines).

    In a folder, an image is `ROLE/IDENTITY_cCAMERA_ANYTHING.jpg`, or `ROLE/IDENTITY_ANYTHING.jpg` where cameras are
    unknown; the role is `train`, `val`, `query` or `gallery` (Market-1501's own folders count as well).

    An index has the keys or columns `path` (or `file_path`), `identity` and, if known, `camera`, `role` (or `split`)
    and captions: a list `captions` in JSON, columns `global`, `upper`, `middle`, `lower` in CSV. What it does not say
    is read from names as above. A file that `tools/generate_captions.py` wrote is such an index.

    Identities of negative number are junk and left out.

    Args:
        name: Name of the dataset, as tables and metric keys show it.
        path: The folder or the index file.
        root: Folder that the index's paths are relative to; by default the one it lies in.
        caption_file: Caption JSON with captions of the images that `path` gives none for, joined by path.
        distractors: Identities that only stand in the gallery and are never trained on.
        on_missing_image: What to do with listed images that do not exist: `'error'`, or `'skip'` and log how many.

    Raises:
        ValueError: If `on_missing_image` is neither.
    """

    index_version = 1

    def __init__(
        self,
        name: str,
        path: str,
        root: str | None = None,
        caption_file: str | None = None,
        *,
        distractors: Iterable[int] = (),
        on_missing_image: str = 'error',
    ) -> None:
        check_missing_choice(name, on_missing_image)
        self.name = name
        self.path = Path(path).expanduser()
        self.root = default_image_root(self.path) if root is None else Path(root).expanduser()
        self.caption_file = caption_file
        self.distractors = frozenset(distractors)
        self.on_missing_image = on_missing_image

    def check(self) -> None:
        """Look whether there is anything.

        Raises:
            FileNotFoundError: If not; shows what is expected.
        """
        if not self.path.exists():
            raise FileNotFoundError(
                f'{self.name}: nothing at {self.path}. Give an index (.csv, .json, .jsonl) or a folder:\n'
                f'{_FOLDER_RULE.format(root=self.path)}'
            )

    def load(self) -> SourceIndex:
        """List the images.

        Raises:
            FileNotFoundError: If the folder, the index or an image is not there.
            ValueError: If a row is not as described; names file, row and column.
        """
        images = self._read_images()
        _check_all_or_none(images, 'camera', 'the same-camera rule needs every camera, or works without any')
        _check_all_or_none(images, 'split', 'where it is absent altogether, every image is trained on', 'role')
        images = keep_existing(self.name, self.root, images, self.path, self.on_missing_image)
        return index_images(
            self.name, self.root, images, self.path, distractors=self.distractors, shared_identities=True
        )

    def _read_images(self) -> list[CaptionRecord]:
        self.check()
        rows = list(iterate_rows(self.path))
        if not rows:
            tree = f' Expected:\n{_FOLDER_RULE.format(root=self.path)}' if self.path.is_dir() else ''
            raise ValueError(f'{self.name}: no images in {self.path}.{tree}')
        relative = make_relative(self.root)
        listed = read_all(
            rows, lambda row: self._read_image(row, relative), lambda image: os.path.join(self.root, image.file_path)
        )
        images = self._add_captions(listed, relative)
        self._say_what_names_said(rows, images)
        self._say_what_is_ignored(rows)
        # A file system lists a folder in no particular order.
        return sorted(images, key=lambda image: image.file_path) if self.path.is_dir() else images

    def _add_captions(self, images: list[CaptionRecord], relative: Callable[[str], str]) -> list[CaptionRecord]:
        """Give the images that have none those of the caption file."""
        if self.caption_file is None:
            return images
        paths = {image.file_path for image in images}
        written = join_captions(self.caption_file, relative, paths)
        if written.keys().isdisjoint(paths):
            raise ValueError(
                f'{self.name}: {self.caption_file} has captions of other images, the first is {next(iter(written))}, '
                f'that of {self.path} is {images[0].file_path}; paths must be relative to {self.root}.'
            )
        completed, others = [], []
        for image in images:
            found = written.get(image.file_path, image).captions
            if image.captions is None:
                image = replace(image, captions=found)
            elif image.captions != found:
                others.append(image.file_path)
            completed.append(image)
        if others:
            warn(
                f'{self.name}: {len(others):,} images, such as {others[0]}, have other captions in {self.caption_file} '
                f'than in {self.path}, whose captions are used'
            )
        return completed

    def _say_what_names_said(self, rows: Sequence[IndexRow], images: Sequence[CaptionRecord]) -> None:
        """Warn of names that identities were read from and that may mean something else."""
        paths = [
            image.file_path
            for row, image in zip(rows, images, strict=True)
            if all(row.record.get(key) is None for key in IDENTITY_KEYS)
        ]
        for doubt in find_doubts(paths):
            warn(f'{self.name}: {doubt}')

    def _say_what_is_ignored(self, rows: Sequence[IndexRow]) -> None:
        captions = CAPTION_FILE_ORDER if rows[0].field == 'column' else ('captions',)
        known = {*PATH_KEYS, *IDENTITY_KEYS, *CAMERA_KEYS, *ROLE_KEYS, *captions}
        others = dict.fromkeys(key for row in rows for key in row.record if key not in known)
        if others:
            names = ', '.join(show(key) if key else "'' (without a name)" for key in list(others)[:_SHOWN])
            say(f'{self.path}: nothing is read from the {rows[0].field}s {names}')

    def _read_image(self, row: IndexRow, relative: Callable[[str], str]) -> CaptionRecord:
        if row.split_index is not None:
            raise ValueError(f'{row.where}: a file of several splits is read with CaptionFileSource, not as own data.')
        # shop1_12 is person 12 in released caption files only: own data may also have a shop2_12.
        file_path, facts = row.read(prefixes=False)
        identity, camera, _ = facts
        if identity is None:
            raise self._nameless(row, file_path)
        if camera is not None and camera < 0:
            key = next(key for key in CAMERA_KEYS if row.record.get(key) is not None)
            raise row.fault(key, f'cameras are numbered from 0 or 1, got {camera}; leave out what is unknown')
        file_path = self._below_root(row, file_path, relative(file_path))
        return CaptionRecord(file_path, _captions_of(row), *facts, where=row.where)

    def _below_root(self, row: IndexRow, file_path: str, relative: str) -> str:
        """Shorten an absolute path; a relative one may have a slash in front, as in released caption files."""
        key = next((key for key in PATH_KEYS if str(row.record.get(key)).lstrip().startswith('/')), None)
        if (
            key is not None
            and relative == file_path
            and self.root.is_dir()
            and not (self.root / file_path.split('/')[0]).exists()
        ):
            raise row.fault(
                key,
                f'/{file_path} is an absolute path that does not lie below the root {self.root}; set `root`, or give '
                'paths that are relative to it',
            )
        return relative

    def _nameless(self, row: IndexRow, file_path: str) -> ValueError:
        if not self.path.is_dir():
            return row.fault('identity', f'nothing says who is in {file_path}; give the number of the identity')
        return ValueError(
            f'{row.where}: the name does not say who is in the image. Expected:\n{_FOLDER_RULE.format(root=self.path)}'
        )


def _captions_of(row: IndexRow) -> tuple[str, ...] | None:
    value: Any = row.record.get('captions')
    if row.field == 'column':
        given = [region for region in CAPTION_FILE_ORDER if region in row.record]
        if given and len(given) < len(CAPTION_FILE_ORDER):
            lacking = next(region for region in CAPTION_FILE_ORDER if region not in given)
            raise row.fault(lacking, f'empty, though {given[0]!r} is given; give all four sentences or none')
        value = [row.record[region] for region in given] or None
    if value is None:
        return None
    try:
        return clean_captions(value)
    except FieldError as error:
        raise row.fault(error.key, str(error)) from error


def _check_all_or_none(images: Sequence[CaptionRecord], field: str, why: str, label: str | None = None) -> None:
    bare = [image for image in images if getattr(image, field) is None]
    if 0 < len(bare) < len(images):
        raise ValueError(
            f'{bare[0].where}: no {label or field}, though {len(images) - len(bare):,} of {len(images):,} images have '
            f'one; give it for all or for none ({why}).'
        )
