"""Checks and conversions of what users hand to the ranking functions."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Matrix = Tensor | np.ndarray
Labels = Tensor | np.ndarray | Sequence[int]


def as_labels(labels: Labels, name: str, length: int) -> np.ndarray:
    """Identities or cameras as an int64 array.

    Args:
        labels: One integer per image.
        name: What to call them in an error.
        length: How many there must be.

    Returns:
        Shape (length,), int64.

    Raises:
        ValueError: If they are not one-dimensional or not `length` many.
        TypeError: If they are not integers.
    """
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if array.shape != (length,):
        raise ValueError(f'{name} must have shape ({length},), one entry per image, got {array.shape}.')
    if array.dtype.kind not in 'iu':
        raise TypeError(f'{name} must be integers, got {array.dtype}.')
    return array.astype(np.int64)


def as_features(features: Matrix, name: str, device: torch.device) -> Tensor:
    """Features as a float32 tensor on a device, without a copy where they are one already.

    Args:
        features: Shape (N, D).
        name: What to call them in an error.
        device: Where they are needed.

    Returns:
        Shape (N, D), float32.

    Raises:
        ValueError: If they are not a matrix, or empty.
    """
    _check_matrix(features, name, '(images, dimensions)')
    return _as_tensor(features).detach().to(device, torch.float32)


def as_two_sides(query: Matrix, gallery: Matrix, device: torch.device) -> tuple[Tensor, Tensor]:
    """Query and gallery features as `as_features` gives them, made sure to fit each other and to be finite.

    Raises:
        ValueError: If they are not matrices of one width, are empty or hold NaN or infinite numbers.
    """
    sides = as_features(query, 'query_features', device), as_features(gallery, 'gallery_features', device)
    if sides[0].shape[1] != sides[1].shape[1]:
        raise ValueError(
            f'Query features have {sides[0].shape[1]} dimensions, gallery features {sides[1].shape[1]}; '
            'both must come from the same model.'
        )
    for features, name in zip(sides, ('query_features', 'gallery_features'), strict=True):
        _check_finite(features, name)
    return sides


def as_distances(distance: Matrix) -> Tensor:
    """Rows of a distance matrix as a tensor: float32 and float64 as they are, half as float32, integers as float64."""
    tensor = _as_tensor(distance).detach()
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.float64)


def check_distances(distance: Matrix) -> tuple[int, int]:
    """Shape (Q, G) of a distance matrix; a `ValueError` if it is not a matrix, or empty."""
    _check_matrix(distance, 'distance', '(queries, gallery)')
    return distance.shape[0], distance.shape[1]


def _check_finite(features: Tensor, name: str) -> None:
    # A norm is NaN or infinite where its row holds such a number, and needs no mask of the matrix's size.
    norms = torch.linalg.vector_norm(features, dim=1)
    bad = (~norms.isfinite()).nonzero().flatten()
    if len(bad):
        raise ValueError(
            f'{name}: {len(bad)} of {len(features)} rows hold NaN or infinite numbers (first: row {int(bad[0])}); '
            'look for a diverged training run or an overflow in half precision.'
        )


def check_positive(value: int, name: str) -> int:
    """Return `value` if it is a positive integer, else raise a `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f'{name} must be a positive integer, got {value!r}.')
    return int(value)


def choose_device(features: Matrix, device: str | torch.device | None) -> torch.device:
    """Take `device` if given, else the features' accelerator, else the current GPU if there is one, else the CPU."""
    if device is not None:
        return torch.device(device)
    if isinstance(features, Tensor) and features.device.type != 'cpu':
        return features.device
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def _check_matrix(data: Matrix, name: str, axes: str) -> None:
    shape = getattr(data, 'shape', None)
    if shape is None:
        raise ValueError(f'{name} must be a matrix {axes}, tensor or array, got {type(data).__name__}.')
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f'{name} must be a non-empty matrix {axes}, got shape {tuple(shape)}.')


def _as_tensor(data: Matrix) -> Tensor:
    if isinstance(data, Tensor):
        return data
    array = np.ascontiguousarray(data)
    # Torch warns about read-only arrays (a memory-mapped file's), though nothing here writes.
    return torch.from_numpy(array if array.flags.writeable else array.copy())
