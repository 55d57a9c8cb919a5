from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from cmdg_plugin import apis
from cmdg_plugin.apis import ImagePreparation, list_images
from cmdg_plugin.files.images import UnreadableImage

PIPELINE = [
    {'type': 'LoadImageFromFile', 'imdecode_backend': 'pillow'},
    {'type': 'mmpretrain.Resize', 'scale': (4, 6), 'interpolation': 'bicubic', 'backend': 'pillow'},
    {'type': 'mmpretrain.PackInputs'},
]


def config_of(pipeline: list | None) -> Config:
    return Config({'test_dataloader': {'dataset': {'pipeline': pipeline}}})


@pytest.fixture
def prepare() -> ImagePreparation:
    return ImagePreparation(config_of(PIPELINE))


@pytest.mark.parametrize('mode', ['RGB', 'L', 'P', 'CMYK'])
def test_picture_is_prepared_as_its_file(prepare: ImagePreparation, tmp_path: Path, mode: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 5, 3), dtype=np.uint8)
    suffix = 'jpg' if mode == 'CMYK' else 'png'
    Image.fromarray(pixels).convert(mode).save(tmp_path / f'a.{suffix}')
    path = tmp_path / f'a.{suffix}'
    from_file = prepare(path)
    assert from_file.shape == (3, 6, 4)
    assert from_file.dtype == torch.uint8
    assert torch.equal(prepare(Image.open(path)), from_file)


def test_turned_photos_stand_upright(prepare: ImagePreparation, tmp_path: Path) -> None:
    """As phones store them: the orientation in the EXIF data."""
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (5, 9, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / 'turned.png', exif=exif)
    expected = prepare(picture.transpose(Image.Transpose.ROTATE_270))
    assert torch.equal(prepare(tmp_path / 'turned.png'), expected)
    assert torch.equal(prepare(Image.open(tmp_path / 'turned.png')), expected)


def test_what_is_no_image_is_named(prepare: ImagePreparation, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no image at nowhere\.jpg'):
        prepare('nowhere.jpg')
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'\xff\xd8\xff\xe0 and no more')
    with pytest.raises(ValueError, match=r'broken\.jpg cannot be read'):
        prepare(broken)
    with pytest.raises(TypeError, match='not a bytes'):
        prepare(b'pixels')
    with pytest.raises(ValueError, match=r'float64 of shape \(9, 5, 3\)'):
        prepare(np.zeros((9, 5, 3)))
    with pytest.raises(ValueError, match=r'uint8 of shape \(9, 5, 4\)'):
        prepare(np.zeros((9, 5, 4), dtype=np.uint8))
    with pytest.raises(ValueError, match='floating-point values'):
        prepare(Image.new('F', (5, 9)))
    with pytest.raises(UnreadableImage, match='is a folder, not a file'):
        prepare(tmp_path)


def test_config_must_say_how_images_are_prepared() -> None:
    with pytest.raises(ValueError, match=r'no test_dataloader\.dataset\.pipeline'):
        ImagePreparation(Config({'model': {}}))
    with pytest.raises(ValueError, match='no LoadImageFromFile'):
        ImagePreparation(config_of(PIPELINE[1:]))


def test_other_scopes_read_images_our_way(tmp_path: Path) -> None:
    """mmpretrain finds mmcv's loader under that name, which clips 16 bits."""
    levels = np.arange(45, dtype=np.uint8).reshape(9, 5) * 5
    Image.fromarray(levels).save(tmp_path / 'eight.png')
    Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / 'sixteen.png')
    prepare = ImagePreparation(Config({**config_of(PIPELINE), 'default_scope': 'mmpretrain'}))
    assert torch.equal(prepare(tmp_path / 'sixteen.png'), prepare(tmp_path / 'eight.png'))


def test_public_functions_are_listed() -> None:
    assert {'init_model', 'extract_features', 'encode_text', 'list_images', 'ImagePreparation'} <= set(dir(apis))


def test_images_of_a_folder_are_listed(tmp_path: Path) -> None:
    for name in ('b.JPG', 'a/z.png', 'c.txt', 'a/b.webp'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_images(tmp_path) == [str(tmp_path / name) for name in ('a/b.webp', 'a/z.png', 'b.JPG')]
    with pytest.raises(FileNotFoundError, match='no folder'):
        list_images(tmp_path / 'none')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no image'):
        list_images(tmp_path / 'empty')
