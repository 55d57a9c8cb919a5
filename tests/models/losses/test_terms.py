from typing import Any, NoReturn

import pytest
import torch
from helpers.banks import make_bank
from helpers.terms import PART, SID, TRIPLET
from torch import Tensor, nn

from cmdg_plugin.models.losses import (
    LossTerm,
    LossTerms,
    batch_hard_triplet_loss,
    part_neighbor_loss,
    soft_identity_loss,
)
from cmdg_plugin.models.training_images import DataSizes
from cmdg_plugin.registry import MODELS


@pytest.fixture
def fields() -> dict:
    return dict(
        image_parts=torch.randn(3, 4, 8, requires_grad=True),
        bank=make_bank(torch.randn(20, 3, 8), labels=torch.randint(5, (20,))),
        image_index=torch.tensor([0, 5, 6, 19]),
        logits=torch.randn(4, 5),
        labels=torch.tensor([0, 0, 4, 4]),
        feature=torch.randn(4, 8),
    )


def test_terms_run_in_order_with_weights_and_pass_outputs_on(fields: dict) -> None:
    before = dict(fields)
    losses = LossTerms([PART, SID, TRIPLET])(fields)
    assert list(losses) == ['loss_part', 'loss_sid', 'loss_tri']
    part, neighbors = part_neighbor_loss(
        fields['image_parts'], fields['bank'].image, fields['image_index'], num_neighbors=4
    )
    labels = fields['bank'].labels[neighbors].transpose(0, 1).flatten(1)
    torch.testing.assert_close(losses['loss_part'], 0.8 * part)
    torch.testing.assert_close(
        losses['loss_sid'], 3.75 * soft_identity_loss(fields['logits'], fields['labels'], labels)
    )
    torch.testing.assert_close(losses['loss_tri'], batch_hard_triplet_loss(fields['feature'], fields['labels']))
    assert fields == before


def test_weightless_term_runs_only_for_its_readers(fields: dict) -> None:
    losses = LossTerms([PART | dict(weight=0), SID])(fields)
    torch.testing.assert_close(losses, {'loss_sid': LossTerms([PART, SID])(fields)['loss_sid']})
    del fields['image_parts']  # would be missed if the term ran
    assert list(LossTerms([PART | dict(weight=0), SID | dict(weight=0), TRIPLET])(fields)) == ['loss_tri']


def test_terms_of_users_and_of_mmpretrain_fit_in(fields: dict) -> None:
    @MODELS.register_module(force=True)
    class MeanSquareForTest(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(factor))

        def forward(self, feature: Tensor) -> Any:
            return self.factor * feature.square().mean()

    terms = LossTerms(
        [
            dict(type='MeanSquareForTest', name='values', factor=2.0, inputs=dict(feature='feature')),
            dict(
                type='mmpretrain.LabelSmoothLoss',
                name='smooth',
                label_smooth_val=0.1,
                mode='original',
                inputs=dict(cls_score='logits', label='labels'),
            ),
        ]
    )
    losses = terms(fields)
    torch.testing.assert_close(losses['loss_values'], 2 * fields['feature'].square().mean())
    torch.testing.assert_close(losses['loss_smooth'], soft_identity_loss(fields['logits'], fields['labels']))
    assert [name for name, _ in terms.named_parameters()] == ['losses.loss_values.factor']


def test_fields_read_are_those_of_terms_that_run() -> None:
    assert LossTerms([PART | dict(weight=0), SID]).reads >= {'image_parts', 'bank', 'logits', 'image_index'}
    assert LossTerms([PART | dict(weight=0), SID | dict(weight=0), TRIPLET]).reads == {'feature', 'labels'}


def test_terms_are_given_the_sizes_that_they_ask_for() -> None:
    @MODELS.register_module(force=True)
    class SizedForTest(LossTerm):
        def bind_data(self, sizes: DataSizes) -> None:
            self.layer = nn.Linear(sizes.embed_dim, sizes.num_domains)

        def check_data(self, sizes: DataSizes) -> NoReturn:
            raise ValueError(f'{sizes.num_identities} are too few')

        def forward(self, feature: Tensor) -> Any:
            return self.layer(feature).mean()

    terms = LossTerms([TRIPLET, dict(type='SizedForTest', name='sized', inputs=dict(feature='feature'))])
    assert not list(terms.parameters())
    sizes = DataSizes(7, 3, 20, 10, 7, 16, 8)
    terms.bind_data(sizes)
    assert {name: tuple(p.shape) for name, p in terms.named_parameters()} == {
        'losses.loss_sized.layer.weight': (3, 8),
        'losses.loss_sized.layer.bias': (3,),
    }
    with pytest.raises(ValueError, match='7 are too few'):
        terms.check_data(sizes)
    LossTerms([TRIPLET, dict(type='SizedForTest', name='idle', weight=0)]).check_data(sizes)


def test_members_of_the_base_count_in_its_subclasses_alone() -> None:
    @MODELS.register_module(force=True)
    class StrayForTest(nn.Module):
        def bind_data(self, num_domains: int) -> None:
            self.layer = nn.Linear(1, num_domains)

        def forward(self, feature: Tensor) -> Any:
            return feature.mean()

    with pytest.raises(ValueError, match=r'StrayForTest has bind_data, which only counts in a subclass of .*LossTerm'):
        LossTerms([dict(type='StrayForTest', name='stray')])


def test_terms_that_a_short_stage_never_reaches_are_named() -> None:
    late = dict(type='TextNeighborSearch', name='late', start_epoch=2, outputs=['found'])
    terms = LossTerms([TRIPLET, late])
    assert terms.starting_after(2) == ['late']
    assert terms.starting_after(3) == []
    # Nobody reads what it finds, so no captions guide anything.
    assert not terms.reads_bank_captions
    log = dict(type='NeighborDiagnostics', name='log', inputs=dict(text_neighbors='found'))
    assert LossTerms([PART, late, log]).reads_bank_captions


def test_builds_from_the_registry(fields: dict) -> None:
    terms = MODELS.build(dict(type='LossTerms', terms=[TRIPLET]))
    assert 'tri=1' in repr(terms)


def test_missing_field_is_named_with_the_fields_there_are(fields: dict) -> None:
    del fields['bank']
    with pytest.raises(
        ValueError, match=r"'part' reads the field 'bank', but there are only: image_parts, image_index"
    ):
        LossTerms([PART])(fields)


def test_reader_before_its_writer_misses_the_field(fields: dict) -> None:
    with pytest.raises(ValueError, match="'sid' reads the field 'neighbors'"):
        LossTerms([SID, PART])(fields)


def test_outputs_that_are_not_returned_or_replace_a_field_are_refused(fields: dict) -> None:
    with pytest.raises(ValueError, match='returns 1 tensors besides its loss, but outputs names 2'):
        LossTerms([PART | dict(outputs=['neighbors', 'more'])])(fields)
    with pytest.raises(ValueError, match="output 'bank' would replace"):
        LossTerms([PART | dict(outputs=['bank'])])(fields)


def test_without_grad_no_term_builds_a_graph(fields: dict) -> None:
    with torch.no_grad():
        losses = LossTerms([PART, SID])(fields)
    assert not any(loss.requires_grad for loss in losses.values())


@MODELS.register_module()
class FindsTwice(LossTerm):
    """Doubles a field for the terms after it."""

    has_loss = False
    calls = 0

    def forward(self, feature: Tensor) -> Any:
        type(self).calls += 1
        return (feature * 2,)


@MODELS.register_module()
class TellsTheLog(LossTerm):
    """Numbers for the log."""

    has_loss = False

    def forward(self, feature: Tensor) -> Any:
        return {'mean': feature.mean()}


DOUBLE = dict(type='FindsTwice', name='double', inputs=dict(feature='feature'), outputs=['doubled'])


def test_module_without_loss_feeds_terms_and_is_not_reported(fields: dict) -> None:
    losses = LossTerms([DOUBLE, TRIPLET | dict(inputs=dict(features='doubled', labels='labels'))])(fields)
    torch.testing.assert_close(losses, {'loss_tri': batch_hard_triplet_loss(fields['feature'] * 2, fields['labels'])})


def test_module_without_loss_learns_from_the_terms_it_feeds(fields: dict) -> None:
    fields['feature'].requires_grad_()
    LossTerms([DOUBLE, TRIPLET | dict(inputs=dict(features='doubled', labels='labels'))])(fields)['loss_tri'].backward()
    found, fields['feature'].grad = fields['feature'].grad, None
    batch_hard_triplet_loss(fields['feature'] * 2, fields['labels']).backward()
    torch.testing.assert_close(found, fields['feature'].grad)


@pytest.mark.parametrize(
    ('term', 'message'),
    [
        (dict(type='TellsTheLog', outputs=['mean']), "'x' returns a dict, so it cannot fill its outputs mean"),
        (dict(type='FindsTwice'), "'x' has neither a loss nor outputs, so it must return a dict .* got tuple"),
    ],
)
def test_module_without_loss_returns_what_its_entry_says(fields: dict, term: dict, message: str) -> None:
    entry = dict(name='x', inputs=dict(feature='feature')) | term
    reader = TRIPLET | dict(inputs=dict(features='mean', labels='labels'))
    with pytest.raises(ValueError, match=message):
        LossTerms([entry, *([reader] if 'outputs' in term else [])])(fields)


def test_module_without_loss_that_nobody_reads_is_not_computed(fields: dict) -> None:
    FindsTwice.calls = 0
    LossTerms([DOUBLE, TRIPLET])(fields)
    assert FindsTwice.calls == 0


def test_numbers_for_the_log_stand_under_the_name_and_add_no_loss(fields: dict) -> None:
    losses = LossTerms([TRIPLET, dict(type='TellsTheLog', name='about', inputs=dict(feature='feature'))])(fields)
    assert list(losses) == ['loss_tri', 'about/mean']
    assert not losses['about/mean'].requires_grad
    torch.testing.assert_close(losses['about/mean'], fields['feature'].mean())


def test_module_without_loss_takes_no_weight() -> None:
    with pytest.raises(ValueError, match="'double': FindsTwice has no loss, so it takes no weight"):
        LossTerms([DOUBLE | dict(weight=0.5)])


def test_numbers_for_the_log_are_never_taken_for_losses(fields: dict) -> None:
    for name in ('about_losses', 'lossless'):
        with pytest.raises(ValueError, match=f"MMEngine would add '{name}/mean' to the losses"):
            LossTerms([dict(type='TellsTheLog', name=name, inputs=dict(feature='feature'))])(fields)


def test_a_term_with_a_loss_must_return_it_as_a_tensor(fields: dict) -> None:
    @MODELS.register_module(force=True)
    class DictForTest(nn.Module):
        def forward(self, feature: Tensor) -> Any:
            return {'value': feature.mean()}

    @MODELS.register_module(force=True)
    class VectorForTest(nn.Module):
        def forward(self, feature: Tensor) -> Any:
            return feature.mean(dim=1)

    with pytest.raises(ValueError, match=r"'v' must return a scalar tensor first, got Tensor of shape \(4,\)"):
        LossTerms([dict(type='VectorForTest', name='v', inputs=dict(feature='feature'))])(fields)
    with pytest.raises(ValueError, match="'wrapped' must return a scalar tensor first, got dict"):
        LossTerms([dict(type='DictForTest', name='wrapped', weight=0.5, inputs=dict(feature='feature'))])(fields)
