"""Argument checks that name what was expected and what came."""

import math

import torch
from torch import Tensor

_INTEGER_KINDS = ('torch.uint8', 'torch.int8', 'torch.int16', 'torch.int32', 'torch.int64')


def check_sizes(owner: str, **tensors: tuple[Tensor, str]) -> dict[str, int]:
    """Check several shapes against one another.

    Args:
        owner: Who checks, for the message.
        **tensors: Each argument with its layout, one letter a dimension: `parts=(parts, 'PBD')`. A letter that
            stands twice must be the same size both times.

    Returns:
        The size after every letter.

    Raises:
        TypeError: If an argument is not a tensor.
        ValueError: If a tensor has another number of dimensions, sizes disagree, or a size is 0.
    """
    sizes: dict[str, int] = {}
    for name, (tensor, layout) in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f'{owner}: {name} must be a tensor, got {type(tensor).__name__}.')
        shape = tuple(tensor.shape)
        known = {letter: sizes[letter] for letter in layout if letter in sizes}
        fits = len(shape) == len(layout)
        if not fits or any(sizes.setdefault(letter, size) != size for letter, size in zip(layout, shape, strict=True)):
            wanted = ', '.join(f'{letter}={size}' for letter, size in known.items())
            wanted = f' with {wanted}' if known else ''
            raise ValueError(f'{owner}: {name} must have shape ({", ".join(layout)}){wanted}, got {shape}.')
        if 0 in shape:
            raise ValueError(f'{owner}: {name} is empty, its shape ({", ".join(layout)}) is {shape}.')
    return sizes


def check_positive(owner: str, **values: float) -> None:
    """Check that numbers are finite and above 0.

    Raises:
        ValueError: If one is not; the message names it.
    """
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f'{owner}: {name} must be a finite number above 0, got {value}.')


def check_count(owner: str, at_least: int = 1, **values: int) -> None:
    """Check that numbers are whole and not too small.

    Args:
        owner: Who checks, for the message.
        at_least: The smallest number that is allowed.
        **values: The numbers by name.

    Raises:
        ValueError: If one is not; the message names it.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
            raise ValueError(f'{owner}: {name} must be a whole number of at least {at_least}, got {value!r}.')


def check_fraction(owner: str, **values: float) -> None:
    """Check that numbers lie in [0, 1].

    Raises:
        ValueError: If one does not; the message names it.
    """
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f'{owner}: {name} must lie between 0 and 1, got {value}.')


def check_mask(owner: str, name: str, mask: Tensor, size: int) -> None:
    """Check that a tensor is a mask of so many things.

    Raises:
        ValueError: If it is not bool or has another shape; the message names it.
    """
    if mask.dtype != torch.bool or tuple(mask.shape) != (size,):
        raise ValueError(
            f'{owner}: {name} must be bool of shape ({size},), got {mask.dtype} of shape {tuple(mask.shape)}.'
        )


def check_integers(owner: str, name: str, tensor: Tensor) -> None:
    """Check that a tensor holds integers.

    Raises:
        TypeError: If it does not; the message names it.
    """
    if str(tensor.dtype) not in _INTEGER_KINDS:
        raise TypeError(f'{owner}: {name} must hold integers, got {tensor.dtype}.')


def check_indices(
    owner: str, name: str, indices: Tensor, size: int, what: str, error: type[Exception] = ValueError
) -> None:
    """Check that a tensor holds integers in [0, size).

    Values are compared on the CPU only: on a GPU the comparison would have to wait for the device in every step, and
    the indexing kernels there refuse bad indices themselves.

    Args:
        owner: Who checks, for the message.
        name: The argument's name.
        indices: Indices or labels of any shape.
        size: How many things there are to index.
        what: What is indexed, in the plural: `'classes'`.
        error: Exception to raise for a value out of range.

    Raises:
        TypeError: If the tensor holds no integers.
        ValueError: If a value is out of range (or `error`, where given).
    """
    check_integers(owner, name, indices)
    if indices.device.type != 'cpu' or indices.numel() == 0:
        return
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= size:
        raise error(f'{owner}: {name} must lie in 0..{size - 1} (there are {size:,} {what}), got {low}..{high}.')
