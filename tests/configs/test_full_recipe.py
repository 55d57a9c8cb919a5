"""Recipe `full` is `released`, part attention and three entries of the bridging stage; nothing else differs."""

from pathlib import Path

import pytest
from mmengine.config import Config

CONFIGS = Path(__file__).parents[2] / 'configs/cmdg'
FULL = sorted(path.name for path in CONFIGS.glob('cmdg-full_*.py'))
NEW_KEYS = {'part': {'text_weight'}, 'soft_identity': {'text_ratio'}}
NEW_TERMS = ['text_search', 'neighbors']


def test_every_released_config_has_a_full_one() -> None:
    released = {path.name for path in CONFIGS.glob('cmdg_*.py')}
    expected = {n for n in released if n.startswith('cmdg_vit-base-p16_p') or n == 'cmdg_toy-vit_islands.py'}
    assert {name.replace('cmdg-full_', 'cmdg_') for name in FULL} == expected


@pytest.mark.parametrize('name', FULL)
def test_differs_from_released_in_what_it_adds_alone(name: str) -> None:
    full = Config.fromfile(CONFIGS / name).to_dict()
    released = Config.fromfile(CONFIGS / name.replace('cmdg-full_', 'cmdg_')).to_dict()
    assert full['model']['backbone'].pop('part_attention') is True
    terms = full['model']['losses'].pop('bridging')
    plain = {term['name']: term for term in released['model']['losses'].pop('bridging')}
    assert full == released
    assert [term['name'] for term in terms if term['name'] not in NEW_TERMS] == list(plain)
    for term in terms:
        if term['name'] in NEW_TERMS:
            continue
        assert {key for key in term if key not in plain[term['name']]} - {'inputs'} == NEW_KEYS.get(term['name'], set())
        inputs = {key: field for key, field in term.pop('inputs', {}).items() if key != 'text_neighbors'}
        assert inputs == plain[term['name']].pop('inputs', {})
        assert plain[term['name']].items() <= term.items()
