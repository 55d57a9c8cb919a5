"""From the patch tokens of an image to one feature per body region."""

import torch
from torch import Tensor


def stripe_bounds(rows: int) -> tuple[tuple[int, int], ...]:
    """Cut the rows of a token grid into the upper, middle and lower stripe.

    Each stripe has `rows // 3` rows, the lower one takes the rest (CMDG, region features of the public release).

    Args:
        rows: Height of the token grid, at least 3.

    Returns:
        First row and row after the last one of each of the three stripes, from top to bottom.

    Raises:
        ValueError: If the grid is too low for three stripes.
    """
    if rows < 3:
        raise ValueError(
            f'Three body parts need a token grid of at least 3 rows, but it has {rows}. '
            'Use taller images (`image_size`) or a model with smaller patches.'
        )
    third = rows // 3
    return (0, third), (third, 2 * third), (2 * third, rows)


def pool_stripes(patches: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average the patch tokens of the upper, middle and lower stripe.

    Args:
        patches: Patch tokens in row-major order, (B, h * w, C).
        grid: Height and width (h, w) of the token grid; h at least 3.

    Returns:
        Mean token of each stripe, (3, B, C): upper, middle, lower.

    Raises:
        ValueError: If the tokens are not (B, h * w, C), or the grid is too low.
    """
    rows, columns = grid
    bounds = stripe_bounds(rows)
    if patches.ndim != 3 or patches.shape[1] != rows * columns:
        raise ValueError(
            f'Expected patch tokens of shape (B, {rows * columns}, C) for a grid of {rows}x{columns}, '
            f'got {tuple(patches.shape)}.'
        )
    return torch.stack([patches[:, top * columns : bottom * columns].mean(dim=1) for top, bottom in bounds])


def pool_regions(class_token: Tensor, patches: Tensor, grid: tuple[int, int]) -> Tensor:
    """Stack the features of all regions: three stripe means and the class token as the global one.

    Args:
        class_token: Class token of each image, or what stands for it, (B, C).
        patches: Patch tokens in row-major order, (B, h * w, C).
        grid: Height and width (h, w) of the token grid; h at least 3.

    Returns:
        One feature per region in the order of `cmdg_plugin.regions.REGIONS`, (4, B, C): upper, middle, lower, global.

    Raises:
        ValueError: If the shapes do not fit the grid, or the grid is too low.
    """
    return torch.cat([pool_stripes(patches, grid), class_token.unsqueeze(0)])
