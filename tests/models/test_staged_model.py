import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from cmdg_plugin.models.staged_model import StagedModel

TERM = dict(type='DistributionAlignmentLoss', name='alignment', weight=2.0, inputs=dict(image='a', text='b'))

SEARCH = ('captions', 'bank_text', 'domains', 'bank_domains', 'epoch')


class TwoStages(StagedModel):
    """Two linear layers, a stage for each."""

    def __init__(self, **losses: list[dict]) -> None:
        super().__init__(losses, {'type': 'ReIDDataPreprocessor'}, 'raise', None)
        self.layer, self.layers = nn.Linear(4, 4), nn.Linear(4, 4)

    def first_fields(self, inputs: Tensor) -> dict[str, Tensor]:
        return {'a': self.layer(inputs), 'b': inputs}

    def second_fields(self, inputs: Tensor) -> dict[str, Tensor]:
        return {'a': self.layers(inputs), 'b': inputs, 'c': inputs}

    def extract_features(self, inputs: Tensor | None) -> Tensor:
        return self.layer(inputs)


def test_a_stage_trains_its_parts_by_its_terms():
    model = TwoStages(first=[TERM], second=[TERM])
    assert model.stage_names == model.known_stages() == ['first', 'second']
    inputs = torch.randn(6, 4)
    with pytest.raises(RuntimeError, match='No stage was started'):
        model(inputs, mode='loss')
    model.start_stage('second', ['layers'])
    assert model.fields_read == {'a', 'b'}
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    (value,) = model(inputs, mode='loss').values()
    wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1))
    wrapper.update_params(value)
    changed = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed == {'layers.weight', 'layers.bias'}


def test_stages_without_a_method_and_parts_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"names stages \['third'\], but TwoStages has no method third_fields"):
        TwoStages(third=[TERM])
    model = TwoStages(first=[TERM])
    # 'layer' and 'layers' are two parts, and 'lay' is neither.
    with pytest.raises(ValueError, match="trains 'lay', but no trainable parameter's name begins so"):
        model.start_stage('first', ['lay'])
    model.start_stage('first', ['layer'])
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {'layer.weight', 'layer.bias'}


def test_terms_that_a_short_stage_never_reaches_are_named():
    late = dict(type='TextNeighborSearch', name='late', start_epoch=2, inputs=dict.fromkeys(SEARCH, 'a'), outputs=['d'])
    model = TwoStages(first=[TERM, late])
    assert model.terms_beginning_behind('first', 2) == ['late']
    assert model.terms_beginning_behind('first', 3) == []
