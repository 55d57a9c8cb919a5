"""Float32 islands inside mixed precision."""

from functools import reduce

import torch
from torch import Tensor


def to_common_float(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Bring tensors to one floating-point type of at least float32.

    Half-precision inputs are upcast (their gradients come back in half precision); float64 stays float64.

    Args:
        *tensors: Floating-point tensors of any shape.

    Returns:
        The same tensors in the widest of their types, float32 at least.

    Raises:
        TypeError: If a tensor is not floating point.
    """
    for tensor in tensors:
        if not tensor.is_floating_point():
            raise TypeError(f'features and logits must be floating point, got {tensor.dtype}.')
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in tensors), torch.float32)
    return tuple(tensor.to(dtype) for tensor in tensors)


def wide_norms(entries: Tensor) -> Tensor:
    """Euclidean norms of the last dimension, in float32 at least."""
    return torch.linalg.vector_norm(entries, dim=-1, dtype=torch.promote_types(entries.dtype, torch.float32))


def full_precision(device: torch.device) -> torch.autocast:
    """Return a context in which autocast leaves matrix products in their inputs' precision."""
    return torch.autocast(device.type, enabled=False)
