"""Numbers from the CPU to the device, in the midst of a step."""

import torch
from torch import Tensor


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Bring a tensor of the CPU to a device without waiting for it.

    A copy from memory that the system may move waits until the device has done all that it was given before.

    Args:
        tensor: On the CPU, of any shape.
        device: Where it goes.
    """
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == 'cuda' else tensor.to(device)
