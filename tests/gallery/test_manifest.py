"""What a gallery says of itself, written and read; damage of every kind: test_gallery.py."""

from pathlib import Path

import pytest

from cmdg_plugin.gallery.manifest import Manifest, is_gallery, read_manifest

MANIFEST = Manifest(
    'embedded', 3, 'model.pth', 'abc', 12, 5, {'memory': 7}, {'text': {'match': 0.5, 'unsure': 0.25, 'entries': 9}}
)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert not is_gallery(tmp_path)
    MANIFEST.write(tmp_path)
    assert is_gallery(tmp_path)
    assert read_manifest(tmp_path) == MANIFEST


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('"shared": 5', '"shared": 12'),
        ('0.25', '"near"'),
        ('"version": 3', '"version": "3"'),
        ('"unsure"', '"maybe"'),
        ('"entries": 9', '"entries": null'),
        ('0.25', 'NaN'),
        ('"format": 1', '"format": 0'),
        ('"format": 1', f'"format": {"9" * 5000}'),  # more digits than Python reads
    ],
)
def test_what_this_program_does_not_write_is_damage(tmp_path: Path, old: str, new: str) -> None:
    MANIFEST.write(tmp_path)
    file = tmp_path / 'gallery.json'
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ValueError, match=r'gallery\.json is damaged'):
        read_manifest(tmp_path)
