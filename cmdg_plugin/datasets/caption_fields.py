"""Identity, camera and split of one caption record, from its keys or, where a key is absent, from its file name.

The nine released caption files name these facts differently, and three of them only in the file name.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from cmdg_plugin.datasets.json_stream import RepeatedKey

_T = TypeVar('_T')

SPLITS = ('train', 'val', 'query', 'gallery')
"""The roles that an image may have in a dataset."""

IDENTITY_KEYS = ('identity', 'id')
CAMERA_KEYS = ('camera', 'camid', 'cmid')
ROLE_KEYS = ('split', 'role')

_ROLE_FOLDERS = {'bounding_box_train': 'train', 'bounding_box_test': 'gallery'} | {role: role for role in SPLITS}
_CUHK03_FOLDERS = ('images_labeled', 'images_detected')
_CUHK02_FOLDERS = ('cam1', 'cam2')
_MARKET_NAME = re.compile(r'(-?\d+)(?:_c(?:am(?:era)?_?)?(\d+)|(?=[_.-]))', re.ASCII | re.IGNORECASE)
_CUHK03_NAME = re.compile(r'(\d)_\d+_(\d)_\d+\.', re.ASCII)
_CUHK02_PAIR = re.compile(r'P(\d)', re.ASCII)
_MSMT17_NAME = re.compile(r'\d{4}_\d{3}_(\d{2})_', re.ASCII)
_DRIVE = re.compile(r'[A-Za-z]:')
# Spreadsheets and pandas write 12 as 12.0.
_WHOLE_NUMBER = re.compile(r'(-?\d+)(?:\.0*)?', re.ASCII)
_NUMBER_AT_END = re.compile(r'.*_(-?\d+)', re.ASCII | re.DOTALL)
_SHOWN = 160
_LARGEST = 2**63 - 1
_DIGITS = 100
_EXACT_FLOAT = 2**53
_LONGEST_NAME = 255
_LONGEST_PATH = 4096


class FieldError(ValueError):
    """A value that a caption record may not hold; the reader adds file and record number."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


Facts = tuple[int | None, int | None, str | None]
"""Who is in an image, which camera took it, and which role it has; None where nothing says so."""


@dataclass(frozen=True, slots=True)
class CaptionRecord:
    """One image as a caption file, an index or a folder lists it; None where nothing is said.

    Attributes:
        file_path: Path below the dataset's root, with forward slashes and no leading one.
        captions: Four sentences: global, upper, middle, lower third (file order). `load_captions` gives no record
            without; those of `load_sentences` have any number.
        identity: Who is in the image, as the list numbers people.
        camera: Which camera took it, as the list numbers cameras.
        split: `train`, `val`, `query` or `gallery`.
        split_index: Position of the split in a file that holds several, from 0.
        where: File and row, as errors show them.
    """

    file_path: str
    captions: tuple[str, ...] | None = None
    identity: int | None = None
    camera: int | None = None
    split: str | None = None
    split_index: int | None = None
    where: str = field(default='', compare=False, repr=False)


def show(value: object) -> str:
    """Write a value that a file holds as an error shows it: on one line, and short."""
    if not isinstance(value, str | int | float | None):
        return f'a {type(value).__name__}'
    text = repr(value)
    return text if len(text) <= _SHOWN else f'{text[:_SHOWN]}... ({len(text):,} characters)'


def read_facts(record: Mapping[str, object], file_path: str, *, prefixes: bool = True) -> Facts:
    """Find identity, camera and split of one record in any released nesting or in our own.

    Keys win over names: identity from `identity` or `id`, camera from `camera`, `camid` or `cmid`, split from `split`
    or `role`. What no key holds comes from Market-1501-like, CUHK02, CUHK03 and MSMT17 file names. Market-1501-like
    means `ROLE/IDENTITY_cCAMERA...` (also `_C` and `_cam`) or, without camera, `ROLE/IDENTITY_...`, where the role is a
    split or one of Market-1501's own folders. Numbers are not shifted: cameras count from where the dataset counts
    them; those of CUHK02 and CUHK03 are made of pair and view, from 0.

    Args:
        record: The record as decoded from JSON.
        file_path: Its path, relative to the dataset's root.
        prefixes: Whether `cuhk02_P1_12` is person 12, as in released files. In own data, `shop1_12` and `shop2_12` may
            be two people.

    Raises:
        FieldError: If a key holds something that cannot be an identity, a camera or a split, stands there twice, or
            disagrees with another key.
    """
    if isinstance(record, RepeatedKey):
        raise FieldError(record.key, 'the record has this key twice; keep one of them')
    split = _first(record, ROLE_KEYS, _to_role)
    number = partial(_to_number, prefixes=prefixes)
    identity = _first(record, IDENTITY_KEYS, number)
    camera = _first(record, CAMERA_KEYS, number)
    if identity is not None and camera is not None and split is not None:
        return identity, camera, split
    named_identity, named_camera, named_split = _facts_of_name(file_path)
    if max(abs(named_identity or 0), named_camera or 0) > _LARGEST:
        raise FieldError('file_path', f'a number in the name {show(file_path)} does not fit into 64 bits')
    return (
        named_identity if identity is None else identity,
        named_camera if camera is None else camera,
        named_split if split is None else split,
    )


def clean_path(value: object, key: str = 'file_path') -> str:
    """Turn what a record holds at `key` into a path relative to the dataset's root, without leading slash.

    Raises:
        FieldError: If it is not a path, leaves the root, or no file can be called so.
    """
    if not isinstance(value, str) or not value.strip():
        raise FieldError(key, f'expected the path of an image, got {show(value)}')
    path = posixpath.normpath(value.strip().replace('\\', '/').lstrip('/'))
    if path == '.':
        raise FieldError(key, f'expected the path of an image, got {show(value)}')
    if path == '..' or path.startswith('../') or _DRIVE.match(path):
        raise FieldError(key, f'{show(value)} leaves the root of the dataset; paths are relative to it')
    if '\0' in path or not is_writable(path):
        raise FieldError(key, f'no file can be called {show(value)}: it holds a character that is not text')
    # A character takes four bytes at most.
    if 4 * len(path) > _LONGEST_NAME:
        longest = max(len(name.encode()) for name in path.split('/'))
        if longest > _LONGEST_NAME or len(path.encode()) > _LONGEST_PATH:
            raise FieldError(
                key,
                f'{show(value)} is longer than names ({_LONGEST_NAME} bytes) or paths ({_LONGEST_PATH:,}) may be',
            )
    return path


def clean_captions(value: object) -> tuple[str, ...]:
    """Check that a record holds four sentences: global, upper, middle, lower third.

    Raises:
        FieldError: If it does not.
    """
    wanted = 'expected four sentences (global, upper, middle, lower third)'
    if not isinstance(value, list | tuple):
        raise FieldError('captions', f'{wanted}, got {"nothing" if value is None else type(value).__name__}')
    if len(value) != 4:
        raise FieldError('captions', f'{wanted}, got {len(value)}')
    return clean_sentences(value)


def clean_sentences(values: Iterable[object]) -> tuple[str, ...]:
    """Check that a record's captions are sentences, however many.

    Raises:
        FieldError: If one is not.
    """
    sentences = []
    for place, sentence in enumerate(values):
        if not isinstance(sentence, str):
            raise FieldError('captions', f'entry {place} is {show(sentence)}, not a sentence')
        if not sentence.strip():
            raise FieldError('captions', f'entry {place} is empty')
        if not is_writable(sentence):
            raise FieldError('captions', f'entry {place} holds half a character (a lone surrogate): {show(sentence)}')
        sentences.append(sentence)
    return tuple(sentences)


def is_writable(value: str) -> bool:
    """Whether files can hold a text: it has no lone surrogates."""
    try:
        value.isascii() or value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first(record: Mapping[str, object], keys: tuple[str, ...], read: Callable[[str, object], _T]) -> _T | None:
    """Read the one of several keys that is there; where there are two, they must agree."""
    found: _T | None = None
    first = ''
    for key in keys:
        value = record.get(key)
        if value is None:
            continue
        number = read(key, value)
        if first and number != found:
            raise FieldError(key, f'says {show(value)}, but {first!r} says {show(record[first])}; keep one of them')
        found, first = number, key
    return found


def _to_role(key: str, value: object) -> str:
    role = value.strip().lower() if isinstance(value, str) else value
    if role not in SPLITS:
        raise FieldError(key, f'expected one of {", ".join(SPLITS)}, got {show(value)}')
    return str(role)


def _to_number(key: str, value: object, prefixes: bool) -> int:
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_FLOAT:
        number = int(value)
    elif isinstance(value, str):
        # CUHK-SYSU writes numbers as text, CUHK02 puts a prefix and an underscore before them.
        text = value.strip()
        match = _WHOLE_NUMBER.fullmatch(text) or (_NUMBER_AT_END.fullmatch(text) if prefixes else None)
        if match is not None:
            # Python refuses to convert thousands of digits.
            number = int(match.group(1)) if len(text) < _DIGITS else _LARGEST + 1
    if number is None:
        advice = '; people are numbers here, so give each name a number of its own' if key in IDENTITY_KEYS else ''
        raise FieldError(key, f'expected a whole number, got {show(value)}{advice}')
    if abs(number) > _LARGEST:
        raise FieldError(key, f'{show(value)} does not fit into 64 bits; number from 0 or 1')
    return number


def _facts_of_name(file_path: str) -> Facts:
    # By folder first, as 100,000 paths are not worth trying every pattern on.
    *above, name = file_path.split('/')[-3:]
    folder = above[-1] if above else ''
    if folder in _ROLE_FOLDERS and (match := _MARKET_NAME.match(name)):
        identity, camera = match.groups()
        return int(identity), None if camera is None else int(camera), _ROLE_FOLDERS[folder]
    if folder in _CUHK03_FOLDERS and (match := _CUHK03_NAME.match(name)):
        return None, 2 * int(match.group(1)) + int(match.group(2)) - 3, None
    if folder in _CUHK02_FOLDERS and (match := _CUHK02_PAIR.fullmatch(above[0])):
        return None, 2 * int(match.group(1)) + int(folder[-1]) - 3, None
    if match := _MSMT17_NAME.match(name):
        return None, int(match.group(1)), None
    return None, None, None
