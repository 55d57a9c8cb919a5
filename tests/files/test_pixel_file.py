import copy
import io
import os
import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmdg_plugin.files import pixel_file
from cmdg_plugin.files.pixel_file import PixelFile, write_pixels

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in ((5, 3), (2, 7), (4, 4))]
STAMPS = np.arange(8).reshape(4, 2)
# A name that is not UTF-8, as Linux allows.
PATHS = ['/a/1.jpg', '/a/ü.jpg', '/a/\udcff.jpg', '/a/4.jpg']


def write(path: Path) -> PixelFile:
    rows = [(IMAGES[0], (10, 6)), None, (IMAGES[1][:, ::-1], (2, 7)), (IMAGES[2], (8, 8))]
    write_pixels(path, {'steps': 'ü', 'reading': 1}, PATHS, STAMPS, rows)
    return PixelFile(path)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = write(tmp_path / 'a.pixels')
    for found, expected in zip([0, 2, 3], [IMAGES[0], IMAGES[1][:, ::-1], IMAGES[2]], strict=True):
        assert np.array_equal(file.read(found), expected)
    assert file.read(1) is None
    assert (file.index.settings, file.index.paths) == ({'steps': 'ü', 'reading': 1}, PATHS)
    assert np.array_equal(file.index.stamps, STAMPS)
    assert file.index.originals.tolist() == [[10, 6], [0, 0], [2, 7], [8, 8]]
    assert os.listdir(tmp_path) == ['a.pixels']


def test_what_is_read_may_be_changed_and_the_file_stays(tmp_path: Path) -> None:
    file = write(tmp_path / 'a.pixels')
    before = (tmp_path / 'a.pixels').read_bytes()
    file.read(0)[:] = 0
    assert np.array_equal(file.read(0), IMAGES[0])
    assert (tmp_path / 'a.pixels').read_bytes() == before


def test_a_copy_maps_the_file_and_does_not_carry_it(tmp_path: Path) -> None:
    file = write(tmp_path / 'a.pixels')
    assert IMAGES[0].tobytes() not in pickle.dumps(file)
    for other in (pickle.loads(pickle.dumps(file)), copy.deepcopy(file)):
        assert isinstance(other._pixels, np.memmap)
        assert np.array_equal(other.read(3), IMAGES[2])


def test_a_copy_does_not_map_another_file(tmp_path: Path) -> None:
    sent = pickle.dumps(write(tmp_path / 'a.pixels'))
    write_pixels(tmp_path / 'a.pixels', {}, PATHS, STAMPS, [(IMAGES[2], (8, 8)), None, None, None])
    with pytest.raises(ValueError, match=r'a\.pixels is another file than when this run began: start it again\.'):
        pickle.loads(sent)


@pytest.mark.parametrize('damage', ['short', 'empty', 'index', 'text'])
def test_what_is_not_whole_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / 'a.pixels'
    write(path)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    kinds = {'short': path.read_bytes()[:-1], 'empty': b'', 'index': bytes(content), 'text': b'no pixels ' * 100}
    path.write_bytes(kinds[damage])
    with pytest.raises(ValueError, match=r'a\.pixels is not a file of decoded images of this version, or not'):
        PixelFile(path)


WRONG: dict[str, dict[str, Any]] = {
    'before the file': {'starts': np.array([-1, 45, 45, 87])},
    'behind the pixels': {'starts': np.array([0, 45, 45, 88])},
    'too large': {'shapes': np.array([[5, 3], [0, 0], [2, 7], [2**31 - 1, 2**31 - 1]])},
    'negative sides': {'shapes': np.array([[5, 3], [0, 0], [2, 7], [-4, -4]])},
    'sides that are no whole numbers': {'shapes': np.array([[5, 3], [0, 0], [2, 7], [4.0, 4.5]])},
    'fewer images': {'starts': np.array([0, 45, 45])},
    'fewer paths': {'paths': np.frombuffer(b'/a/1.jpg', np.uint8)},
    'one number an image': {'stamps': np.arange(4)},
    'no width': {name: np.array([[5, 3], [0, 0], [2, 7], [4, 0]]) for name in ('shapes', 'originals')},
    'no checksums': {'checksums': np.array([])},
    'no size of the file': {'originals': np.zeros((4, 2), np.int32)},
    'settings that are none': {'settings': np.frombuffer(b'[1]', np.uint8)},
    'settings that are not JSON': {'settings': np.frombuffer(b'\xff{', np.uint8)},
    'objects': {'starts': np.array([None] * 4)},
}


@pytest.mark.parametrize('name', [*WRONG, 'an array less', 'compressed', 'one array', 'nothing', 'cut'])
def test_what_has_a_checksum_and_is_wrong_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / 'a.pixels'
    write(path)
    content = path.read_bytes()
    begin = pixel_file._FOOTER.unpack(content[-pixel_file._FOOTER.size :])[0]
    with np.load(io.BytesIO(content[begin : -pixel_file._FOOTER.size])) as index:
        arrays = {**index, **WRONG.get(name, {})}
    packed = io.BytesIO()
    if name == 'an array less':
        del arrays['originals']
    if name == 'compressed':
        np.savez_compressed(packed, **arrays, zeros=np.zeros(10**6))
    elif name == 'one array':
        np.save(packed, arrays['starts'])
    elif name != 'nothing':
        np.savez(packed, **arrays)
    kept = packed.getvalue()[: -50 if name == 'cut' else None]
    footer = pixel_file._FOOTER.pack(begin, zlib.crc32(kept), pixel_file._MAGIC)
    path.write_bytes(content[:begin] + kept + footer)
    with pytest.raises(ValueError, match=r'a\.pixels is not a file of decoded images of this version, or not'):
        PixelFile(path)


@pytest.mark.parametrize('length', [1, 48])
def test_damaged_pixels_are_noticed_when_they_are_read(tmp_path: Path, length: int) -> None:
    path = tmp_path / 'a.pixels'
    file = write(path)
    content = bytearray(path.read_bytes())
    start = int(file.index.starts[3])
    content[start : start + length] = bytes(255 - value for value in content[start : start + length])
    path.write_bytes(content)
    file = PixelFile(path)
    assert np.array_equal(file.read(0), IMAGES[0])
    with pytest.raises(ValueError, match=r'a\.pixels is damaged: the pixels of /a/4\.jpg are not .* Delete it'):
        file.read(3)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe')
    for path in (tmp_path, tmp_path / 'pipe'):
        with pytest.raises(ValueError, match='is not a file of decoded images'):
            PixelFile(path)


def test_an_error_amid_the_images_leaves_nothing(tmp_path: Path) -> None:
    def images() -> Iterator:
        yield IMAGES[0], (5, 3)
        raise RuntimeError('the next one')

    with pytest.raises(RuntimeError, match='the next one'):
        write_pixels(tmp_path / 'a.pixels', {}, PATHS, STAMPS, images())
    assert os.listdir(tmp_path) == []
