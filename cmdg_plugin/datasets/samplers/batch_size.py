"""Samplers that compose batches learn their size from the dataloader."""

import inspect
from typing import Any

from cmdg_plugin.registry import DATA_SAMPLERS


def tell_batch_size(sampler: dict[str, Any], batch_size: int) -> dict[str, Any]:
    """Give the dataloader's batch size to a sampler that composes batches, so that a config says it once.

    Args:
        sampler: Config of the sampler.
        batch_size: The dataloader's.

    Raises:
        ValueError: If the sampler's own differs.
    """
    kind = DATA_SAMPLERS.get(sampler['type']) if isinstance(sampler['type'], str) else sampler['type']
    if kind is None or 'batch_size' not in inspect.signature(kind).parameters:
        return sampler
    own = sampler.get('batch_size', batch_size)
    if own != batch_size:
        raise ValueError(
            f"train_dataloader.batch_size is {batch_size}, but its sampler composes batches of {own}: the batches' "
            'identities would be torn apart. Set train_dataloader.batch_size alone; the sampler learns it from there.'
        )
    return {**sampler, 'batch_size': batch_size}
