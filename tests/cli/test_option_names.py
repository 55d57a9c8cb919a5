import pytest

from cmdg_plugin.cli.option_names import find_place

CONFIG = {
    'losses': {'last': [{'type': 'A', 'name': 'part'}, {'type': 'B', 'name': 'caption', 'weight': 1}]},
    'hooks': [{'type': 'EMAHook', 'momentum': 0.1}, {'type': 'Other'}, {'type': 'Other'}],
    'sources': [{'type': 'Drawn', 'domain': 'market'}, {'type': 'Drawn', 'domain': 'harbor'}],
    'loader': {'batch_size': 4},
    'sizes': [1, 2],
    'text': 'caption',
}


@pytest.mark.parametrize(
    ('option', 'resolved'),
    [
        ('losses.last.caption.weight', 'losses.last.1.weight'),
        ('losses.last.1.weight', 'losses.last.1.weight'),
        ('losses.last.part', 'losses.last.0'),
        ('losses.last.A.weight', 'losses.last.0.weight'),
        ('hooks.EMAHook.momentum', 'hooks.0.momentum'),
        ('sources.harbor.root', 'sources.1.root'),
        ('loader.batch_size', 'loader.batch_size'),
        ('new', 'new'),
    ],
)
def test_entries_of_lists_are_found_by_name_or_type(option: str, resolved: str) -> None:
    assert '.'.join(find_place(option, CONFIG).path) == resolved


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('losses.last.captions.weight', r'losses\.last has no entry named captions \(did you mean caption\?\); it has'),
        ('hooks.Other.x', 'hooks has several entries of type Other; give a position'),
        ('sizes.2', r'Option sizes\.2: sizes has no 2; it has 0, 1'),
        ('sources.habor.root', r'no entry named habor \(did you mean harbor\?\); it has market, harbor'),
        ('sizes.first', 'sizes has no entry named first; it has none with a name'),
    ],
)
def test_entries_that_are_not_there(option: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_place(option, CONFIG)


def test_an_argument_may_resemble_a_neighbor() -> None:
    config = {'optim_wrapper': {'type': 'AmpOptimWrapper'}, 'default_scope': 'cmdg_plugin'}
    assert find_place('optim_wrapper.dtype', config).path == ['optim_wrapper', 'dtype']
    with pytest.raises(ValueError, match=r'optim_wrapper has no dtypes \(did you mean type\?\)'):
        find_place('optim_wrapper.dtypes', config)


@pytest.mark.parametrize(
    'option', ['losses.last.part.weight', 'hooks.EMAHook.momentum', 'sizes.1', 'loader.batch_size', 'text', 'new']
)
def test_places_in_a_config(option: str) -> None:
    find_place(option, CONFIG)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('loader.batchsize', r'Option loader\.batchsize: loader has no batchsize \(did you mean batch_size\?\)'),
        ('lodaer.batch_size', r'the config has no lodaer \(did you mean loader\?\)'),
        ('losses.first.part.weight', r'losses has no first; it has last'),
        ('losses.last.2.weight', r'losses\.last has no 2; it has 0, 1'),
        ('sizes.2', r'sizes has no 2; it has 0, 1'),
        ('text.length', r'text has no length; it has nothing inside'),
    ],
)
def test_places_that_a_config_lacks(option: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_place(option, CONFIG)
