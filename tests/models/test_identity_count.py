import pytest
import torch
from mmengine.runner import load_state_dict
from torch import nn

from cmdg_plugin.models.heads import ReIDHead
from cmdg_plugin.models.identity_count import guard_identity_count


def test_absent_and_equal_weights_pass() -> None:
    module = nn.Linear(2, 5)
    guard_identity_count(module, 5, 'weight')
    module.load_state_dict({'weight': torch.ones(5, 2)}, strict=False)
    assert module.weight.eq(1).all()
    module.load_state_dict({'bias': torch.ones(5)}, strict=False)
    with pytest.raises(ValueError, match=r"trained on 4 identities \('weight'\), this data has 5"):
        module.load_state_dict({'weight': torch.zeros(4, 2)}, strict=False)


def test_mmengines_own_loading_is_guarded_too() -> None:
    with pytest.raises(ValueError, match=r'trained on 3 identities.*this data has 4'):
        load_state_dict(ReIDHead(4, 8, 4), ReIDHead(3, 8, 4).state_dict())
