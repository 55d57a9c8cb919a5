"""Small helpers shared by model, losses and memory: argument checks, precision, batches over ranks."""

from cmdg_plugin.models.utils.checks import (
    check_count,
    check_fraction,
    check_indices,
    check_integers,
    check_mask,
    check_positive,
    check_sizes,
)
from cmdg_plugin.models.utils.gathering import gather_batch
from cmdg_plugin.models.utils.placing import on_device
from cmdg_plugin.models.utils.precision import full_precision, to_common_float, wide_norms

__all__ = [
    'check_count',
    'check_fraction',
    'check_indices',
    'check_integers',
    'check_mask',
    'check_positive',
    'check_sizes',
    'full_precision',
    'gather_batch',
    'on_device',
    'to_common_float',
    'wide_norms',
]
