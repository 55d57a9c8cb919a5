import math

import pytest
from helpers.terms import PART, SID, TARGETS, TRIPLET

from cmdg_plugin.models.losses import LossTerms
from cmdg_plugin.models.losses.term_config import read_terms


def test_an_entry_is_split_into_wiring_and_module() -> None:
    (part, sid, idle), modules = read_terms([PART | dict(weight=0), SID, TRIPLET | dict(weight=0)])
    assert (part.name, part.key, part.weight, part.outputs) == ('part', 'loss_part', 0, ('neighbors',))
    # An argument that is not named gets the field of its own name.
    assert part.inputs == {'parts': 'image_parts', 'bank': 'bank', 'image_index': 'image_index'}
    assert modules['loss_part'].num_neighbors == 4
    # Without weight, it runs for its reader alone.
    assert (part.runs, sid.runs, idle.runs) == (True, True, False)


@pytest.mark.parametrize(
    ('terms', 'message'),
    [
        ([TRIPLET, TRIPLET], "two loss terms are named 'tri'"),
        ([PART, PART | dict(name='other')], "output 'neighbors' is already written"),
        ([TRIPLET | dict(weight=math.nan)], 'weight must be a finite number'),
        ([TRIPLET | dict(weight='1')], 'weight must be a finite number'),
        ([TRIPLET | dict(margni=0.3)], "'tri': BatchHardTripletLoss does not take these arguments.*margni"),
        ([TRIPLET | dict(inputs=dict(feats='feature', labels='labels'))], 'forward does not take feats'),
        ([TRIPLET | dict(name='a.b')], 'name must be a word'),
        ([TRIPLET | dict(outputs='neighbors')], 'outputs must be a list'),
        ([dict(type='BatchHardTripletLoss')], 'lacks name'),
        (['tri'], 'expected a dict'),
    ],
)
def test_bad_terms_are_refused_at_construction(terms: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LossTerms(terms)


@pytest.mark.parametrize(
    ('term', 'option', 'argument'),
    [
        (PART, 'text_weight', 'text_neighbors'),
        (SID, 'text_ratio', 'text_neighbors'),
        (TARGETS, 'soft_ratio', 'neighbors'),
    ],
)
def test_an_option_that_does_nothing_without_its_input_is_refused(term: dict, option: str, argument: str) -> None:
    with pytest.raises(ValueError, match=rf'{option}=0\.3 does nothing without {argument}; name the field'):
        LossTerms([term | {option: 0.3}])
    LossTerms([term | {option: 0.0}])


@pytest.mark.parametrize(
    ('term', 'given', 'lacking'),
    [
        (dict(type='SoftIdentityLoss'), 'logits labels neighbors', 'bank'),
        (dict(type='SoftIdentityLoss'), 'logits labels bank', 'neighbors'),
        (dict(type='SoftIdentityLoss'), 'logits labels text_neighbors', 'neighbors'),
        (dict(type='MultiPositiveCaptionLoss', look_alike_ratio=0.3), 'neighbors', 'bank'),
        (dict(type='MultiPositiveCaptionLoss', look_alike_ratio=0.3), 'neighbors bank', 'image_index'),
    ],
)
def test_an_input_that_is_nothing_without_another_is_refused_before_training(
    term: dict, given: str, lacking: str
) -> None:
    with pytest.raises(ValueError, match=rf'does nothing without {lacking}; name the field'):
        read_terms([term | dict(name='x', inputs={name: name for name in given.split()})])


@pytest.mark.parametrize(
    ('term', 'before', 'now'),
    [
        (
            dict(type='PartNeighborLoss'),
            'parts=parts bank=bank positions=image_index valid=bank_filled bank_norms=bank_norms '
            'first_row=bank_first_row',
            'parts=parts bank=bank image_index=image_index',
        ),
        (
            dict(type='SoftIdentityLoss'),
            'logits=logits_width targets=labels neighbors=neighbors bank_labels=bank_labels',
            'logits=logits_width labels=labels neighbors=neighbors bank=bank',
        ),
        (
            dict(type='TextNeighborSearch', outputs=['found']),
            'captions=caption_regions bank_text=bank_text domains=domains bank_domains=bank_domains epoch=epoch '
            'valid=bank_filled text_norms=bank_text_norms first_row=bank_first_row',
            'caption_regions=caption_regions bank=bank domains=domains epoch=epoch',
        ),
        (
            dict(type='NeighborDiagnostics'),
            'neighbors=neighbors labels=labels domains=domains bank_labels=bank_labels bank_domains=bank_domains',
            'neighbors=neighbors labels=labels domains=domains bank=bank',
        ),
        (
            dict(type='PromptGuidanceLoss'),
            'image=global_shared prompts=prompt_features domain_prompts=domain_prompt_features targets=labels',
            'image=global_shared prompt_features=prompt_features domain_prompt_features=domain_prompt_features '
            'labels=labels',
        ),
        (
            dict(type='PromptClassificationLoss'),
            'image=global_shared prompts=prompt_features targets=labels',
            'image=global_shared prompt_features=prompt_features labels=labels',
        ),
    ],
    ids=lambda value: value['type'] if isinstance(value, dict) else '',
)
def test_entries_of_older_configs_mean_what_they_meant(term: dict, before: str, now: str) -> None:
    """Such as those stored in checkpoints, where the bank came in pieces."""
    inputs, expected = (dict(pair.split('=') for pair in text.split()) for text in (before, now))
    (found,), _ = read_terms([term | dict(name='x', inputs=inputs)])
    assert found.inputs == expected
