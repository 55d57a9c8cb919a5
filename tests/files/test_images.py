import io
import os
import random
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.damaged_images import bomb, damaged_exif, encode
from PIL import EpsImagePlugin, Image, TiffImagePlugin

from cmdg_plugin.files.images import UnreadableImage, decode_image, read_image, to_bytes, to_rgb

RNG = np.random.default_rng(0)
COLORS = RNG.integers(0, 256, (24, 16, 3), dtype=np.uint8)
WIDE = RNG.integers(0, 65536, (24, 16), dtype=np.uint16)


def sideways() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def gray(image: Image.Image) -> np.ndarray:
    """The one channel of a gray image in RGB."""
    pixels = np.asarray(image)
    assert (image.mode, pixels.dtype) == ('RGB', np.uint8)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


def with_tags(image: Image.Image, **tags: Any) -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        info[int(name[1:])] = value
    return encode(image, 'TIFF', tiffinfo=info)


@pytest.mark.parametrize('kind', ['PNG', 'TIFF', 'JPEG2000', 'PPM'])
def test_sixteen_bit_files_by_value(kind: str) -> None:
    expected = np.rint(WIDE / 257)
    settings = {'irreversible': False} if kind == 'JPEG2000' else {}
    content = encode(Image.fromarray(WIDE), kind, **settings)
    assert Image.open(io.BytesIO(content)).mode in ('I;16', 'I')
    assert np.array_equal(gray(decode_image(content, 'a')), expected)


@pytest.mark.parametrize('mode', ['I;16', 'I;16L', 'I;16B', 'I;16N'])
def test_sixteen_bits_of_any_byte_order(mode: str) -> None:
    image = Image.frombytes(mode, (16, 24), WIDE.astype('>u2' if mode == 'I;16B' else '<u2').tobytes())
    assert np.array_equal(gray(to_rgb(image)), np.rint(WIDE / 257))


def test_every_sixteen_bit_value() -> None:
    values = np.arange(65536)
    assert np.array_equal(to_bytes(values), np.rint(values / 257))
    assert np.array_equal(to_bytes(257 * np.arange(256)), np.arange(256))
    assert np.array_equal(to_bytes(np.arange(4096), 4095), np.rint(np.arange(4096) / 4095 * 255))


def test_big_endian_and_inverted_tiffs() -> None:
    big = Image.frombytes('I;16B', (16, 24), WIDE.astype('>u2').tobytes())
    assert np.array_equal(gray(decode_image(encode(big, 'TIFF'), 'a')), np.rint(WIDE / 257))
    inverted = with_tags(Image.fromarray(WIDE), t262=0)
    assert Image.open(io.BytesIO(inverted)).getexif()[262] == 0
    assert np.array_equal(gray(decode_image(inverted, 'a')), 255 - np.rint(WIDE / 257))


def test_twelve_bit_tiffs_are_no_darker() -> None:
    """Two values in three bytes, as Pillow reads and does not write them."""
    values = np.array([[0, 4095], [2048, 1000]])
    packed = b''.join(
        bytes((first >> 4, (first & 15) << 4 | second >> 8, second & 255)) for first, second in values.tolist()
    )
    tags = [(256, 2), (257, 2), (258, 12), (259, 1), (262, 1), (273, 8 + 2 + 12 * 9 + 4), (277, 1), (278, 2)]
    tags.append((279, len(packed)))
    entries = b''.join(struct.pack('<HHII', tag, 4, 1, value) for tag, value in tags)
    content = b'II*\0' + struct.pack('<IH', 8, len(tags)) + entries + bytes(4) + packed
    assert np.array_equal(gray(decode_image(content, 'a')), np.rint(values / 4095 * 255))


@pytest.mark.parametrize('suffix', ['.png', '.tiff', '.ppm'])
def test_sixteen_bit_colors_within_one_level(suffix: str) -> None:
    wide = RNG.integers(0, 65536, (24, 16, 3), dtype=np.uint16)
    content = cv2.imencode(suffix, wide[..., ::-1])[1].tobytes()
    found = np.asarray(decode_image(content, 'a')).astype(int)
    assert np.abs(found - np.rint(wide / 257)).max() <= 1


@pytest.mark.parametrize('mode', ['1', 'L', 'P', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr', 'HSV'])
def test_eight_bit_modes_as_pillow_converts_them(mode: str) -> None:
    image = Image.fromarray(COLORS).convert(mode)
    assert np.array_equal(np.asarray(to_rgb(image)), np.asarray(image.convert('RGB')))


def test_transparency_is_dropped() -> None:
    level, alpha = (Image.fromarray(COLORS[..., channel]) for channel in (0, 1))
    assert np.array_equal(gray(to_rgb(Image.merge('LA', (level, alpha)))), COLORS[..., 0])
    opaque = Image.frombytes('La', (16, 24), np.stack([COLORS[..., 0], np.full((24, 16), 255, np.uint8)], 2).tobytes())
    assert np.array_equal(gray(to_rgb(opaque)), COLORS[..., 0])
    palette = Image.fromarray(COLORS).convert('P')
    assert np.array_equal(np.asarray(to_rgb(palette.convert('PA'))), np.asarray(palette.convert('RGB')))


def test_lab_by_value() -> None:
    smooth = Image.fromarray(COLORS).resize((4, 6)).convert('RGB')
    lab = Image.open(io.BytesIO(encode(Image.new('LAB', (4, 6), (0, 128, 128)), 'TIFF')))
    assert np.asarray(to_rgb(lab)).max() <= 2
    assert to_rgb(smooth.convert('LAB')).size == (4, 6)


@pytest.mark.parametrize(
    ('values', 'what'),
    [
        (np.float32, 'floating-point values .*mode F'),
        (np.int32, '(signed|integer) values .*mode I'),
    ],
)
def test_values_of_unknown_range_are_refused(tmp_path: Path, values: type, what: str) -> None:
    image = Image.fromarray(WIDE.astype(values))
    image.save(tmp_path / 'deep.tif')
    with pytest.raises(UnreadableImage, match=rf'deep\.tif holds {what}.*PNG or TIFF'):
        read_image(tmp_path / 'deep.tif')
    with pytest.raises(UnreadableImage, match=f'image in memory holds {what}'):
        to_rgb(image)


@pytest.mark.parametrize('kind', [np.uint8, np.uint16])
def test_signed_numbers_are_refused(kind: type) -> None:
    content = with_tags(Image.fromarray(WIDE.astype(kind)), t339=2)
    with pytest.raises(UnreadableImage, match='holds signed values'):
        decode_image(content, 'a.tif')


def test_turned_photos_stand_upright(tmp_path: Path) -> None:
    levels = COLORS[..., 0], np.rint(WIDE / 257)
    twins = [np.repeat(gray_levels[..., None], 3, 2) for gray_levels in levels]
    for pixels, expected in zip((COLORS, COLORS[..., 0], WIDE), (COLORS, *twins), strict=True):
        for suffix in ('png', 'tif'):
            Image.fromarray(pixels).save(tmp_path / f'turned.{suffix}', exif=sideways())
            assert np.array_equal(np.asarray(read_image(tmp_path / f'turned.{suffix}')), np.rot90(expected, -1))


def test_first_frame_of_several(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((9, 5), level, np.uint8)) for level in (10, 200)]
    for suffix in ('gif', 'tif', 'png', 'webp'):
        settings = {'lossless': True} if suffix == 'webp' else {}
        frames[0].save(tmp_path / f'two.{suffix}', save_all=True, append_images=frames[1:], **settings)
        assert (gray(read_image(tmp_path / f'two.{suffix}')) == 10).all()


def test_format_only_of_untouched_pixels(tmp_path: Path) -> None:
    for name, image, settings, expected in (
        ('a.png', Image.fromarray(COLORS), {}, 'PNG'),
        ('a.jpg', Image.fromarray(COLORS), {}, 'JPEG'),
        ('turned.jpg', Image.fromarray(COLORS), {'exif': sideways()}, None),
        ('gray.png', Image.fromarray(COLORS[..., 0]), {}, None),
    ):
        image.save(tmp_path / name, **settings)
        assert read_image(tmp_path / name).format == expected


def test_damaged_files_are_named(tmp_path: Path) -> None:
    png, jpeg = (encode(Image.fromarray(COLORS), kind) for kind in ('PNG', 'JPEG'))
    for name, content, reason in (
        ('exif.png', damaged_exif(), 'SyntaxError'),
        ('bomb.png', bomb(), r'DecompressionBombError: .*1600000000 pixels.* exceeds limit of 178956970'),
        ('empty.jpg', b'', 'not an image in a format that Pillow knows'),
        ('text.jpg', b'no image', 'not an image in a format that Pillow knows'),
        ('half.png', png[: len(png) // 2], 'OSError|SyntaxError'),
        ('half.jpg', jpeg[: len(jpeg) - 99], 'OSError: .*[Tt]runcated'),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImage, match=rf'image {tmp_path}/{name} cannot be read \(.*({reason})'):
            read_image(tmp_path / name)
    with pytest.raises(UnreadableImage, match='The image in memory'), Image.open(tmp_path / 'half.jpg') as image:
        to_rgb(image)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / 'folder.jpg').mkdir()
    (tmp_path / 'broken.jpg').symlink_to(tmp_path / 'nowhere.jpg')
    (tmp_path / 'circle.jpg').symlink_to(tmp_path / 'circle.jpg')
    os.mkfifo(tmp_path / 'pipe.jpg')
    for name, reason in (
        ('folder.jpg', 'a folder, not a file'),
        ('pipe.jpg', 'a pipe or a device'),
        ('broken.jpg', 'FileNotFoundError: No such file'),
        ('circle.jpg', 'Too many levels of symbolic links'),
        ('a\0b.jpg', 'null'),
        ('a\ud800b.jpg', 'UnicodeEncodeError|FileNotFoundError'),
        ('folder.jpg/' + 'n' * 300, 'File name too long'),
        ('text.jpg/a.jpg', 'FileNotFoundError'),
    ):
        with pytest.raises(UnreadableImage, match=reason):
            read_image(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
def test_files_without_permission(tmp_path: Path) -> None:
    Image.fromarray(COLORS).save(tmp_path / 'secret.png')
    (tmp_path / 'secret.png').chmod(0)
    with pytest.raises(UnreadableImage, match='PermissionError'):
        read_image(tmp_path / 'secret.png')


def damage(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 2, 5, 20))):
        place = chance.randrange(len(changed)) if chance.random() < 0.5 else chance.randrange(min(len(changed), 200))
        how = chance.random()
        if how < 0.6:
            changed[place] = chance.randrange(256)
        elif how < 0.75:
            del changed[place : place + chance.randrange(1, 9)]
        elif how < 0.9:
            changed[place:place] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 5)))
        else:
            del changed[max(place, 1) :]
        changed = changed or bytearray(b'\0')
    return bytes(changed)


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('count', [1_500, pytest.param(300_000, marks=pytest.mark.slow)])
def test_damaged_bytes_raise_nothing_else(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100_000)  # or most of the time goes into gigantic empty images
    images = [Image.fromarray(COLORS), Image.fromarray(COLORS[..., 0]), Image.fromarray(WIDE)]
    kinds = ('JPEG', 'PNG', 'WEBP', 'TIFF', 'GIF', 'BMP', 'PPM', 'JPEG2000', 'TGA', 'PCX', 'DDS', 'ICO', 'SGI')
    seeds = [encode(images[0], kind) for kind in kinds]
    seeds += [encode(image, kind, exif=sideways()) for image in images[:2] for kind in ('JPEG', 'PNG', 'TIFF', 'WEBP')]
    seeds += [encode(images[2], kind, exif=sideways()) for kind in ('PNG', 'TIFF')]
    seeds += [encode(images[0], 'TIFF', compression=kind) for kind in ('tiff_lzw', 'jpeg', 'packbits')]
    chance = random.Random(0)
    unreadable = 0
    for _ in range(count):
        try:
            assert decode_image(damage(chance.choice(seeds), chance), 'a').mode == 'RGB'
        except UnreadableImage:
            unreadable += 1
    assert 0 < unreadable < count


def test_programs_that_draw_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EpsImagePlugin, 'Ghostscript', lambda *_: pytest.fail('it was run'))
    path = tmp_path / 'a.jpg'
    path.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n')
    with pytest.raises(UnreadableImage, match=r'a\.jpg cannot be read: it is EPS, a program that draws'):
        read_image(path)


def test_an_image_without_pixels_is_named() -> None:
    for size in ((0, 0), (0, 5), (5, 0)):
        with pytest.raises(UnreadableImage, match=f'in memory has no pixels: its size is {size[0]}x{size[1]}'):
            to_rgb(Image.new('RGB', size))
