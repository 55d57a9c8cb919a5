import numpy as np
from pretraining.elsewhere import sample_pairs

from cmdg_plugin.islands.backdrops import PRETRAINING_PLACES
from cmdg_plugin.islands.domains import SOURCE_DOMAINS, TARGET_DOMAINS, get_domain, sample_domain
from cmdg_plugin.islands.planning import plan_domain


def test_pairs_come_from_the_seed() -> None:
    first, again, other = (sample_pairs(6, (96, 48), seed) for seed in (0, 0, 1))
    assert first.images.shape == (6, 96, 48, 3)
    assert first.images.dtype == np.uint8
    assert len(first.captions) == 6
    assert np.array_equal(first.images, again.images)
    assert first.captions == again.captions
    assert not np.array_equal(first.images, other.images)


def test_fewer_pairs_are_the_first_of_more() -> None:
    assert np.array_equal(sample_pairs(3, (48, 24)).images, sample_pairs(5, (48, 24)).images[:3])


def test_places_elsewhere_are_on_no_island() -> None:
    taken = {camera.place for name in SOURCE_DOMAINS + TARGET_DOMAINS for camera in get_domain(name).cameras}
    assert not taken & set(PRETRAINING_PLACES)
    rng = np.random.default_rng(0)
    places = {camera.place for _ in range(50) for camera in sample_domain(rng).cameras}
    assert places == set(PRETRAINING_PLACES)


def test_people_elsewhere_have_other_seeds_than_islanders() -> None:
    seeds = {shot.seed[:2] for name in SOURCE_DOMAINS + TARGET_DOMAINS for shot in plan_domain(name, 0)}
    assert (0, 1000) not in seeds
