"""What the pictures share: colors, and fitting an image into a cell."""

from PIL import Image, ImageDraw

PAPER, INK, FAINT, MAT = '#ffffff', '#1a1a1a', '#666666', '#e9e9e9'

Pixels = tuple[int, int]
"""Width and height of something, or how far it lies from the left and from the top."""


def fit_image(image: Image.Image, size: Pixels) -> Image.Image:
    """Scale an image to the largest size of its aspect inside `size`, (width, height) in pixels."""
    scale = min(size[0] / image.width, size[1] / image.height)
    fitted = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(fitted, Image.Resampling.BICUBIC)


def paste_fitted(picture: Image.Image, image: Image.Image, corner: Pixels, size: Pixels) -> None:
    """Put an image into the middle of a gray cell, (left, top) and (width, height), as large as its aspect allows."""
    left, top = corner
    ImageDraw.Draw(picture).rectangle((left, top, left + size[0] - 1, top + size[1] - 1), fill=MAT)
    fitted = fit_image(image, size)
    picture.paste(fitted, (left + (size[0] - fitted.width) // 2, top + (size[1] - fitted.height) // 2))
