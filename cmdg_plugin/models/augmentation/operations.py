"""Changes of many images at once, each image with its own parameters, rounded as Pillow rounds them.

All take and return RGB images (n, 3, H, W) uint8. What needs no parameter is torchvision's, in `steps`; its other
functions take one for all images.
"""

import torch
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.utils import on_device

_SIXTHS = [[0, 3, 1], [2, 0, 1], [1, 0, 3], [1, 2, 0], [3, 1, 0], [0, 1, 2]]
"""Which of (highest, lowest, falling, rising) is red, green, blue in each sixth of the circle of hues."""

_AROUND = 0.01  # Coordinates are in single precision: what is this close below a whole level is that level.


def luminance(images: Tensor) -> Tensor:
    """Brightness (n, 1, H, W) of each pixel in whole levels (ITU-R 601-2, in 16-bit fixed point), int32."""
    red, green, blue = images.int().split(1, dim=1)
    return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16


def to_gray(images: Tensor) -> Tensor:
    """Take the color out."""
    return luminance(images).to(torch.uint8).expand_as(images)


def crop(images: Tensor, top: Tensor, left: Tensor, size: tuple[int, int], padding: int) -> Tensor:
    """Cut a window out of each image with black around it.

    Args:
        images: The images.
        top: Where each window begins, counted from the upper edge of the padding, (n,).
        left: Likewise from the left.
        size: Height and width of the windows.
        padding: Black pixels on each side.
    """
    padded = functional.pad(images, [padding] * 4)
    rows = top[:, None] + torch.arange(size[0], device=images.device)
    columns = left[:, None] + torch.arange(size[1], device=images.device)
    number = torch.arange(len(images), device=images.device)[:, None, None, None]
    channel = torch.arange(3, device=images.device)[None, :, None, None]
    return padded[number, channel, rows[:, None, :, None], columns[:, None, None, :]]


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by factors (n,)."""
    return _blend(torch.zeros_like(images[:, :1]), images, factor)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from each image's mean brightness, or towards it, by factors (n,)."""
    mean = (luminance(images).double().mean((1, 2, 3), keepdim=True) + 0.5).floor()
    return _blend(mean, images, factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from gray, or towards it, by factors (n,)."""
    return _blend(luminance(images), images, factor)


def hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue by a part (n,) of the circle, -0.5 to 0.5, by way of Pillow's 8-bit HSV."""
    red, green, blue = images.float().unbind(1)
    low, value = images.float().aminmax(dim=1)
    spread = value - low
    gray = spread == 0
    over = torch.where(gray, 1.0, spread)
    # Single and double precision where Pillow's C code has them: truncated, another digit would be another hue.
    from_red, from_green, from_blue = (((value - channel) / over).double() for channel in (red, green, blue))
    sector = torch.where(green == value, 2 + from_red - from_blue, 4 + from_green - from_red)
    sector = torch.where(red == value, from_blue - from_green, sector).float()
    circle = ((sector.double() / 6 + 1) % 1).float()
    step = (shift.double() * 255).to(torch.int32)[:, None, None]
    turned = torch.where(gray, 0, (circle.double() * 255).int()) + step & 255
    depth = (torch.where(gray, 0.0, spread / torch.where(gray, 1.0, value)).double() * 255).int() / 255
    position = turned.double() * 6 / 255
    part = position % 1
    lowest, falling, rising = (_round(value * (1 - depth * share)) for share in (torch.ones_like(part), part, 1 - part))
    sixth = position.long() % 6
    choices = torch.stack([value, lowest, falling, rising], dim=1)
    table = on_device(_SIXTHS, images.device)
    return choices.gather(1, table[sixth].movedim(-1, 1)).to(torch.uint8)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the upper bits, 1 to 8, (n,)."""
    return images & (256 - (1 << (8 - bits.long())))[:, None, None, None].to(torch.uint8)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert what is as bright as thresholds (n,), 0 to 256, or brighter."""
    return torch.where(images < threshold.to(torch.int16)[:, None, None, None], images, 255 - images)


def affine(images: Tensor, matrix: Tensor) -> Tensor:
    """Move pixels, interpolated bilinearly, with black where the image has none.

    Args:
        images: The images.
        matrix: Where in the input the point (x, y, 1) of the output lies, in pixels from the upper left, (n, 2, 3).
    """
    height, width = images.shape[-2:]
    x = torch.arange(width, device=images.device) + 0.5
    y = torch.arange(height, device=images.device)[:, None] + 0.5
    column, row = (a * x + b * y + c for a, b, c in (part.unbind(1) for part in matrix[..., None, None].unbind(1)))
    grid = torch.stack([2 * column / width - 1, 2 * row / height - 1], dim=-1)
    moved = functional.grid_sample(images.float(), grid, padding_mode='border', align_corners=False)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return ((moved + _AROUND).floor() * inside[:, None]).to(torch.uint8)


def _blend(base: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """Take `base + factor (images - base)` in whole levels."""
    base = base.float()
    return (base + factor.float()[:, None, None, None] * (images - base)).clamp(0, 255).to(torch.uint8)


def _round(values: Tensor) -> Tensor:
    """Round halves away from zero, as C does."""
    return (values + 0.5).floor().float()
