"""The index of a training set in a file, taken as long as nothing that it was made of has changed."""

import hashlib
import json
import os
import platform
import stat
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cmdg_plugin import __version__
from cmdg_plugin.datasets.packed_rows import check_rows
from cmdg_plugin.files.locking import InUse, hold
from cmdg_plugin.files.witness import Witness, collecting, find_change
from cmdg_plugin.files.writing import open_whole_bytes, remove_unfinished
from cmdg_plugin.registry import SOURCES
from cmdg_plugin.saying import Line, keep_lines, say, say_again, warn

_MAGIC = b'CMDG index '
_VERSION = b'1\n'
# After the header, one array after the other.
_ARRAYS = {'identities': np.int64, 'cameras': np.int64, 'domains': np.int64, 'ends': np.int64, 'rows': np.uint8}
# What a file raises whose checksum is right, but whose content is not what `_pack` writes.
_FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, eq=False)
class KeptIndex:
    """What indexing gives.

    Attributes:
        arrays: `identities`, `cameras` and `domains` of the images, (N,); `rows`, the bytes of all rows one after
            another; `ends`, where each ends, (N,).
        facts: `source_numbers` and `metainfo` of the dataset, as JSON can hold them.
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


class IndexCache:
    """The file.

    It is taken only if it was made by the same code with the same settings, and everything that was read, listed or
    looked for then is as it was (`files/witness.py`). Otherwise the log says what differs, the sources are indexed anew
    and the file is replaced. It holds numbers and text alone: nothing in it runs.

    Args:
        file: Where it is, or will be.
        settings: Settings of the dataset that decide about the index; configs of sources among them.

    Raises:
        ValueError: If the file is something else.
    """

    def __init__(self, file: str, settings: Mapping[str, Any]) -> None:
        self.file = Path(file).expanduser()
        self._settings: dict[str, Any] | None = None
        self._why_not = ''
        self._witness = Witness()
        self._said: list[Line] = []
        try:
            self._check_ours()
            self._settings = json.loads(json.dumps({**_surroundings(), **_describe(settings)}))
        except (OSError, TypeError) as error:
            self._why_not = str(error)

    def take(self) -> KeptIndex | None:
        """Return the index, and say again what was said when it was made; None if it must be made anew."""
        if self._settings is None or not os.path.exists(self.file):
            return None
        try:
            header, index = _unpack(self.file.read_bytes())
            if why := self._find_difference(header):
                say(f'The index cache {self.file} is out of date ({why}): indexing anew.')
                return None
            _check(index)
            said = [(str(line), int(level)) for line, level in header['said']]
        except OSError as error:
            warn(f'The index cache {self.file} cannot be read ({error}): indexing anew.')
            return None
        except _FAULTS:
            say(f'The index cache {self.file} is damaged, or of another version of the plugin: indexing anew.')
            return None
        say_again(said)
        count = len(index.arrays['ends'])
        say(f'Index of {count:,} images taken from {self.file}: nothing it was made of has changed.')
        return index

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Watch what the sources read and say, for `keep`."""
        with collecting() as self._witness, keep_lines() as self._said:
            yield

    def keep(self, index: KeptIndex) -> None:
        """Write what was made under `watch`, unless a change of what it was made of might go unnoticed."""
        if why := self._doubt():
            say(f'The index is not kept in {self.file}: {why}.')
            return
        header = {
            'settings': self._settings,
            'witness': self._witness.record(),
            'said': self._said,
            'facts': index.facts,
        }
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with hold(f'{self.file}.lock', f'Another process writes {self.file}.'):
                self._check_ours()
                remove_unfinished(self.file)
                with open_whole_bytes(self.file) as stream:
                    stream.writelines(_pack(header, index.arrays))
        except InUse:
            return
        except (OSError, NotImplementedError) as error:
            warn(
                f'The index cannot be kept in {self.file} ({error}), so that the next start takes as long. Name a file '
                'on a disk with room, in a folder that you may write to, or set index_cache=None.'
            )
            return
        say(f'Index kept in {self.file}: the next start takes it if nothing that it was made of has changed.')

    def _doubt(self) -> str:
        if self._why_not or self._witness.strangers:
            return self._why_not or f'nobody knows which files {self._witness.strangers[0]} reads'
        why = self._witness.doubt()
        own = os.path.realpath(self.file.parent)
        if own in map(os.path.realpath, self._witness.folders()):
            return f'the images are looked for in {own}, which it would change; name a file elsewhere'
        return f'{why}; the next start keeps it' if why else ''

    def _check_ours(self) -> None:
        """Refuse a file that begins otherwise than ours do; raises an OSError where that cannot be seen."""
        if not os.path.lexists(self.file):
            return
        start = b''
        # Neither a folder nor a pipe, which would never begin.
        if stat.S_ISREG(os.stat(self.file).st_mode):
            with self.file.open('rb') as stream:
                start = stream.read(len(_MAGIC))
        if start != _MAGIC:
            raise ValueError(f'{self.file} is not an index cache, and is left alone: name another file.')

    def _find_difference(self, header: Mapping[str, Any]) -> str:
        for name, value in (self._settings or {}).items():
            if header['settings'].get(name) != value:
                return f'other {name}'
        return find_change(header['witness'])


def _pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> list[bytes]:
    """Write a file: what it is, a checksum of all that follows, the header in a line of JSON, the arrays."""
    lengths = [len(arrays[name]) for name in _ARRAYS]
    line = json.dumps({**header, 'lengths': lengths}).encode('ascii') + b'\n'
    content = b''.join([line, *(arrays[name].astype(kind, copy=False).tobytes() for name, kind in _ARRAYS.items())])
    return [_MAGIC + _VERSION, b'%08x\n' % zlib.crc32(content), content]


def _unpack(content: bytes) -> tuple[dict[str, Any], KeptIndex]:
    """Read a file; raises one of `_FAULTS` if it is of another version, or not as it was written."""
    begin = len(_MAGIC + _VERSION) + 9
    if content[:begin] != _MAGIC + _VERSION + b'%08x\n' % zlib.crc32(memoryview(content)[begin:]):
        raise ValueError('of another version, or not as it was written')
    end = content.index(b'\n', begin) + 1
    header = json.loads(content[begin:end])
    arrays = {}
    for (name, kind), length in zip(_ARRAYS.items(), header['lengths'], strict=True):
        arrays[name] = np.frombuffer(content, kind, length, end)
        end += arrays[name].nbytes
    if end != len(content):
        raise ValueError('there is more than was written')
    # The rows stay where they are; the others are small, and may be written to, as ever.
    arrays = {name: array if name == 'rows' else array.copy() for name, array in arrays.items()}
    return header, KeptIndex(arrays, header['facts'])


def _check(index: KeptIndex) -> None:
    """Refuse what no indexing gives, and what a training would stumble over long after; raises one of `_FAULTS`."""
    numbers = [index.arrays[name] for name in ('identities', 'cameras', 'domains')]
    count = len(index.arrays['ends'])
    check_rows(index.arrays['rows'], index.arrays['ends'], np.stack([*numbers, np.arange(count)], axis=1))
    for kinds in map(np.unique, numbers):
        # A model has weights for as many as the largest number says.
        if kinds[0] != 0 or kinds[-1] != len(kinds) - 1:
            raise ValueError('numbers are left out')
    pairs, meta = index.facts['source_numbers'], index.facts['metainfo']
    names = [*meta['fingerprints']]
    if len(pairs) != count or any(len(pair) != 2 for pair in pairs) or meta['num_images'] != count:
        raise ValueError('facts are of other images')
    if names != meta['sources']:
        raise ValueError('fingerprints are of other sources')
    if len(names) != numbers[-1].max() + 1:
        raise ValueError('domains are of other sources')


def _surroundings() -> dict[str, Any]:
    """What decides beside the settings: code, and what relative paths are relative to."""
    return {
        'version of the plugin': [__version__, _digest_code()],
        'version of Python': platform.python_version(),  # its readers of CSV and JSON have changed before
        'version of numpy': np.__version__,  # some draws follow it
        'current folder': [os.getcwd(), os.path.expanduser('~'), sys.getfilesystemencoding()],
    }


@cache
def _digest_code() -> str:
    """Digest of all code that indexing may run, so that nobody has to remember to count a version up."""
    return hashlib.sha256(b''.join(path.read_bytes() for path in _code_files())).hexdigest()


def _code_files() -> list[Path]:
    package = Path(__file__).parents[1]
    folders = [package / name for name in ('datasets', 'files', 'islands')]
    return sorted([*package.glob('*.py'), *(path for folder in folders for path in folder.rglob('*.py'))])


def _describe(value: Any) -> Any:
    """Write settings as JSON can hold them.

    Raises:
        TypeError: If one is an object that cannot be written so.
    """
    if isinstance(value, Mapping):
        return {
            str(key): _describe(SOURCES.get(item) or item if key == 'type' and isinstance(item, str) else item)
            for key, item in value.items()
        }
    if isinstance(value, type):
        return [f'{value.__module__}.{value.__qualname__}', vars(value).get('index_version')]
    if isinstance(value, Set):
        return sorted(map(_describe, value), key=repr)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_describe(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f'{type(value).__name__} is an object: only sources given by their configs are known well enough')
