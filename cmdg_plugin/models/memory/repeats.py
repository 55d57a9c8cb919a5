"""Where the same index stands several times in a batch, without a loop and without knowing how often."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Repeats:
    """For each of B indices, its place among its equals.

    All tensors have shape (B,); their shapes depend on nothing but B, so a GPU is never waited for.

    Attributes:
        later: How many equals come after it.
        count: How many equals there are, itself included.
        last: Position of the last of its equals.
        is_first: Whether it is the first of its equals.
    """

    later: Tensor
    count: Tensor
    last: Tensor
    is_first: Tensor

    @classmethod
    def of(cls, indices: Tensor) -> 'Repeats':
        """Compare the (B,) indices with one another, by sorting."""
        place = torch.arange(len(indices), device=indices.device)
        values, order = indices.sort(stable=True)
        changes = values[1:] != values[:-1]
        edge = changes.new_ones(1)
        begins, ends = torch.cat([edge, changes]), torch.cat([changes, edge])
        # In the sorted order, equals fill a run; its ends spread over it as running maximum and minimum.
        begin = torch.where(begins, place, 0).cummax(dim=0).values
        end = torch.where(ends, place, len(indices)).flip(0).cummin(dim=0).values.flip(0)
        back = torch.empty_like(order).scatter_(0, order, place)
        return cls(
            later=(end - place)[back],
            count=(end - begin + 1)[back],
            last=order[end][back],
            is_first=begins[back],
        )

    def sum_per_entry(self, rows: Tensor) -> Tensor:
        """Sum (B, ...) rows over equals; every equal gets the same, bit by bit."""
        return torch.zeros_like(rows).index_add_(0, self.last, rows)[self.last]
