"""What the pictures share: colors, and fitting an image into a cell."""

from PIL import Image

PAPER, INK, FAINT, MAT = '#ffffff', '#1a1a1a', '#666666', '#e9e9e9'


def fit_image(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale an image to the largest size of its aspect inside `size`, (width, height) in pixels."""
    scale = min(size[0] / image.width, size[1] / image.height)
    fitted = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(fitted, Image.Resampling.BICUBIC)
