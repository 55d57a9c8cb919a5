"""A GPU that is not there: torch's fake tensors, which know where they would lie and hold no numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

GPU = torch.device('cuda', 0)
_ATEN = torch.ops.aten


@contextmanager
def fake_gpu() -> Iterator[None]:
    """Context in which tensors may lie on a GPU; one that is asked for its numbers raises an error."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


class NoWaiting(TorchDispatchMode):
    """Refuses copies between CPU and GPU that the CPU waits for; goes inside `fake_gpu`."""

    def __init__(self) -> None:
        super().__init__()
        self.pinned: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is _ATEN._pin_memory.default:
            # Without a driver there is no such memory.
            self.pinned.append(args[0].clone())
            return self.pinned[-1]
        result = func(*args, **kwargs)
        if func in (_ATEN._to_copy.default, _ATEN.copy_.default):
            source = args[func is _ATEN.copy_.default]
            ready = kwargs.get('non_blocking') and any(source is each for each in self.pinned)
            if source.device.type != result.device.type and not ready:
                raise AssertionError(f'The CPU waits for a copy from {source.device} to {result.device}.')
        return result


def put_on_gpu(model: nn.Module) -> None:
    """Move a model as `model.cuda()` would, inside `fake_gpu`."""
    for module in model.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                module._parameters[name] = nn.Parameter(_fake(weight.detach()), weight.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = _fake(buffer)
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                setattr(module, name, _fake(value))
            elif isinstance(value, tuple) and value and all(isinstance(each, Tensor) for each in value):
                setattr(module, name, type(value)(*map(_fake, value)))


def _fake(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, device=GPU)
