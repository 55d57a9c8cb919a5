import base64
import io
import os
import resource
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmdg_plugin.captioning.images import UnreadableImage, encode_view, load_view


def decode(url: str) -> tuple[str, bytes]:
    kind, _, content = url.partition(';base64,')
    return kind, base64.b64decode(content)


@pytest.fixture
def striped(tmp_path: Path) -> Path:
    """Ten rows, each of its own gray."""
    pixels = np.repeat(np.arange(10, dtype=np.uint8)[:, None, None] * 20, 4, 1).repeat(3, 2)
    Image.fromarray(pixels).save(tmp_path / 'striped.png')
    return tmp_path / 'striped.png'


@pytest.mark.parametrize(
    ('third', 'rows'), [(None, range(10)), ('upper', range(3)), ('middle', range(3, 6)), ('lower', range(6, 10))]
)
def test_thirds_are_cut_as_the_backbone_cuts_them(striped: Path, third: str | None, rows: range) -> None:
    image = np.asarray(load_view(striped, third))
    assert image[:, 0, 0].tolist() == [20 * row for row in rows]


def test_a_small_upright_file_goes_as_it_is(striped: Path) -> None:
    assert decode(encode_view(striped, None, 1280)) == ('data:image/png', striped.read_bytes())


@pytest.mark.parametrize(
    ('size', 'third', 'expected'),
    [
        ((10, 40), None, (28, 112)),
        ((40, 10), None, (112, 28)),
        ((32, 64), 'upper', (43, 28)),
        ((32, 64), 'lower', (41, 28)),
        ((28, 28), None, (28, 28)),
        ((32, 83), 'middle', (33, 28)),
        ((32, 84), 'middle', (32, 28)),
        # As large as it may become, and widened.
        ((1, 50), None, (28, 100)),
        ((2, 1000), None, (28, 100)),
    ],
)
def test_small_views_are_scaled_up(
    tmp_path: Path, size: tuple[int, int], third: str | None, expected: tuple[int, int]
) -> None:
    Image.new('RGB', size, 'red').save(tmp_path / 'a.png')
    image = Image.open(io.BytesIO(decode(encode_view(tmp_path / 'a.png', third, 120 if size[0] > 9 else 100, 28))[1]))
    assert image.size == expected
    red, green, blue = np.asarray(image.convert('RGB'))[image.height // 2, image.width // 2]
    # JPEG mixes the colors of lines of two pixels with their edges.
    assert red > (240 if size[0] > 9 else 80)
    assert max(green, blue) < red / 2
    if size[0] > 9:
        assert load_view(tmp_path / 'a.png', third, 28).size == expected


def test_thirds_and_large_images_are_encoded_anew(striped: Path, tmp_path: Path) -> None:
    kind, content = decode(encode_view(striped, 'lower', 1280))
    image = Image.open(io.BytesIO(content))
    assert (kind, image.format, image.size) == ('data:image/jpeg', 'JPEG', (4, 4))
    Image.new('RGB', (400, 800), 'red').save(tmp_path / 'large.jpg')
    assert Image.open(io.BytesIO(decode(encode_view(tmp_path / 'large.jpg', None, 200))[1])).size == (100, 200)


@pytest.mark.parametrize('mode', ['L', 'P', 'RGBA', '1', 'CMYK', 'I;16'])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    suffix = 'tif' if mode == 'CMYK' else 'png'
    Image.new(mode, (6, 9)).save(tmp_path / f'a.{suffix}')
    assert load_view(tmp_path / f'a.{suffix}', None).mode == 'RGB'
    assert decode(encode_view(tmp_path / f'a.{suffix}', None, 100))[0] == 'data:image/jpeg'


def test_sixteen_bits_are_seen_by_value(tmp_path: Path) -> None:
    levels = np.arange(96, dtype=np.uint8).reshape(12, 8) * 2
    Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / 'a.png')
    assert np.array_equal(np.asarray(load_view(tmp_path / 'a.png', 'upper'))[..., 0], levels[:4])
    sent = np.asarray(Image.open(io.BytesIO(decode(encode_view(tmp_path / 'a.png', None, 100))[1])))
    assert np.abs(sent[..., 0].astype(int) - levels).max() <= 4


def test_images_taken_sideways_are_turned(tmp_path: Path) -> None:
    image = Image.new('RGB', (6, 9), 'white')
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / 'a.jpg', exif=exif)
    assert load_view(tmp_path / 'a.jpg', None).size == (9, 6)
    assert Image.open(io.BytesIO(decode(encode_view(tmp_path / 'a.jpg', None, 100))[1])).size == (9, 6)


def test_unreadable_images(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / 'whole.jpg')
    Image.fromarray(noise).save(tmp_path / 'whole.png')
    for suffix in ('jpg', 'png'):
        content = (tmp_path / f'whole.{suffix}').read_bytes()
        (tmp_path / f'half.{suffix}').write_bytes(content[: len(content) // 2])
    (tmp_path / 'text.jpg').write_text('no image')
    (tmp_path / 'empty.jpg').write_bytes(b'')
    for name in ('half.jpg', 'half.png', 'text.jpg', 'empty.jpg', 'missing.jpg'):
        with pytest.raises(UnreadableImage):
            encode_view(tmp_path / name, None, 100)
    Image.new('RGB', (5, 2)).save(tmp_path / 'flat.png')
    with pytest.raises(UnreadableImage, match='no thirds'):
        load_view(tmp_path / 'flat.png', 'upper')


def test_too_many_open_files_do_not_blame_the_image(striped: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) + 8, before[1]))
    taken = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(OSError, match='Too many open files') as raised:
            load_view(striped, None)
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert not isinstance(raised.value, UnreadableImage)
