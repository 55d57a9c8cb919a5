"""A scope in which float32 matrix products keep float32 accuracy."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def exact_float32_matmul(device: torch.device) -> Iterator[None]:
    """Switch TF32, reduced-precision oneDNN products and autocast off for the block, and restore them after it.

    Training runs often allow TF32 or autocast, whose mantissas of 8 to 11 bits swap neighbors in a ranking of tens of
    thousands of distances.

    Args:
        device: Where the products run; autocast is switched off for its type.
    """
    # Backends whose precision is set one by one (torch 2.9 on, where the older global getter fails on mixed use).
    cuda, onednn = torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, 'matmul', None)
    backends: tuple[Any, ...] = (cuda, onednn) if hasattr(cuda, 'fp32_precision') and onednn is not None else ()
    before = [backend.fp32_precision for backend in backends]
    legacy = None if backends else torch.get_float32_matmul_precision()
    try:
        for backend in backends:
            backend.fp32_precision = 'ieee'
        if legacy is not None:
            torch.set_float32_matmul_precision('highest')
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision
        if legacy is not None:
            torch.set_float32_matmul_precision(legacy)
