import pytest
import torch
from torch import nn

from cmdg_plugin.models.same_model import check_same_model


def test_missing_and_misshapen_weights_are_named() -> None:
    backbone = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    good = {f'model.{name}': value for name, value in backbone.state_dict().items()}
    check_same_model(good, 'model.', backbone)
    with pytest.raises(ValueError, match=r'another model: backbone\.0\.weight is \(5, 5\), here \(3, 2\)\. Use it'):
        check_same_model({**good, 'model.0.weight': torch.zeros(5, 5)}, 'model.', backbone)
    with pytest.raises(ValueError, match=r'backbone\.0\.weight is missing; .*, and 1 more'):
        check_same_model({}, 'model.', backbone)
    with pytest.raises(ValueError, match=r'another model: backbone\.1\.extra has no place here\. Use it'):
        check_same_model({**good, 'model.1.extra': torch.zeros(1), 'other.1': torch.zeros(1)}, 'model.', backbone)
