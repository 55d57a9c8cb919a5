import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from cmdg_plugin.datasets import CaptionedReIDDataset
from cmdg_plugin.registry import DATASETS
from cmdg_plugin.visualization import take_training_pictures


@pytest.fixture
def dataset(tiny_config: Config) -> CaptionedReIDDataset:
    """Two domains of 6 people with 3 images each, flipped at random."""
    with DefaultScope.overwrite_default_scope('cmdg_plugin'):
        return DATASETS.build(tiny_config.train_dataloader.dataset)


def test_what_is_said_belongs_to_the_image(dataset: CaptionedReIDDataset) -> None:
    for picture in take_training_pictures(dataset, 6):
        source = picture.title.split(',')[0]
        infos = [dataset.get_data_info(position) for position in range(len(dataset))]
        (info,) = [
            one
            for one in infos
            if Path(one['img_path']).name == picture.file and Path(one['img_path']).parts[-3] == source
        ]
        # As the file is named, not as training numbers people and cameras.
        identity, camera = re.match(r'(\d+)_c(\d)', picture.file).groups()
        where = f'identity {int(identity)}, camera {camera}'
        assert picture.title == f'{source}, {where} (trained as label {info["gt_label"]})'
        assert picture.captions == info['captions']
        with Image.open(info['img_path']) as image:
            pixels = np.asarray(image.convert('RGB')).astype(int)
        # In RGB as the file, apart from a flip.
        assert picture.image.shape == pixels.shape
        assert min(abs(pixels - picture.image).max(), abs(pixels[:, ::-1] - picture.image).max()) <= 1


def test_order_of_channels(dataset: CaptionedReIDDataset) -> None:
    (bgr,), (rgb,) = (take_training_pictures(dataset, 1, bgr=bgr) for bgr in (True, False))
    assert np.array_equal(bgr.image, rgb.image[..., ::-1])


def test_sources_take_turns(dataset: CaptionedReIDDataset) -> None:
    sources = [picture.title.split(',')[0] for picture in take_training_pictures(dataset, 8)]
    assert sources == ['alpha', 'beta'] * 4


def test_the_seed_decides(dataset: CaptionedReIDDataset) -> None:
    first, again, other = (take_training_pictures(dataset, 8, seed=seed) for seed in (3, 3, 4))
    assert [picture.file for picture in first] == [picture.file for picture in again]
    assert all(np.array_equal(one.image, same.image) for one, same in zip(first, again, strict=True))
    assert [picture.file for picture in first] != [picture.file for picture in other]


def test_all_images_at_most(dataset: CaptionedReIDDataset) -> None:
    pictures = take_training_pictures(dataset, 1000)
    assert len({(picture.title, picture.file) for picture in pictures}) == len(pictures) == len(dataset) == 36
    with pytest.raises(ValueError, match='at least 1 image to show, got 0'):
        take_training_pictures(dataset, 0)
