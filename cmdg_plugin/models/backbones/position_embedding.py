"""Fitting the position embeddings of a checkpoint to another image size, square or not."""

import math

from mmengine.logging import print_log
from torch import Tensor, cat
from torch.nn import functional

Grid = tuple[int, int]


def find_source_grid(num_patches: int, native_grid: Grid, target_grid: Grid) -> Grid:
    """Tell the token grid that a checkpoint's position embeddings were made for.

    A checkpoint holds only their number. The model's native grid is the first guess, because it need not be square;
    then a perfect square; then the grid that is asked for (a checkpoint written at that very size).

    Args:
        num_patches: Number of position embeddings without the class token's.
        native_grid: Height and width of the grid at the model configuration's own image size.
        target_grid: Height and width of the grid that is asked for.

    Returns:
        Height and width of the checkpoint's grid.

    Raises:
        ValueError: If none of the three has that many tokens.
    """
    if math.prod(native_grid) == num_patches:
        return native_grid
    side = math.isqrt(num_patches)
    if side * side == num_patches:
        return side, side
    if math.prod(target_grid) == num_patches:
        return target_grid
    raise ValueError(
        f'The checkpoint has position embeddings for {num_patches} patches. That is neither the native grid of the '
        f'model ({native_grid[0]}x{native_grid[1]}), nor a square, nor the grid of the image size asked for '
        f'({target_grid[0]}x{target_grid[1]}), so they cannot be resized. '
        'Set `image_size` to the size that the checkpoint was trained at.'
    )


def resize_position_embedding(embedding: Tensor, native_grid: Grid, target_grid: Grid) -> Tensor:
    """Resample the position embeddings of an image tower to another token grid.

    Bicubic with antialiasing, as open_clip does it, but for grids that are not square as well (open_clip takes the
    integer square root of their number). The class token's embedding stays as it is.

    Args:
        embedding: Position embeddings, (1 + h * w, W), the class token's first.
        native_grid: Height and width of the grid at the model configuration's own image size.
        target_grid: Height and width (h', w') of the grid that is asked for.

    Returns:
        Position embeddings for the target grid, (1 + h' * w', W), in the type of the input.

    Raises:
        ValueError: If the checkpoint's grid cannot be told.
    """
    class_embedding, patch_embedding = embedding[:1], embedding[1:]
    source_grid = find_source_grid(len(patch_embedding), native_grid, target_grid)
    if source_grid == target_grid:
        return embedding
    print_log(
        f'Position embeddings resized from a grid of {source_grid[0]}x{source_grid[1]} '
        f'to {target_grid[0]}x{target_grid[1]} tokens.',
        logger='current',
    )
    # Half precision has no bicubic kernel on every device.
    image = patch_embedding.float().T.reshape(1, -1, *source_grid)
    image = functional.interpolate(image, size=target_grid, mode='bicubic', antialias=True, align_corners=False)
    return cat([class_embedding, image.flatten(2)[0].T.to(embedding.dtype)])
