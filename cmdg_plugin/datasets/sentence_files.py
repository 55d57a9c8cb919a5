"""Files that say in any number of sentences what each image shows: CUHK-PEDES, ICFG-PEDES, RSTPReid and their kind."""

from collections.abc import Mapping
from pathlib import Path

from cmdg_plugin.datasets.caption_fields import (
    IDENTITY_KEYS,
    ROLE_KEYS,
    SPLITS,
    CaptionRecord,
    FieldError,
    clean_path,
    clean_sentences,
    read_facts,
    show,
)
from cmdg_plugin.datasets.faulty_rows import read_all
from cmdg_plugin.datasets.json_stream import RepeatedKey, iterate_json_list
from cmdg_plugin.datasets.paused_collector import collector_paused
from cmdg_plugin.files.witness import note

_PATH_KEYS = ('file_path', 'img_path')
_TEST = 'test'


@collector_paused()
def load_sentences(path: str | Path) -> list[CaptionRecord]:
    """Read a file of images with sentences.

    It holds a list of records with `file_path` (CUHK-PEDES, ICFG-PEDES) or `img_path` (RSTPReid), `captions` (one
    sentence or more), `id` and `split` (`train`, `val` or `test`). Other keys, such as `processed_tokens`, are not
    read.

    Args:
        path: The JSON file.

    Returns:
        Its records in file order, each with an identity, a split (the file's `test` is `gallery`) and one sentence or
        more as `captions`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file or one of its records is not as described; names file, record number and key.
    """
    path = Path(path).expanduser()
    note(path)
    if not path.is_file():
        raise FileNotFoundError(f'no caption file at {path}; give the JSON file that lists images with sentences.')
    records = read_all(enumerate(iterate_json_list(path)), lambda entry: _read(path, *entry))
    if not records:
        raise ValueError(f'{path} lists no image.')
    return records


def _read(path: Path, number: int, record: object) -> CaptionRecord:
    where = f'{path}, record {number} (counted from 0)'
    if not isinstance(record, Mapping):
        raise ValueError(f'{where}: expected a record, got {show(record)}.')
    try:
        return _parse(record, where)
    except FieldError as error:
        raise ValueError(f'{where}, key {error.key!r}: {error}.') from error


def _parse(record: Mapping[str, object], where: str) -> CaptionRecord:
    if isinstance(record, RepeatedKey):
        raise FieldError(record.key, 'the record has this key twice; keep one of them')
    key = next((name for name in _PATH_KEYS if record.get(name) is not None), _PATH_KEYS[0])
    file_path = clean_path(record.get(key), key)
    role = _role(record)
    # Without the name: those of MSMT17 and Market-1501 have numbers of their own, which are not these.
    identity, _, _ = read_facts({name: record.get(name) for name in IDENTITY_KEYS}, '', prefixes=False)
    if identity is None:
        raise FieldError('id', f'nothing says who is in {file_path}; give the number of the identity')
    if identity < 0:
        raise FieldError('id', f'identities are numbered from 0 or 1, got {identity}')
    captions = record.get('captions')
    if not isinstance(captions, list) or not captions:
        raise FieldError('captions', f'expected a list of one sentence or more, got {show(captions)}')
    return CaptionRecord(file_path, clean_sentences(captions), identity, split=role, where=where)


def _role(record: Mapping[str, object]) -> str:
    key = next((name for name in ROLE_KEYS if record.get(name) is not None), ROLE_KEYS[0])
    value = record.get(key)
    role = value.strip().lower() if isinstance(value, str) else None
    if role == _TEST:
        return 'gallery'
    if role not in SPLITS:
        raise FieldError(key, f'expected train, val or {_TEST}, got {show(value)}')
    return role
