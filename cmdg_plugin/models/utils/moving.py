"""Numbers of the host, brought to where the model is."""

from typing import Any

import torch
from torch import Tensor


def on_device(values: Any, device: torch.device) -> Tensor:
    """Bring numbers to a device without waiting for it.

    A plain `.to(device)` or `torch.tensor(..., device=device)` lets the host wait until a GPU has done all that it was
    told before.

    Args:
        values: A tensor on the CPU, an array or nested lists.
        device: Where to bring them.
    """
    tensor = torch.as_tensor(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == 'cuda' else tensor.to(device)
