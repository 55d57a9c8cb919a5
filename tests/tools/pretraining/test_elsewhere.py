from pathlib import Path

import numpy as np
import pretraining.elsewhere
import pytest
from pretraining.elsewhere import Elsewhere, sample_pair

from cmdg_plugin.islands import find_size
from cmdg_plugin.islands.planning import plan_domain


@pytest.fixture
def small_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining.elsewhere, '_SHEET', 4)


def test_pairs_come_from_seed_and_number() -> None:
    first, again, other = (sample_pair(5, (96, 48), seed) for seed in (0, 0, 2))
    assert first[0].shape == (96, 48, 3)
    assert first[0].dtype == np.uint8
    assert len(first[1]) == 4
    assert np.array_equal(first[0], again[0])
    assert first[1] == again[1]
    assert not np.array_equal(first[0], other[0])


def test_some_global_captions_speak_of_the_place() -> None:
    speaks = ['ground' in caption or 'scene' in caption.lower() for caption in _captions(60)]
    assert 8 < sum(speaks) < 32


def _captions(count: int) -> list[str]:
    return [sample_pair(number, (24, 12))[1][0] for number in range(count)]


@pytest.mark.usefixtures('small_sheets')
def test_sheets_hold_the_pairs_in_order_and_are_drawn_once(tmp_path: Path) -> None:
    pairs = Elsewhere(6, (48, 24), 0, tmp_path).load(0)
    for number in range(6):
        image, captions = sample_pair(number, (48, 24))
        assert np.array_equal(pairs.images[number], image)
        assert pairs.captions[number] == captions
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.npy')}
    assert len(times) == 2
    more = Elsewhere(9, (48, 24), 0, tmp_path).load(2)
    assert np.array_equal(more.images[:6], pairs.images)
    assert len(more.images) == len(more.captions) == 9
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.usefixtures('small_sheets')
def test_a_sheet_without_its_captions_is_drawn_again(tmp_path: Path) -> None:
    pairs = Elsewhere(4, (48, 24), 0, tmp_path).load(0)
    (pictures,) = tmp_path.rglob('*.npy')
    pictures.with_suffix('.json').unlink()
    pictures.write_bytes(b'half a sheet')
    assert np.array_equal(Elsewhere(4, (48, 24), 0, tmp_path).load(0).images, pairs.images)


def test_people_elsewhere_have_other_seeds_than_islanders() -> None:
    seeds = {shot.seed[:2] for name in DOMAINS for shot in plan_domain(name, 0)}
    assert (0, 1000) not in seeds


DOMAINS = find_size('large').domains
