"""Tensors that a module computes and keeps while a run lasts."""

from collections.abc import Callable

from torch import Tensor, nn


class CachesTensors(nn.Module):
    """Module whose plain tensor attributes follow it to another device or type.

    They are not buffers, because they come and go: whoever keeps a copy of the model (averaged weights) or walks over
    its buffers (data parallelism) counts on finding the same ones. They are in no checkpoint.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> 'CachesTensors':
        super()._apply(fn, recurse)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, fn(value))
            elif isinstance(value, tuple) and value and all(isinstance(each, Tensor) for each in value):
                # A named tuple of tensors.
                setattr(self, name, type(value)(*map(fn, value)))
        return self
