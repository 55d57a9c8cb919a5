"""Fitting the position embeddings of a checkpoint to another image size, square or not."""

import math

from torch import Tensor, cat
from torch.nn import functional

from cmdg_plugin.saying import say

Grid = tuple[int, int]


def find_source_grid(num_patches: int, native_grid: Grid, target_grid: Grid) -> Grid:
    """Tell the token grid that a checkpoint's position embeddings were made for.

    A checkpoint holds only their number. The model's native grid is the first guess, because it need not be square;
    then a perfect square; then the grid that is asked for (a checkpoint written at that very size).

    Args:
        num_patches: Number of position embeddings without the class token's.
        native_grid: Height and width of the grid at the model configuration's own image size.
        target_grid: Height and width of the grid that is asked for.

    Raises:
        ValueError: If none of the three has that many tokens.
    """
    side = math.isqrt(num_patches)
    for grid in (native_grid, (side, side), target_grid):
        if math.prod(grid) == num_patches:
            return grid
    raise ValueError(
        f'The checkpoint has position embeddings for {num_patches} patches. That is neither the native grid of the '
        f'model ({native_grid[0]}x{native_grid[1]}), nor a square, nor the grid of the image size asked for '
        f'({target_grid[0]}x{target_grid[1]}), so they cannot be resized. '
        'Set `image_size` to the size that the checkpoint was trained at.'
    )


def resize_position_embedding(embedding: Tensor, native_grid: Grid, target_grid: Grid, num_extra: int = 1) -> Tensor:
    """Resample the position embeddings of an image tower to another token grid.

    Bicubic with antialiasing, as open_clip does it, but for grids that are not square as well (open_clip takes the
    integer square root of their number). Embeddings before those of the grid (the class token's) stay as they are.

    Args:
        embedding: Position embeddings, (num_extra + h * w, W) or, as timm keeps them, (1, num_extra + h * w, W).
        native_grid: Height and width of the grid at the model configuration's own image size.
        target_grid: Height and width (h', w') of the grid that is asked for.
        num_extra: Number of embeddings before those of the grid.

    Returns:
        Position embeddings for the target grid, of as many dimensions and of the type of the input.

    Raises:
        ValueError: If the checkpoint's grid cannot be told.
    """
    flat = embedding.flatten(0, -2)
    extra, patch_embedding = flat[:num_extra], flat[num_extra:]
    source_grid = find_source_grid(len(patch_embedding), native_grid, target_grid)
    if source_grid == target_grid:
        return embedding
    say(
        f'Position embeddings resized from a grid of {source_grid[0]}x{source_grid[1]} '
        f'to {target_grid[0]}x{target_grid[1]} tokens.'
    )
    # Half precision has no bicubic kernel on every device.
    image = patch_embedding.float().T.reshape(1, -1, *source_grid)
    image = functional.interpolate(image, size=target_grid, mode='bicubic', antialias=True, align_corners=False)
    resized = cat([extra, image.flatten(2)[0].T.to(embedding.dtype)])
    return resized.view(*embedding.shape[:-2], *resized.shape)
