from dataclasses import fields

import numpy as np
import pytest

from cmdg_plugin.islands.people import COLORS, Person, sample_crowd, sample_person, vary_person


def _look(person: Person) -> tuple:
    return tuple(getattr(person, field.name) for field in fields(Person) if field.name != 'shades')


def test_people_come_from_the_seed() -> None:
    assert sample_person(np.random.default_rng(3)) == sample_person(np.random.default_rng(3))
    assert sample_person(np.random.default_rng(3)) != sample_person(np.random.default_rng(4))


def test_people_differ_in_every_attribute() -> None:
    rng = np.random.default_rng(0)
    crowd = [sample_person(rng) for _ in range(200)]
    for field in fields(Person):
        assert len({getattr(person, field.name) for person in crowd}) > 1, field.name
    assert all(person.upper_color in COLORS and person.accent_color != person.upper_color for person in crowd)


@pytest.mark.parametrize('changes', [1, 3, 6])
def test_a_look_alike_differs_in_as_many_attributes_as_asked(changes: int) -> None:
    rng = np.random.default_rng(changes)
    for _ in range(50):
        person = sample_person(rng)
        other = vary_person(person, rng, changes)
        assert sum(a != b for a, b in zip(_look(person), _look(other), strict=True)) == changes


def test_a_look_alike_that_does_not_differ_is_an_error() -> None:
    person = sample_person(np.random.default_rng(0))
    with pytest.raises(ValueError, match='changes=0'):
        vary_person(person, np.random.default_rng(0), 0)


def test_crowds_hold_look_alikes_within_and_across_domains() -> None:
    rng = np.random.default_rng(1)
    prototypes = [sample_person(rng) for _ in range(30)]
    here, there = (sample_crowd(60, prototypes, np.random.default_rng(seed)) for seed in (2, 3))
    strangers = [sample_person(rng) for _ in range(60)]

    def shared(person: Person, crowd: list[Person]) -> int:
        """Attributes that `person` has in common with whoever in `crowd` resembles it most."""
        others = [_look(other) for other in crowd if other is not person]
        return max(sum(a == b for a, b in zip(_look(person), other, strict=True)) for other in others)

    within = np.mean([shared(person, here) for person in here])
    across = np.mean([shared(person, there) for person in here])
    by_chance = np.mean([shared(person, strangers) for person in here])
    assert within > by_chance + 2
    assert across > by_chance + 1
    assert len({_look(person) for person in here}) == 60
