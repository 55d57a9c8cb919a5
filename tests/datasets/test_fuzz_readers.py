"""Whatever a list of images holds, readers take it or refuse it in our words: a raw error is a fault.

    CMDG_FUZZ_EXAMPLES=20000 python -m pytest -n 0 tests/datasets/test_fuzz_readers.py -k long

is the long one: so many inputs for each reader, other ones each time.
"""

import contextlib
import itertools
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.logging import MMLogger

from cmdg_plugin.apis import list_images
from cmdg_plugin.captioning import iterate_items
from cmdg_plugin.datasets import load_captions
from cmdg_plugin.datasets.faulty_rows import FaultyRows
from cmdg_plugin.datasets.source_building import load_sources
from cmdg_plugin.datasets.sources import CaptionFileSource, OwnSource
from cmdg_plugin.datasets.sources.image_files import MissingImages

pytestmark = pytest.mark.filterwarnings('ignore:Generating overly large repr')

LONG = int(os.environ.get('CMDG_FUZZ_EXAMPLES', '0'))
IMAGES = ('train/0001_c1_a.jpg', 'train/0001_c2_b.jpg', 'query/0002_c1.png', 'gallery/0002_c2.png', 'a.jpg')
SUFFIXES = ('.csv', '.json', '.jsonl')

# What no JSON writer knows, and what would make Hypothesis slow, stands for itself only in the text.
LARGE = {
    'HUGE': '9' * 5000,
    'DEEP': '[' * 5000 + ']' * 5000,
    'CELL': 'y' * 140_000,
    'NAME': 'x' * 300,
    'PATH': 'a/' * 3000,
}
# Beside what is right, what has come through before.
ODD_TEXT = st.sampled_from(
    [
        *LARGE,
        *('', ' ', 'a\0.jpg', '\ud800', '\udc80.jpg', '../a.jpg', '/', '//a', 'C:\\a', '/etc/passwd', 'ü' * 200),
        *('"', '"a', 'a"b', 'a,b', 'a;b', '\r', '\n', '\x0b', '\u2028', '\ufeff', 'Train', 'test'),
        *('anna', '12.0', '1e5', '\u0663', '-', '.', 'shop_12', '9' * 30, 'NaN'),
    ]
)
PATHS = st.one_of(st.sampled_from(IMAGES), st.sampled_from(IMAGES), ODD_TEXT, st.text(max_size=20))
NUMBERS = st.one_of(st.integers(-2, 3), st.sampled_from([2**63 - 1, 2**63, -(2**63), 10**30]))
SCALARS = st.one_of(st.none(), st.booleans(), st.floats(), NUMBERS, ODD_TEXT, st.text(max_size=8))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
)
CAPTIONS = st.one_of(st.just(['a', 'b', 'c', 'd']), st.lists(ODD_TEXT, min_size=3, max_size=5), VALUES)
ROLES = st.one_of(st.sampled_from(['train', 'val', 'query', 'gallery', 'Query ']), VALUES)
PEOPLE = st.one_of(NUMBERS, SCALARS)
FIELDS = {'path': PATHS, 'file_path': PATHS, 'identity': PEOPLE, 'id': PEOPLE, 'camera': PEOPLE, 'cmid': NUMBERS}
FIELDS |= {'role': ROLES, 'split': ROLES, 'captions': CAPTIONS, 'global': SCALARS, 'note': VALUES}
ANY_RECORD = st.fixed_dictionaries({}, optional=FIELDS)
SOUND_RECORD = st.fixed_dictionaries(
    {'file_path': st.sampled_from(IMAGES), 'identity': st.integers(1, 2), 'captions': st.just(['a', 'b', 'c', 'd'])},
    optional={'camera': st.integers(1, 2), 'split': st.sampled_from(['train', 'query', 'gallery'])},
)
RECORDS = st.one_of(SOUND_RECORD, st.builds(lambda a, b: a | b, SOUND_RECORD, ANY_RECORD), ANY_RECORD, VALUES)
LISTS = st.one_of(st.lists(SOUND_RECORD, max_size=5), st.lists(RECORDS, max_size=5))
SPLITS = st.fixed_dictionaries({'train': LISTS, 'query': LISTS, 'gallery': LISTS}, optional={'val': LISTS, 'x': VALUES})
NESTINGS = st.one_of(
    LISTS,
    st.lists(SPLITS, max_size=3),
    st.lists(st.one_of(SPLITS, RECORDS), max_size=3),
    LISTS.map(lambda x: x),
    VALUES,
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.sampled_from(['cut', 'drop', 'put', 'twice']), st.binary(max_size=3)))


def enlarge(text: str) -> str:
    for word, large in LARGE.items():
        text = text.replace(word, large)
    return text


def encode(value: object, renamed: tuple[str, str] = ('', '')) -> str:
    """Write JSON; renaming a key makes one that stands twice."""
    text = json.dumps(value)
    for word in ('HUGE', 'DEEP'):
        text = text.replace(f'"{word}"', word)
    return enlarge(text.replace(f'"{renamed[0]}":', f'"{renamed[1]}":') if renamed[0] else text)


def edit(content: bytes, edits: list) -> bytes:
    for place, kind, put in edits:
        at = int(place * len(content))
        content = {
            'cut': content[:at],
            'drop': content[:at] + content[at + 1 :],
            'put': content[:at] + put + content[at:],
            'twice': content[:at] + content[at // 2 :],
        }[kind]
    return content


@st.composite
def csv_files(draw: st.DrawFn) -> bytes:
    delimiter = draw(st.sampled_from(',,,;\t|'))
    columns = draw(
        st.lists(st.sampled_from(['Path', ' identity', 'camera', 'role', 'global', 'id', 'x', '']), max_size=6)
    )
    columns = draw(st.one_of(st.just(['path', 'identity', 'camera', 'role']), st.just(['path', *columns])))
    lines = [delimiter.join(columns)]
    odd = {'path': PATHS, 'identity': PEOPLE, 'camera': PEOPLE, 'role': ROLES}
    sound = {'path': st.sampled_from(IMAGES), 'identity': st.integers(1, 2), 'camera': st.integers(1, 2)}
    sound |= {'role': st.sampled_from(['train', 'Query', 'gallery'])}
    for _ in range(draw(st.integers(0, 5))):
        cells = draw(st.sampled_from([odd, sound, sound]))
        row = [str(draw(cells.get(column.strip().lower(), SCALARS))) for column in columns]
        lines.append(delimiter.join(f'"{cell}"' if draw(st.booleans()) else cell for cell in row))
    return enlarge(draw(st.sampled_from(['\n', '\r\n'])).join(lines)).encode(errors='surrogatepass')


@st.composite
def json_files(draw: st.DrawFn, nestings: Any = NESTINGS, lines: bool = False) -> bytes:
    value = draw(nestings)
    renamed = draw(st.sampled_from([('', ''), ('', ''), ('id', 'identity'), ('path', 'file_path'), ('x', 'train')]))
    if lines and isinstance(value, list):
        return '\n'.join(encode(record, renamed) for record in value).encode()
    return encode(value, renamed).encode()


def edited(files: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.one_of(files, st.builds(edit, files, EDITS), st.binary(max_size=60))


CONTENTS = {'.csv': edited(csv_files()), '.json': edited(json_files()), '.jsonl': edited(json_files(LISTS, lines=True))}
NAMES = st.lists(
    st.one_of(st.sampled_from(IMAGES), st.text(max_size=30), st.integers().map(lambda n: f'train/{n}_c{n}.jpg'), PATHS),
    max_size=6,
)


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with images, to lay lists into."""
    root = tmp_path_factory.mktemp('fuzz')
    for name in IMAGES:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield root
    logger.setLevel(level)


NUMBERS_OF_FILES = itertools.count()


@contextlib.contextmanager
def only_our_errors(path: Path) -> Iterator[None]:
    """Let nothing pass but the two kinds of error that tools print as one line, with the file in it."""
    caught = []
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        caught.append(error)
    for one in caught:
        assert type(one) in (ValueError, FileNotFoundError, FaultyRows, MissingImages), one
        assert path.name in str(one)
        # It can be printed.
        assert str(one).encode()


def read_index(place: Path, suffix: str, content: bytes) -> None:
    # A name of its own: files that change faster than the clock look unchanged.
    path = place / f'index{next(NUMBERS_OF_FILES)}{suffix}'
    path.write_bytes(content)
    with only_our_errors(path):
        load_sources([OwnSource('shop', str(path))])
    with only_our_errors(path):
        list(iterate_items(path))
    if suffix == '.json':
        with only_our_errors(path):
            load_captions(path)
        with only_our_errors(path):
            load_sources([CaptionFileSource('shop', str(place), str(path), on_missing_image='skip')])
        with only_our_errors(path):
            OwnSource('shop', str(place / 'own'), caption_file=str(path)).load()
    path.unlink()


def read_folder(place: Path, names: list) -> None:
    root = place / f'folder{next(NUMBERS_OF_FILES)}'
    root.mkdir()
    for name in names:
        # What no file can be called, or what lies elsewhere, cannot be tried.
        with contextlib.suppress(OSError, ValueError):
            target = root / enlarge(name).lstrip('/').replace('..', '')
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
    for read in (
        lambda: load_sources([OwnSource('shop', str(root))]),
        lambda: list(iterate_items(root)),
        lambda: list_images(root),
    ):
        with only_our_errors(root):
            read()
    shutil.rmtree(root)


def fuzz(examples: int, **options: Any) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=examples, deadline=None, database=None, suppress_health_check=checks, **options)


@pytest.fixture(scope='module', autouse=True)
def own_images(place: Path) -> None:
    (place / 'own' / 'train').mkdir(parents=True)
    (place / 'own' / 'train' / '0001_c1_a.jpg').touch()


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_any_index_is_read_or_named(place: Path, suffix: str) -> None:
    @fuzz(120, derandomize=True)
    @given(CONTENTS[suffix])
    def check(content: bytes) -> None:
        read_index(place, suffix, content)

    check()


def test_any_names_of_files_are_read_or_named(place: Path) -> None:
    @fuzz(60, derandomize=True)
    @given(NAMES)
    def check(names: list) -> None:
        read_folder(place, names)

    check()


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason='set CMDG_FUZZ_EXAMPLES to how many inputs to try')
@pytest.mark.parametrize('suffix', [*SUFFIXES, 'folder'])
def test_any_index_and_names_for_long(place: Path, suffix: str) -> None:
    @fuzz(LONG)
    @given(NAMES if suffix == 'folder' else CONTENTS[suffix])
    def check(content: bytes) -> None:
        if suffix == 'folder':
            read_folder(place, content)
        else:
            read_index(place, suffix, content)

    check()
