import os
from pathlib import Path

import pytest

from cmdg_plugin.captioning.image_state import has_changed, image_state


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / 'a.png'
    path.write_bytes(b'12345')
    os.utime(path, ns=(0, 1_700_000_000_900_000_000))
    return path


def test_size_and_whole_seconds_are_noted(image: Path) -> None:
    assert image_state(image) == {'size': 5, 'changed': 1_700_000_000}
    for path in (image.with_name('gone.png'), Path('a\0b')):
        assert image_state(path) == {}


def test_another_size_and_another_time_are_a_change(image: Path) -> None:
    entry = {'path': 'a.png', **image_state(image)}
    assert not has_changed(entry, image)
    # A copy on a drive that keeps whole seconds.
    os.utime(image, (0, 1_700_000_000))
    assert not has_changed(entry, image)
    os.utime(image, (0, 1_700_000_001))
    assert has_changed(entry, image)
    image.write_bytes(b'123456')
    os.utime(image, (0, 1_700_000_000))
    assert has_changed(entry, image)


def test_lines_without_a_state_and_images_that_are_gone_have_not_changed(image: Path) -> None:
    assert not has_changed({'path': 'a.png'}, image)
    entry = image_state(image)
    image.unlink()
    assert not has_changed(entry, image)
