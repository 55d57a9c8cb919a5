import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cmdg_plugin.models.cached_tensors import CachesTensors


class Pair(NamedTuple):
    first: Tensor
    second: Tensor


class Keeper(CachesTensors):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.kept: Tensor | None = None
        self.pair = Pair(torch.zeros(1), torch.ones(1))
        self.words = ('a', 'b')


def test_cached_tensors_follow_and_are_never_saved() -> None:
    keeper = Keeper()
    keeper.kept = torch.zeros(3)
    outer = nn.Sequential(keeper)
    outer.double()
    assert keeper.kept.dtype == keeper.pair.second.dtype == torch.float64
    assert isinstance(keeper.pair, Pair)
    assert keeper.words == ('a', 'b')
    assert set(outer.state_dict()) == {'0.layer.weight', '0.layer.bias'}
    assert not list(outer.buffers())
    assert torch.equal(copy.deepcopy(keeper).kept, keeper.kept)
