import functools
import http.server
import os
import threading
from pathlib import Path
from typing import Any

import mmcv.transforms
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS, DefaultScope
from PIL import Image

from cmdg_plugin.datasets.transforms import LoadImageFromFile, read_our_way
from cmdg_plugin.files.images import UnreadableImage

COLORS = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)
WIDE = COLORS[..., 0].astype(np.uint16) * 257
SUFFIXES = ('jpg', 'png', 'bmp', 'webp', 'tif', 'gif')


def load(path: Path, **settings: Any) -> np.ndarray:
    return LoadImageFromFile(**settings)({'img_path': str(path)})['img']


@pytest.mark.parametrize('color_type', ['color', 'grayscale'])
@pytest.mark.parametrize('backend', ['pillow', 'cv2'])
@pytest.mark.parametrize('mode', ['RGB', 'L', 'P', '1', 'RGBA', 'CMYK'])
def test_eight_bit_pixels_are_those_of_mmcv(tmp_path: Path, mode: str, backend: str, color_type: str) -> None:
    settings = {'imdecode_backend': backend, 'color_type': color_type}
    theirs = mmcv.transforms.LoadImageFromFile(**settings)
    image = Image.fromarray(COLORS).convert(mode)
    compared = 0
    for suffix in SUFFIXES:
        path = tmp_path / f'a.{suffix}'
        exif = Image.Exif()
        exif[0x0112] = 6
        try:
            image.save(path, exif=exif)
            expected = theirs({'img_path': str(path)})
        except (OSError, ValueError, AssertionError):
            continue  # the format has no such mode, or OpenCV does not read it
        found = LoadImageFromFile(**settings)({'img_path': str(path)})
        assert found.keys() == expected.keys()
        assert (found['img_shape'], found['ori_shape']) == (expected['img_shape'], expected['ori_shape'])
        assert found['img'].dtype == np.uint8
        assert np.array_equal(found['img'], expected['img']), suffix
        compared += 1
    assert compared >= 2


def test_float32_and_repr(tmp_path: Path) -> None:
    Image.fromarray(COLORS).save(tmp_path / 'a.png')
    pixels = load(tmp_path / 'a.png', to_float32=True)
    assert pixels.dtype == np.float32
    assert np.array_equal(pixels, COLORS[..., ::-1])
    assert repr(LoadImageFromFile()).startswith('LoadImageFromFile(ignore_empty=False, to_float32=False')


@pytest.mark.parametrize('backend', ['pillow', 'cv2'])
@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_sixteen_bits_by_value(tmp_path: Path, backend: str, suffix: str) -> None:
    Image.fromarray(WIDE).save(tmp_path / f'a.{suffix}')
    pixels = load(tmp_path / f'a.{suffix}', imdecode_backend=backend)
    assert np.array_equal(pixels, COLORS[..., :1].repeat(3, 2))
    assert np.array_equal(load(tmp_path / f'a.{suffix}', color_type='grayscale'), COLORS[..., 0])


@pytest.mark.parametrize('backend', ['pillow', 'cv2'])
def test_what_cannot_be_read_is_named(tmp_path: Path, backend: str) -> None:
    Image.fromarray(WIDE.astype(np.float32)).save(tmp_path / 'deep.tif')
    (tmp_path / 'text.jpg').write_text('no image')
    (tmp_path / 'empty.jpg').touch()
    (tmp_path / 'folder.jpg').mkdir()
    os.mkfifo(tmp_path / 'pipe.jpg')
    for name in ('deep.tif', 'text.jpg', 'empty.jpg', 'folder.jpg', 'pipe.jpg', 'nowhere.jpg'):
        with pytest.raises(UnreadableImage, match=name):
            load(tmp_path / name, imdecode_backend=backend)
        transform = LoadImageFromFile(imdecode_backend=backend, ignore_empty=True)
        assert transform({'img_path': str(tmp_path / name)}) is None


def test_images_of_other_file_backends(tmp_path: Path) -> None:
    Image.fromarray(WIDE).save(tmp_path / 'a.png')
    expected = load(tmp_path / 'a.png')
    for settings in ({'backend_args': {'backend': 'local'}}, {'file_client_args': {'backend': 'disk'}}):
        assert np.array_equal(load(tmp_path / 'a.png', **settings), expected)
        with pytest.raises(UnreadableImage, match=r'nowhere\.png'):
            load(tmp_path / 'nowhere.png', **settings)


def test_images_from_the_network(tmp_path: Path) -> None:
    Image.fromarray(WIDE).save(tmp_path / 'a.png')
    (tmp_path / 'text.png').write_text('no image')
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f'http://127.0.0.1:{server.server_port}'
        assert np.array_equal(load(f'{address}/a.png'), load(tmp_path / 'a.png'))
        with pytest.raises(UnreadableImage, match=f'{address}/text.png'):
            load(f'{address}/text.png')
        with pytest.raises(OSError, match=rf'{address}/nowhere.png cannot be fetched \(HTTP Error 404') as raised:
            load(f'{address}/nowhere.png')
        server.shutdown()
    assert not isinstance(raised.value, UnreadableImage)


def test_pillow_reads_two_color_types() -> None:
    with pytest.raises(ValueError, match="'unchanged'; imdecode_backend='cv2' reads others"):
        LoadImageFromFile(color_type='unchanged')
    LoadImageFromFile(color_type='unchanged', imdecode_backend='cv2')


@pytest.mark.parametrize('scope', ['cmdg_plugin', 'mmpretrain', 'mmengine'])
def test_every_scope_gets_it(scope: str) -> None:
    pipeline = [{'type': 'LoadImageFromFile', 'imdecode_backend': 'cv2'}, {'type': 'cmdg_plugin.LoadImageFromFile'}]
    with DefaultScope.overwrite_default_scope(scope):
        loaders = Compose(read_our_way(pipeline)).transforms
        assert [type(loader) for loader in loaders] == [LoadImageFromFile] * 2
    assert [loader.imdecode_backend for loader in loaders] == ['cv2', 'pillow']


def test_a_loader_of_that_name_of_somebody_else_stays() -> None:
    @TRANSFORMS.register_module()
    class OurLoadImageFromFile(mmcv.transforms.LoadImageFromFile):
        pass

    function = len
    pipeline = [{'type': 'OurLoadImageFromFile'}, function, {'type': 'mmpretrain.Resize'}]
    assert read_our_way(pipeline) == pipeline
    assert read_our_way([{'type': mmcv.transforms.LoadImageFromFile}]) == [{'type': 'cmdg_plugin.LoadImageFromFile'}]
