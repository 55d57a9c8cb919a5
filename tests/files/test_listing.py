import os
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.logging import MMLogger
from PIL import Image

from cmdg_plugin.apis import list_images
from cmdg_plugin.captioning import iterate_items
from cmdg_plugin.datasets.sources import OwnSource
from cmdg_plugin.files.images import IMAGE_SUFFIXES
from cmdg_plugin.files.listing import FolderListing


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_what_is_left_out_is_counted_by_kind(tmp_path: Path) -> None:
    write(tmp_path, 'a.JPG', 'b/c.gif', 'b/d.txt', 'b/e.heic', 'b/f.txt', 'b/README', '.hidden.jpg', '.git/g.jpg')
    (tmp_path / 'gone.png').symlink_to('nowhere.png')
    (tmp_path / 'self.png').symlink_to('self.png')
    os.mkfifo(tmp_path / 'pipe.png')
    listing = FolderListing(tmp_path)
    assert sorted(listing) == ['a.JPG', 'b/c.gif']
    assert listing.left_out == {
        '.txt': 2,
        '.heic': 1,
        'without ending': 1,
        'hidden': 2,
        'broken link': 2,
        'not a file': 1,
    }
    assert str(listing).startswith(f'{tmp_path}: listed 11 files, used 2 as images, left out 9: 2 ')
    assert '2 .txt' in str(listing)
    # Asked again, it counts anew.
    assert len(list(listing)) == listing.used == 2
    (tmp_path / 'b/d.txt').unlink()
    with pytest.raises(FileNotFoundError):
        list(FolderListing(tmp_path / 'none'))


def test_nothing_left_out_is_said_too(tmp_path: Path) -> None:
    write(tmp_path, 'a.jpg')
    listing = FolderListing(tmp_path)
    list(listing)
    assert str(listing) == f'{tmp_path}: listed 1 files, used 1 as images'


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root = tmp_path / 'root'
    write(root, 'a/1.jpg')
    write(tmp_path / 'elsewhere', 'b/2.jpg')
    (root / 'query').symlink_to(tmp_path / 'elsewhere')
    (root / 'a' / 'up').symlink_to(root)
    (root / 'a' / 'self').symlink_to(root / 'a')
    (tmp_path / 'elsewhere' / 'b' / 'back').symlink_to(tmp_path / 'elsewhere')
    listing = FolderListing(root)
    assert sorted(listing) == ['a/1.jpg', 'query/b/2.jpg']
    assert listing.left_out == {'link back to a folder above it': 3}


def test_every_ending_is_one_that_pillow_opens() -> None:
    Image.init()
    opened = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    assert opened >= IMAGE_SUFFIXES


@pytest.mark.parametrize('suffix', sorted(IMAGE_SUFFIXES))
def test_training_captioning_and_inference_take_the_same_files(tmp_path: Path, suffix: str) -> None:
    name = f'query/0001_c1_a{suffix}'
    write(tmp_path, name, 'query/notes.txt')
    (record,) = OwnSource('shop', str(tmp_path)).load().split().query
    (item,) = iterate_items(tmp_path)
    assert {record.path, item.file_path} == {name}
    assert list_images(tmp_path) == [str(tmp_path / name)]


def test_a_linked_role_is_read(tmp_path: Path) -> None:
    write(tmp_path / 'elsewhere', '0001_c1.jpg')
    write(tmp_path / 'shop', 'gallery/0001_c2.jpg')
    (tmp_path / 'shop' / 'query').symlink_to(tmp_path / 'elsewhere')
    split = OwnSource('shop', str(tmp_path / 'shop')).load().split()
    assert [record.path for record in split.query] == ['query/0001_c1.jpg']


@pytest.mark.parametrize('reader', [lambda root: OwnSource('shop', str(root)).load(), list_images])
def test_readers_say_what_they_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture, reader: Callable) -> None:
    MMLogger.get_current_instance().addHandler(caplog.handler)
    write(tmp_path, 'query/0001_c1_a.jpg', 'query/0001_c1_a.heic')
    reader(tmp_path)
    assert f'{tmp_path}: listed 2 files, used 1 as images, left out 1: 1 .heic' in caplog.text
