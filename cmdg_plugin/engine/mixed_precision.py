"""Mixed precision where the machine has a device for it, full precision elsewhere."""

from collections.abc import Mapping
from typing import Any

from mmengine.device import get_device

from cmdg_plugin.saying import warn

_DEVICES = ('cuda', 'npu', 'mlu', 'musa')
_AMP_SETTINGS = ('loss_scale', 'dtype', 'use_fsdp')


def fit_precision_to_device(optim_wrapper: Mapping[str, Any]) -> dict[str, Any]:
    """Replace MMEngine's mixed precision, which stops on a CPU, by full precision there, and say so in the log.

    Returns:
        The settings, changed only if they ask for `AmpOptimWrapper` on a device that it does not know.
    """
    settings = dict(optim_wrapper)
    device = get_device()
    if settings.get('type') != 'AmpOptimWrapper' or device in _DEVICES:
        return settings
    warn(f'Mixed precision (AmpOptimWrapper) needs a GPU and this run is on {device}: computing in full precision.')
    return {name: value for name, value in settings.items() if name not in _AMP_SETTINGS} | {'type': 'OptimWrapper'}
