from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cmdg_plugin.gallery.encoding import GalleryModel, list_pictures, open_query_image


def test_one_picture_or_several() -> None:
    picture = Image.new('RGB', (2, 2))
    assert list_pictures(picture) == list_pictures([picture]) == list_pictures((picture,)) == [picture]


def test_pictures_of_every_kind_are_rgb(tmp_path: Path) -> None:
    pixels = np.zeros((3, 2, 3), np.uint8)
    pixels[..., 0] = 200
    Image.fromarray(pixels).save(tmp_path / 'red.png')
    for picture in (pixels, Image.fromarray(pixels), tmp_path / 'red.png', str(tmp_path / 'red.png')):
        assert np.array_equal(np.asarray(open_query_image(picture)), pixels)
    assert open_query_image(Image.new('L', (2, 3), 7)).getpixel((0, 0)) == (7, 7, 7)


@pytest.mark.parametrize('array', [np.zeros((3, 2), np.uint8), np.zeros((0, 2, 3), np.uint8), np.zeros((3, 2, 3))])
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match='as an array is RGB'):
        open_query_image(array)


def test_vectors_have_length_one_and_several_pictures_are_their_mean(toy_model: GalleryModel) -> None:
    red, blue = (Image.new('RGB', (48, 96), color) for color in ('red', 'blue'))
    one, other, both = (toy_model.encode_queries(pictures) for pictures in ([red], [blue], [red, blue]))
    assert one.shape == (toy_model.dimension,)
    assert both == pytest.approx((one + other) / np.linalg.norm(one + other), abs=1e-5)
    prepared = torch.stack([toy_model.prepare(red), toy_model.prepare(blue)])
    assert toy_model.encode_prepared(prepared) == pytest.approx(np.stack([one, other]), abs=1e-5)
    sentence = toy_model.encode_sentence('a man in red')
    assert sentence.shape == (toy_model.shared,)
    assert np.linalg.norm(sentence) == pytest.approx(1, abs=1e-5)


def test_the_hash_is_of_the_weights(toy_model: GalleryModel, toy_checkpoint: Path, other_checkpoint: Path) -> None:
    assert GalleryModel(toy_checkpoint, 'cpu').hash == toy_model.hash != GalleryModel(other_checkpoint, 'cpu').hash
