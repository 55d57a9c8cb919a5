"""A GPU that is pretended: tensors that know their device and hold no data (PyTorch's fake tensors).

An operation that mixes devices is an error there as on a real one, and so is one that reads a number from the device.
It computes nothing, and its autograd cannot run backwards.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode


class PretendedGPU:
    """Takes what exists to a pretended GPU, and computes there.

    Attributes:
        waits: Lines that copied between CPU and device and waited until that was done.
    """

    def __init__(self) -> None:
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.waits: list[str] = []

    def take(self, tensor: Tensor) -> Tensor:
        """A tensor of the same kind, on the device."""
        with self.mode:
            return torch.empty_like(self.mode.from_tensor(tensor), device='cuda').requires_grad_(tensor.requires_grad)

    def take_model(self, model: nn.Module) -> None:
        """Move a model with all that it keeps; its data preprocessor brings batches there from then on."""
        model._apply(self.take)
        with self.mode:
            model.data_preprocessor.to('cuda')

    @contextmanager
    def running(self) -> Iterator[None]:
        """Compute on the device, and note what waits for it."""
        with self.mode, _Copies(self.waits):
            yield


class _Copies(TorchDispatchMode):
    def __init__(self, waits: list[str]) -> None:
        super().__init__()
        self.waits = waits
        self.pinned: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs, name = kwargs or {}, func.overloadpacket.__name__
        if name == '_pin_memory':
            # Without a driver there is no such memory.
            self.pinned.append(args[0].clone())
            return self.pinned[-1]
        result = func(*args, **kwargs)
        if name in ('_to_copy', 'copy_'):
            source = args[name == 'copy_']
            ready = kwargs.get('non_blocking') and any(source is each for each in self.pinned)
            if source.device.type != result.device.type and not ready:
                line = traceback.extract_stack(limit=2)[0]
                self.waits.append(f'{line.filename}:{line.lineno}: {line.line}')
        return result
