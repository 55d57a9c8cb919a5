import math

import pytest
from helpers.terms import PART, SID, TARGETS, TRIPLET

from cmdg_plugin.models.losses import LossTerms
from cmdg_plugin.models.losses.term_config import read_terms


def test_an_entry_is_split_into_wiring_and_module():
    (part, sid, idle), modules = read_terms([PART | dict(weight=0), SID, TRIPLET | dict(weight=0)])
    assert (part.name, part.key, part.weight, part.outputs) == ('part', 'loss_part', 0, ('neighbors',))
    assert part.inputs == PART['inputs']
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
        ([TRIPLET | dict(inputs=dict(features='feature'))], 'forward also needs labels'),
        ([TRIPLET | dict(inputs=dict(feats='feature', labels='labels'))], 'forward does not take feats'),
        ([TRIPLET | dict(name='a.b')], 'name must be a word'),
        ([TRIPLET | dict(outputs='neighbors')], 'outputs must be a list'),
        ([dict(type='BatchHardTripletLoss', name='tri')], 'lacks inputs'),
        (['tri'], 'expected a dict'),
    ],
)
def test_bad_terms_are_refused_at_construction(terms, message):
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
def test_an_option_that_does_nothing_without_its_input_is_refused(term, option, argument):
    with pytest.raises(ValueError, match=rf'{option}=0\.3 does nothing without {argument}; name the field'):
        LossTerms([term | {option: 0.3}])
    LossTerms([term | {option: 0.0}])
