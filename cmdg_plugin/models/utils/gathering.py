"""The whole batch on every rank, with gradients back to the rank that a sample came from."""

from typing import Any

import torch
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor
from torch.autograd.function import once_differentiable


class _GatherRows(torch.autograd.Function):
    """Concatenates the rows of all ranks, in the order of the ranks.

    Every rank then computes the same loss from the same rows, so the gradient of any rank holds the gradients of all.
    Data-parallel wrappers average over ranks, and a sample's gradient reaches one rank only: it is multiplied by their
    number, so that the average is what one process with the whole batch would get.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.num_rows = len(rows)
        return torch.cat(all_gather(rows.contiguous()))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        first = get_rank() * ctx.num_rows
        return gradient[first : first + ctx.num_rows] * get_world_size()


def gather_batch(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Put the local batches of all ranks one after the other; a single process gets its own back.

    Losses that compare samples with each other (triplets, contrast, batch normalization) then see on every rank what
    they would see in one process. One exchange carries all the tensors.

    Args:
        *tensors: (B, ...) each, of one type, B the same on all ranks; those that need gradients get the gradients of
            one process under a wrapper that averages them over ranks, as `DistributedDataParallel` does.

    Returns:
        The same tensors with all ranks' rows, (B * ranks, ...).
    """
    if get_world_size() == 1:
        return tensors
    rows = torch.cat([tensor.reshape(len(tensor), -1) for tensor in tensors], dim=1)
    gathered = _GatherRows.apply(rows) if rows.is_floating_point() else torch.cat(all_gather(rows.contiguous()))
    columns = gathered.split([tensor[0].numel() for tensor in tensors], dim=1)
    return tuple(part.reshape(-1, *tensor.shape[1:]) for part, tensor in zip(columns, tensors, strict=True))
