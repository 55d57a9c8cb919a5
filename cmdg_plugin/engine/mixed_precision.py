"""Mixed precision where the machine computes faster in it, full precision elsewhere."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from cmdg_plugin.registry import OPTIM_WRAPPERS
from cmdg_plugin.saying import say, warn

_DEVICES = ('cuda', 'npu', 'mlu', 'musa')
_AMP_SETTINGS = ('loss_scale', 'dtype', 'use_fsdp')


@contextmanager
def cpu_bfloat16() -> Iterator[None]:
    """Context in which models on a CPU compute in bfloat16, with plain attention: the fused one is slow there."""
    with torch.autocast('cpu', torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        yield


@OPTIM_WRAPPERS.register_module()
class CPUBFloat16OptimWrapper(OptimWrapper):
    """Optimizer wrapper whose model computes in bfloat16 on a CPU, which MMEngine's `AmpOptimWrapper` does not take."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute in bfloat16; see the base class."""
        with super().optim_context(model), cpu_bfloat16():
            yield


def has_bfloat16_products() -> bool:
    """Whether this CPU multiplies bfloat16 by instructions of its own; without them it is far slower than float32."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def fit_precision_to_device(optim_wrapper: Mapping[str, Any]) -> dict[str, Any]:
    """Replace MMEngine's mixed precision, which stops on a CPU, by what a CPU has, and say so in the log.

    That is bfloat16 where the settings name it (`dtype='bfloat16'`) and the CPU has instructions for it, else full
    precision: a recipe for GPUs gives the same numbers on every CPU.

    Returns:
        The settings, changed only if they ask for `AmpOptimWrapper` on a device that it does not know.
    """
    settings = dict(optim_wrapper)
    device = get_device()
    if settings.get('type') != 'AmpOptimWrapper' or device in _DEVICES:
        return settings
    others = {name: value for name, value in settings.items() if name not in _AMP_SETTINGS}
    if device == 'cpu' and settings.get('dtype') == 'bfloat16' and has_bfloat16_products():
        say('Mixed precision on a CPU: computing in bfloat16.')
        return {**others, 'type': 'cmdg_plugin.CPUBFloat16OptimWrapper'}
    warn(
        f'Mixed precision (AmpOptimWrapper) needs a GPU, or dtype bfloat16 and a CPU with instructions for it; this '
        f'run is on {device}: computing in full precision.'
    )
    return {**others, 'type': 'OptimWrapper'}
