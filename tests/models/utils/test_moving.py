import torch
from helpers.pretended_gpu import PretendedGPU

from cmdg_plugin.models.utils import on_device


def test_numbers_arrive_unchanged() -> None:
    numbers = torch.tensor([3, 1, 2])
    assert torch.equal(on_device(numbers, torch.device('cpu')), numbers)


def test_nothing_waits_for_a_gpu() -> None:
    gpu = PretendedGPU()
    with gpu.running():
        moved = on_device(torch.tensor([3, 1, 2]), torch.device('cuda'))
    assert (moved.device.type, moved.shape, moved.dtype) == ('cuda', (3,), torch.int64)
    assert not gpu.waits
