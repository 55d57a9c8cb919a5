from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.damaged_images import DAMAGES, spoil
from mmcv.transforms import Resize
from PIL import Image

from cmdg_plugin.datasets.image_decoding import bytes_needed, decode_images
from cmdg_plugin.datasets.transforms import LoadImageFromFile


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """More than are decoded at a time, of two sizes."""
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f'{number}.png') for number in range(300)]
    for number, path in enumerate(paths):
        Image.fromarray(rng.integers(0, 256, (8 + number % 2, 4, 3), dtype=np.uint8)).save(path)
    return paths


def test_images_come_in_order_as_the_transforms_give_them(files: list[str]) -> None:
    for steps in ([LoadImageFromFile()], [LoadImageFromFile(), Resize((6, 5), backend='pillow')]):
        found = list(decode_images(files, steps))
        assert len(found) == len(files)
        for path, image in zip(files, found, strict=True):
            expected = {'img_path': path}
            for step in steps:
                expected = step(expected)
            assert np.array_equal(image[0], expected['img'])
            assert image[1] == expected['ori_shape']


def test_what_is_needed_is_known_beforehand(files: list[str]) -> None:
    pixels = 3 * (150 * 8 * 4 + 150 * 9 * 4)
    assert pixels < bytes_needed(files, [LoadImageFromFile()]) <= pixels + 500 * 300
    assert 300 * 90 < bytes_needed(files, [LoadImageFromFile(), Resize((6, 5))]) <= 300 * 90 + 500 * 300


@pytest.mark.parametrize('damage', DAMAGES)
def test_what_cannot_be_read_is_none_and_counted(
    tmp_path: Path, log: pytest.LogCaptureFixture, damage: str, files: Callable
) -> None:
    spoil(files[1], damage)
    bytes_needed(files[:3], [LoadImageFromFile()])
    for loader in (LoadImageFromFile(), LoadImageFromFile(ignore_empty=True)):
        found = list(decode_images(files[:3], [loader]))
        assert [image is None for image in found] == [False, True, False]
    assert '1 of 3 images cannot be read and are not in the image cache.' in log.text
