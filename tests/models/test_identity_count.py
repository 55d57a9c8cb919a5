import pytest
import torch
from mmengine.runner import load_state_dict

from cmdg_plugin.models.heads import ReIDHead
from cmdg_plugin.models.identity_count import check_identity_count


def test_absent_and_equal_weights_pass() -> None:
    check_identity_count({}, 'context', 5)
    check_identity_count({'context': torch.zeros(5, 2)}, 'context', 5)
    with pytest.raises(ValueError, match=r'trained on 4 identities.*this data has 5'):
        check_identity_count({'context': torch.zeros(4, 2)}, 'context', 5)


def test_mmengines_own_loading_is_guarded_too() -> None:
    with pytest.raises(ValueError, match=r'trained on 3 identities.*this data has 4'):
        load_state_dict(ReIDHead(4, 8, 4), ReIDHead(3, 8, 4).state_dict())
