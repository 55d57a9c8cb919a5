"""What the model sees: a whole image or one of its thirds, checked to be readable before anything is asked."""

from pathlib import Path

from PIL import Image, ImageOps

from cmdg_plugin.files.images import UnreadableImage, data_url, jpeg_url, read_image
from cmdg_plugin.regions import PARTS

MIN_SIDE = 28
"""Pixels below which models of the Qwen2-VL family, and servers of them, refuse a side of an image."""

_SENT_AS_IS = {'JPEG': 'image/jpeg', 'PNG': 'image/png'}


def load_view(path: Path, third: str | None, min_side: int = 1) -> Image.Image:
    """Read an image upright in RGB, or one third of it.

    Thirds are as the backbone cuts them: `height // 3` rows each, the lower one takes the rest.

    Args:
        path: The image file.
        third: `upper`, `middle` or `lower`, or None for the whole image.
        min_side: An image or third with a side of fewer pixels is scaled up.

    Raises:
        UnreadableImage: If the file is missing, truncated or not an image.
        OSError: If the machine is to blame: too many open files, no memory, a lost mount.
    """
    return _enlarge(_cut(read_image(path), third), min_side)


def encode_view(path: Path, third: str | None, max_side: int, min_side: int = 1) -> str:
    """Read an image or a third and encode it as a data URL, the form in which chat endpoints take images.

    A whole upright JPEG or PNG within the limits goes as it is, so that the model sees no second compression.

    Args:
        path: The image file.
        third: `upper`, `middle` or `lower`, or None for the whole image.
        max_side: Larger images are scaled down to this many pixels.
        min_side: An image or third with a side of fewer pixels is scaled up, as far as `max_side` lets it; what is then
            still too narrow is widened by black edges.

    Raises:
        UnreadableImage: If the file is missing, truncated or not an image.
        OSError: If the machine is to blame: too many open files, no memory, a lost mount.
    """
    image = read_image(path)
    kind = _SENT_AS_IS.get(image.format or '')
    if third is None and kind and max(image.size) <= max_side and min(image.size) >= min_side:
        return data_url(kind, path.read_bytes())
    image = _cut(image, third)
    if min(image.size) < min_side:
        image = _enlarge(image, min(min_side, max_side * min(image.size) / max(image.size)))
    image.thumbnail((max_side, max_side))
    if min(image.size) < min_side:
        image = ImageOps.pad(image, (max(image.width, min_side), max(image.height, min_side)))
    return jpeg_url(image, quality=95)


def _cut(image: Image.Image, third: str | None) -> Image.Image:
    if third is None:
        return image
    rows = image.height // 3
    if not rows:
        raise UnreadableImage(f'an image of {image.height} rows has no thirds.')
    number = PARTS.index(third)
    return image.crop((0, rows * number, image.width, image.height if third == PARTS[-1] else rows * (number + 1)))


def _enlarge(image: Image.Image, min_side: float) -> Image.Image:
    factor = min_side / min(image.size)
    if factor <= 1:
        return image
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)
