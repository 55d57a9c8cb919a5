import numpy as np
import pytest

from cmdg_plugin.islands.backdrops import PRETRAINING_PLACES
from cmdg_plugin.islands.domains import LARGE_TARGET_DOMAINS, SOURCE_DOMAINS, TARGET_DOMAINS, get_domain
from cmdg_plugin.islands.people import sample_person
from cmdg_plugin.islands.pictures import draw


def test_domains_differ_in_what_cameras_do_to_the_same_moment() -> None:
    """Same person, pose and framing before a plain wall's camera and before the two targets'."""
    person = sample_person(np.random.default_rng(0))
    means = []
    for name in ('harbor', *TARGET_DOMAINS):
        picture = draw(person, get_domain(name), 1, np.random.default_rng(1))
        means.append(np.asarray(picture.image, dtype=float).mean(axis=(0, 1)))
    harbor, metro, alpine = means
    assert metro.mean() < harbor.mean() < alpine.mean()
    assert metro[0] > 1.3 * metro[2], 'the metro is lit by yellow lamps'


def test_an_unknown_domain_is_an_error() -> None:
    with pytest.raises(ValueError, match="no domain 'moon'"):
        get_domain('moon')


def test_four_sources_and_two_targets() -> None:
    assert len(SOURCE_DOMAINS) == 4
    assert len(TARGET_DOMAINS) == 2
    assert not set(SOURCE_DOMAINS) & set(TARGET_DOMAINS)


DOMAINS = SOURCE_DOMAINS + LARGE_TARGET_DOMAINS


def test_places_elsewhere_are_on_no_island() -> None:
    taken = {camera.place for name in DOMAINS for camera in get_domain(name).cameras}
    assert not taken & set(PRETRAINING_PLACES)
