"""A gallery's folder and its `gallery.json`: which model encoded it, where entries are stored, when nobody matches."""

import json
import math
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from cmdg_plugin.datasets.caption_fields import show
from cmdg_plugin.files.locking import hold
from cmdg_plugin.files.writing import write_whole

NAME = 'gallery.json'
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """What a gallery says of itself.

    Attributes:
        engine: Where entries are stored.
        version: Number of the current set of vectors; a new model makes a new one.
        model: Checkpoint of the model.
        hash: Hash of the model (`GalleryModel.hash`).
        dimension: Length W + D of its retrieval features.
        shared: D.
        options: Settings of the engine.
        thresholds: By kind of query, `image` and `text`, what `calibrate` learned.
    """

    engine: str
    version: int
    model: str
    hash: str
    dimension: int
    shared: int
    options: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write it whole."""
        write_whole(folder / NAME, json.dumps({'format': FORMAT, **asdict(self)}, indent=2) + '\n')


def is_gallery(folder: str | os.PathLike[str]) -> bool:
    """Whether there is a gallery in a folder."""
    return (Path(os.path.expanduser(folder)) / NAME).is_file()


def read_manifest(folder: Path) -> Manifest:
    """Read what a gallery says of itself.

    Raises:
        FileNotFoundError: If there is no gallery in the folder.
        ValueError: If it is damaged, or of a newer version.
    """
    path = folder / NAME
    if not path.is_file():
        what = 'it holds no gallery.json' if folder.is_dir() else 'there is no such folder'
        raise FileNotFoundError(f'{folder} is not a gallery: {what}. `add` with --model CHECKPOINT makes one.')
    try:
        content = json.loads(path.read_bytes())
        number = content.pop('format')
        if number < FORMAT:
            raise ValueError(f'there was no format {number}')
        if number == FORMAT:
            manifest = Manifest(**content)
            _check(manifest)
            return manifest
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f'{path} is damaged, or is not that of a gallery ({error}).') from error
    raise ValueError(
        f'The gallery {folder} has format {number}, written by a newer cmdg_plugin; this one reads up to {FORMAT}. '
        'Update cmdg_plugin.'
    )


def manifest_state(folder: Path) -> tuple[int, int, int] | None:
    """What tells whether another process has written the manifest anew; None where there is none."""
    try:
        status = (folder / NAME).stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def check_empty(folder: Path) -> None:
    """Refuse a folder that holds something, but for what an interrupted `Gallery.create` left.

    Raises:
        FileExistsError: If it does, or is a file.
    """
    if (folder / NAME).exists():
        raise FileExistsError(f'There is a gallery in {folder} already: open it, or give another folder.')
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f'{folder} is a file; a gallery is a folder.')
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name != '.lock' and not path.name.startswith(('entries-1.', 'columns-1.', f'{NAME}.')):
            raise FileExistsError(f'{folder} is not empty (it holds {path.name}): give a new folder for the gallery.')


def changing(folder: Path) -> AbstractContextManager[None]:
    """Context in which no other process changes a gallery.

    Raises:
        InUse: If another process is changing it.
        PermissionError: If the folder may only be read.
    """
    if not os.access(folder, os.W_OK):
        raise PermissionError(f'The gallery {folder} can be searched, but not changed: its folder may only be read.')
    message = f'Another process is changing the gallery {folder}; wait for it, then run the same command again.'
    return hold(folder / '.lock', message)


def _check(manifest: Manifest) -> None:
    """Refuse what was not written by this program."""
    for name, kind in get_type_hints(Manifest).items():
        value = getattr(manifest, name)
        if not isinstance(value, get_origin(kind) or kind):
            raise TypeError(f'{name} is {show(value)}')
    if not 0 < manifest.shared < manifest.dimension:
        raise TypeError('its settings are not those of a gallery')
    for threshold in manifest.thresholds.values():
        # Also what is not a number, NaN.
        if not all(-math.inf < threshold[name] < math.inf for name in ('match', 'unsure', 'entries')):
            raise TypeError('its thresholds are not numbers')
