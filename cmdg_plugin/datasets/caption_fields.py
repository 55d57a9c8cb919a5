"""Identity, camera and split of one caption record, from its keys or, where a key is absent, from its file name.

The nine released caption files name these facts differently, and three of them only in the file name.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

SPLITS = ('train', 'val', 'query', 'gallery')
"""The roles that an image may have in a dataset."""

_ROLE_FOLDERS = {'bounding_box_train': 'train', 'bounding_box_test': 'gallery'} | {role: role for role in SPLITS}
_CUHK03_FOLDERS = ('images_labeled', 'images_detected')
_CUHK02_FOLDERS = ('cam1', 'cam2')
_MARKET_NAME = re.compile(r'(-?\d+)(?:_c(\d+)|(?=[_.-]))')
_CUHK03_NAME = re.compile(r'(\d)_\d+_(\d)_\d+\.')
_CUHK02_PAIR = re.compile(r'P(\d)')
_MSMT17_NAME = re.compile(r'\d{4}_\d{3}_(\d{2})_')
_DRIVE = re.compile(r'[A-Za-z]:')
_NUMBER_AT_END = re.compile(r'(?:.*_)?(-?\d+)')


class FieldError(ValueError):
    """A value that a caption record may not hold; the reader adds file and record number."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True)
class RecordFacts:
    """Who is in an image, which camera took it, and which role it has; None where the record does not say."""

    identity: int | None
    camera: int | None
    split: str | None


def read_facts(record: Mapping[str, object], file_path: str) -> RecordFacts:
    """Find identity, camera and split of one record in any released nesting or in our own.

    Keys win over names: identity from `identity` or `id`, camera from `camera`, `camid` or `cmid`, split from `split`
    or `role`. What no key holds comes from Market-1501-like, CUHK02, CUHK03 and MSMT17 file names. Market-1501-like
    means `ROLE/IDENTITY_cCAMERA...` or, without camera, `ROLE/IDENTITY_...`, where the role is a split or one of
    Market-1501's own folders. Numbers are not shifted: cameras count from where the dataset counts them; those of
    CUHK02 and CUHK03 are made of pair and view, from 0.

    Args:
        record: The record as decoded from JSON.
        file_path: Its path, relative to the dataset's root.

    Raises:
        FieldError: If a key holds something that cannot be an identity, a camera or a split.
    """
    key = 'role' if record.get('split') is None else 'split'
    split = record.get(key)
    if split is not None and split not in SPLITS:
        raise FieldError(key, f'expected one of {", ".join(SPLITS)}, got {split!r}')
    identity = _first_number(record, ('identity', 'id'))
    camera = _first_number(record, ('camera', 'camid', 'cmid'))
    if identity is not None and camera is not None and split is not None:
        return RecordFacts(identity, camera, str(split))
    named = _facts_of_name(file_path)
    return RecordFacts(
        identity=named.identity if identity is None else identity,
        camera=named.camera if camera is None else camera,
        split=named.split if split is None else str(split),
    )


def clean_path(value: object) -> str:
    """Turn a record's path into one relative to the dataset's root, without leading slash.

    Raises:
        FieldError: If it is no path or leaves the root.
    """
    if not isinstance(value, str) or not value.strip():
        raise FieldError('file_path', f'expected the path of an image, got {value!r}')
    path = posixpath.normpath(value.strip().replace('\\', '/').lstrip('/'))
    if path == '.':
        raise FieldError('file_path', f'expected the path of an image, got {value!r}')
    if path == '..' or path.startswith('../') or _DRIVE.match(path):
        raise FieldError('file_path', f'{value!r} leaves the root of the dataset; paths are relative to it')
    return path


def clean_captions(value: object) -> tuple[str, str, str, str]:
    """Check that a record holds four sentences: global, upper, middle, lower third.

    Raises:
        FieldError: If it does not.
    """
    wanted = 'expected four sentences (global, upper, middle, lower third)'
    if not isinstance(value, list | tuple):
        raise FieldError('captions', f'{wanted}, got {"nothing" if value is None else type(value).__name__}')
    if len(value) != 4:
        raise FieldError('captions', f'{wanted}, got {len(value)}')
    for position, caption in enumerate(value):
        if not isinstance(caption, str):
            raise FieldError('captions', f'{wanted}, but entry {position} is {caption!r}, not a string')
        if not caption.strip():
            raise FieldError('captions', f'{wanted}, but entry {position} is empty')
    return value[0], value[1], value[2], value[3]


def _first_number(record: Mapping[str, object], keys: tuple[str, ...]) -> int | None:
    for key in keys:
        value = record.get(key)
        if value is None:
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        # CUHK-SYSU writes numbers as text, CUHK02 puts a prefix and an underscore before them.
        match = _NUMBER_AT_END.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise FieldError(key, f'expected a whole number, got {value!r}')
        return int(match.group(1))
    return None


def _facts_of_name(file_path: str) -> RecordFacts:
    # By folder first, as 100,000 paths are not worth trying every pattern on.
    *above, name = file_path.split('/')[-3:]
    folder = above[-1] if above else ''
    if folder in _ROLE_FOLDERS and (match := _MARKET_NAME.match(name)):
        identity, camera = match.groups()
        return RecordFacts(int(identity), None if camera is None else int(camera), _ROLE_FOLDERS[folder])
    if folder in _CUHK03_FOLDERS and (match := _CUHK03_NAME.match(name)):
        return RecordFacts(None, 2 * int(match.group(1)) + int(match.group(2)) - 3, None)
    if folder in _CUHK02_FOLDERS and (match := _CUHK02_PAIR.fullmatch(above[0])):
        return RecordFacts(None, 2 * int(match.group(1)) + int(folder[-1]) - 3, None)
    if match := _MSMT17_NAME.match(name):
        return RecordFacts(None, int(match.group(1)), None)
    return RecordFacts(None, None, None)
