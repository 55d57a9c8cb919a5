from collections import defaultdict

import pytest

from cmdg_plugin.islands.domains import SOURCE_DOMAINS, TARGET_DOMAINS
from cmdg_plugin.islands.planning import GALLERY, QUERY, SIZES, TRAIN, Shot, find_size, plan_domain


@pytest.mark.parametrize('name', SOURCE_DOMAINS + TARGET_DOMAINS)
def test_domains_hold_enough_people_over_enough_cameras(name: str) -> None:
    shots = plan_domain(name, 0)
    by_identity = defaultdict(list)
    for shot in shots:
        if shot.identity > 0:
            by_identity[shot.identity].append(shot)
    assert len(by_identity) >= 40
    for identity, seen in by_identity.items():
        assert 6 <= len(seen) <= 10, identity
        assert len({shot.camera for shot in seen}) >= 2, identity
        assert len({shot.person for shot in seen}) == 1, identity
    assert len({shot.file_path for shot in shots}) == len(shots)
    assert len({shot.seed for shot in shots}) == len(shots)


@pytest.mark.parametrize('name', SOURCE_DOMAINS + TARGET_DOMAINS)
def test_train_and_test_share_nobody_and_every_query_has_a_match(name: str) -> None:
    by_folder = defaultdict(list)
    for shot in plan_domain(name, 0):
        by_folder[shot.file_path.split('/')[0]].append(shot)
    train, test = ({shot.identity for shot in by_folder[folder]} for folder in (TRAIN, QUERY))
    assert not train & test
    assert len(train) == (48 if name in SOURCE_DOMAINS else 16)
    for query in by_folder[QUERY]:
        matches = [s for s in by_folder[GALLERY] if s.identity == query.identity and s.camera != query.camera]
        assert matches, query
    labels = [shot.identity for shot in by_folder[GALLERY]]
    assert (labels.count(0) >= 20 and labels.count(-1) >= 5) == (name in TARGET_DOMAINS)


def test_another_seed_plans_other_people() -> None:
    first, again, other = ({shot.person for shot in plan_domain('harbor', seed)} for seed in (0, 0, 1))
    assert first == again
    assert not first & other


@pytest.mark.parametrize('name', SIZES['large'].domains)
def test_the_large_benchmark_looks_for_several_times_as_many_people(name: str) -> None:
    def people(shots: list[Shot], folder: str) -> set[int]:
        return {shot.identity for shot in shots if shot.file_path.startswith(folder)}

    large = plan_domain(name, 0, 'large')
    assert len(people(large, QUERY)) == (150 if name in SOURCE_DOMAINS else 300)
    assert len(people(large, TRAIN)) == (48 if name in SOURCE_DOMAINS else 16)
    assert len({shot.file_path for shot in large}) == len(large)
    assert len({shot.seed for shot in large}) == len(large)


def test_both_sizes_train_on_the_same_people() -> None:
    def wearers(size: str) -> set[object]:
        return {shot.person for shot in plan_domain('campus', 0, size) if shot.file_path.startswith(TRAIN)}

    assert wearers('small') == wearers('large')


def test_an_unknown_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="small, large, not 'huge'"):
        find_size('huge')
