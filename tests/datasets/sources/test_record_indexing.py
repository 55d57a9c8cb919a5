from pathlib import Path

import pytest

from cmdg_plugin.datasets.caption_fields import CaptionRecord
from cmdg_plugin.datasets.faulty_rows import FaultyRows
from cmdg_plugin.datasets.sources.image_files import MissingImages
from cmdg_plugin.datasets.sources.record_indexing import check_missing_choice, index_images, keep_existing

LIST = Path('list.csv')


def image(path: str, identity: int | None = 1, camera: int | None = 1, split: str | None = None) -> CaptionRecord:
    return CaptionRecord(path, ('a', 'b', 'c', 'd'), identity, camera, split, None)


def test_images_that_do_not_exist_are_refused_or_left_out(tmp_path: Path) -> None:
    (tmp_path / 'a.jpg').touch()
    images = [image('a.jpg'), image('b.jpg')]
    with pytest.raises(MissingImages, match=r'1 of 2 images listed in list\.csv do not exist, the first is') as caught:
        keep_existing('shop', tmp_path, images, LIST, 'error')
    assert caught.value.paths == (str(tmp_path / 'b.jpg'),)
    assert keep_existing('shop', tmp_path, images, LIST, 'skip') == images[:1]
    # Nothing is left of a dataset whose images all are elsewhere.
    with pytest.raises(MissingImages):
        keep_existing('shop', tmp_path, images[1:], LIST, 'skip')
    with pytest.raises(FileNotFoundError, match='shop: no folder'):
        keep_existing('shop', tmp_path / 'gone', images, LIST, 'skip')
    with pytest.raises(ValueError, match="shop: expected on_missing_image 'error' or 'skip', got 'ignore'"):
        check_missing_choice('shop', 'ignore')


def test_roles_distractors_and_junk(log: pytest.LogCaptureFixture) -> None:
    images = [
        image('a.jpg', 0, split='train'),
        image('b.jpg', 0, split='gallery'),
        image('c.jpg', -1, split='query'),
        image('d.jpg', 5),
        image('d.jpg', 5),
    ]
    index = index_images('shop', Path('root'), images, LIST, distractors={0})
    (split,) = index.splits
    assert [(record.path, record.distractor) for record in split.train] == [('a.jpg', False), ('d.jpg', False)]
    assert [(record.path, record.distractor) for record in split.gallery] == [('b.jpg', True)]
    assert split.query == ()
    assert split.train[0].scope != split.gallery[0].scope
    for said in ('1 junk images left out', '1 images without a role, trained on', '1 images listed twice'):
        assert said in log.text


def test_one_unknown_camera_is_no_cameras() -> None:
    assert index_images('shop', Path('root'), [image('a.jpg')], LIST).has_cameras
    assert not index_images('shop', Path('root'), [image('a.jpg'), image('b.jpg', camera=None)], LIST).has_cameras


def test_what_cannot_be_indexed_is_named() -> None:
    with pytest.raises(ValueError, match=r'list\.csv: the record of a\.jpg does not say who is in the image'):
        index_images('shop', Path('root'), [image('a.jpg', None)], LIST)
    with pytest.raises(ValueError, match='all images are junk'):
        index_images('shop', Path('root'), [image('a.jpg', -1)], LIST)
    with pytest.raises(FaultyRows) as caught:
        index_images('shop', Path('root'), [image('a.jpg', 1), image('a.jpg', 2), image('a.jpg', 3)], LIST)
    assert len(caught.value.faults) == 2
