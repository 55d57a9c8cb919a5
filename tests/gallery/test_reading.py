import hashlib
import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from cmdg_plugin.files.images import UnreadableImage
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.reading import EntryImages, has_changed, read_file


@pytest.fixture
def path(tmp_path: Path) -> str:
    Image.new('RGB', (4, 8), 'red').save(tmp_path / 'a.png')
    return str(tmp_path / 'a.png')


def test_content_and_state_are_of_one_moment(path: str) -> None:
    content, state = read_file(path)
    assert content == Path(path).read_bytes()
    assert (state.size, state.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert not has_changed(path, state)
    os.utime(path, ns=(0, 0))
    assert has_changed(path, state)
    os.unlink(path)
    assert has_changed(path, state)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage):
        read_file(str(tmp_path))


def test_a_file_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    huge = tmp_path / 'huge.png'
    huge.touch()
    os.truncate(huge, 1 << 40)  # takes no room on the disk
    with pytest.raises(UnreadableImage, match=r'huge\.png cannot be read: its file is larger than 1 GiB\.'):
        read_file(str(huge))


def test_images_are_prepared_unless_their_bytes_are_known(path: str, tmp_path: Path) -> None:
    (tmp_path / 'broken.png').write_bytes(b'no image')
    _, known = read_file(path)
    entries = [(Entry(path), None), (Entry(path), known), (Entry(str(tmp_path / 'broken.png')), None)]
    images = EntryImages([*entries, (Entry('/nowhere.png'), None)], lambda image: torch.tensor(image.size))
    fresh, same, broken, gone = (images[number] for number in range(len(images)))
    assert fresh.pixels is not None
    assert fresh.pixels.tolist() == [4, 8]
    assert (same.pixels, same.stored) == (None, fresh.stored)
    assert (broken.stored, 'not an image' in broken.problem) == (None, True)
    assert 'No such file' in gone.problem
