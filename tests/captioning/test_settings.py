import pytest

from cmdg_plugin.captioning.settings import CaptionSettings, stable_number

SETTINGS = CaptionSettings('model', '1-abc')


def test_seeds_differ_by_request_and_come_back() -> None:
    seeds = [
        SETTINGS.seed_for(path, region, attempt) for path in 'ab' for region in ('upper', 'lower') for attempt in (0, 1)
    ]
    assert len(set(seeds)) == 8
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert SETTINGS.seed_for('a', 'upper', 0) == seeds[0]
    assert CaptionSettings('model', '1-abc', seed=1).seed_for('a', 'upper', 0) != seeds[0]


def test_stable_number_is_the_same_everywhere() -> None:
    # Written down once: shards of different machines and versions must agree.
    assert stable_number('bounding_box_train/0002_c1s1_000451_03.jpg') == 4329377396000104015


def test_round_trip() -> None:
    assert CaptionSettings.from_dict(SETTINGS.as_dict()) == SETTINGS
    with pytest.raises(ValueError, match='expected the settings'):
        CaptionSettings.from_dict({'model': 'm'})


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'view': 'half'}, "unknown view 'half'; expected one of whole, crop"),
        ({'wording': 'odd'}, 'unknown wording'),
        ({'temperature': -1}, 'temperature'),
        ({'max_tokens': 0}, 'max_tokens'),
        ({'model': ''}, 'no model named'),
        ({'model': 5}, 'model must be text'),
        ({'model': 'a\ud800'}, 'model must be text'),
        ({'view': ['whole']}, 'view must be text'),
        ({'temperature': '0'}, "temperature must be a number, got '0'"),
        ({'temperature': float('nan')}, 'temperature must be between'),
        ({'seed': 1.5}, 'seed must be a whole number of at most 64 bits, got a float'),
        ({'seed': 10**5000}, 'seed must be a whole number of at most 64 bits'),
        ({'max_tokens': True}, 'max_tokens must be a whole number'),
    ],
)
def test_wrong_values(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CaptionSettings(**{**SETTINGS.as_dict(), **change})
