"""Who lives on the islands: what a person is made of, and how crowds with look-alikes are sampled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

COLORS: dict[str, tuple[int, int, int]] = {
    'black': (28, 28, 32),
    'white': (232, 232, 228),
    'gray': (128, 130, 134),
    'navy': (30, 42, 92),
    'blue': (48, 92, 190),
    'sky blue': (138, 184, 226),
    'green': (46, 128, 70),
    'olive': (104, 108, 54),
    'red': (190, 40, 44),
    'maroon': (104, 26, 40),
    'pink': (230, 140, 172),
    'purple': (112, 62, 148),
    'orange': (226, 122, 40),
    'yellow': (228, 196, 60),
    'brown': (108, 72, 46),
    'beige': (204, 182, 146),
}
"""Garment colors by name, RGB in 0..255."""

SKIN_TONES: dict[str, tuple[int, int, int]] = {
    'fair': (236, 200, 176),
    'tan': (204, 156, 118),
    'brown': (150, 104, 74),
    'dark': (92, 62, 48),
}
HAIR_COLORS: dict[str, tuple[int, int, int]] = {
    'black': (24, 20, 20),
    'brown': (84, 54, 34),
    'blond': (206, 170, 96),
    'gray': (160, 160, 160),
    'red': (150, 66, 30),
}


@dataclass(frozen=True)
class Person:
    """One identity: its body, clothes and belongings, all by name; `'none'` where something is absent.

    `shades` shifts the lightness of the upper garment, the lower garment and the bag (each in -0.12..0.12), so that
    two people in 'blue' need not wear the same blue.
    """

    gender: str
    build: str
    stature: str
    skin: str
    hair_style: str
    hair_color: str
    headwear: str
    headwear_color: str
    eyewear: str
    upper: str
    upper_color: str
    upper_pattern: str
    accent_color: str
    lower: str
    lower_color: str
    shoes: str
    shoe_color: str
    bag: str
    bag_color: str
    scarf_color: str
    shades: tuple[float, float, float]

    @property
    def look(self) -> tuple[str, ...]:
        """All named attributes; no two people of a domain share them."""
        return tuple(getattr(self, field.name) for field in fields(self) if field.name != 'shades')

    @property
    def long_sleeves(self) -> bool:
        """Whether the upper garment covers the forearms."""
        return self.upper in ('shirt', 'sweater', 'hoodie', 'jacket', 'coat')


_GARMENT_COLORS = {'black': 3.0, 'gray': 2.0, 'white': 2.0, 'navy': 1.8, 'blue': 1.8}
_CHOICES: dict[str, dict[str, float]] = {
    'gender': {'man': 1, 'woman': 1},
    'build': {'slim': 1, 'average': 2, 'stocky': 1},
    'stature': {'short': 1, 'average': 2, 'tall': 1},
    'skin': {'fair': 3, 'tan': 3, 'brown': 2, 'dark': 2},
    'hair_style': {'short': 4, 'bald': 1, 'long': 0.5, 'ponytail': 0.2, 'bun': 0.1},
    'hair_color': {'black': 4, 'brown': 3, 'blond': 2, 'gray': 1, 'red': 1},
    'headwear': {'none': 6, 'cap': 2, 'beanie': 1.2, 'sun hat': 0.8},
    'headwear_color': {name: _GARMENT_COLORS.get(name, 1.0) for name in COLORS},
    'eyewear': {'none': 4, 'glasses': 1.5, 'sunglasses': 1},
    'upper': {'t-shirt': 3, 'tank top': 0.8, 'shirt': 2, 'sweater': 1.5, 'hoodie': 2, 'jacket': 2.2, 'coat': 1.3},
    'upper_color': {name: _GARMENT_COLORS.get(name, 1.0) for name in COLORS},
    'upper_pattern': {'plain': 5, 'stripes': 1.4, 'checks': 1, 'logo': 1.4, 'block': 1},
    'accent_color': dict.fromkeys(COLORS, 1.0),
    'lower': {'trousers': 3, 'jeans': 3, 'shorts': 2},
    'lower_color': {'black': 4, 'gray': 2, 'beige': 1.5, 'brown': 1, 'olive': 1, 'navy': 2, 'white': 1, 'red': 0.5},
    'shoes': {'sneakers': 3, 'boots': 1.2, 'sandals': 0.8},
    'shoe_color': {'black': 3, 'white': 2, 'brown': 1.5, 'red': 0.7, 'gray': 1, 'blue': 0.6},
    'bag': {'none': 3, 'backpack': 2.2, 'shoulder bag': 1.6, 'handbag': 1.2, 'shopping bag': 0.8},
    'bag_color': {'black': 2.5, 'brown': 1.5, 'red': 1, 'blue': 1, 'green': 1, 'yellow': 0.7, 'white': 1, 'pink': 0.6},
    'scarf_color': {'none': 8, 'red': 0.5, 'yellow': 0.5, 'white': 0.4, 'green': 0.4, 'blue': 0.4, 'purple': 0.4},
}
_WOMAN_CHOICES: dict[str, dict[str, float]] = {
    'hair_style': {'long': 4, 'ponytail': 2, 'bun': 1, 'short': 1},
    'lower': {'trousers': 2, 'jeans': 2.5, 'shorts': 1.2, 'skirt': 1.8, 'long skirt': 1},
}
_JEANS_COLORS = {'navy': 3.0, 'blue': 3.0, 'sky blue': 2.0, 'black': 1.5, 'gray': 1.0}
_SKIRT_COLORS = dict.fromkeys(COLORS, 1.0)


def _pick(weights: dict[str, float], rng: np.random.Generator) -> str:
    names = list(weights)
    odds = np.array([weights[name] for name in names])
    return names[int(rng.choice(len(names), p=odds / odds.sum()))]


def _choices(name: str, known: dict[str, Any]) -> dict[str, float]:
    """Weights of an attribute's values, given the attributes that stand before it in `Person`."""
    if known['gender'] == 'woman' and name in _WOMAN_CHOICES:
        return _WOMAN_CHOICES[name]
    if name == 'lower_color' and known['lower'] == 'jeans':
        return _JEANS_COLORS
    if name == 'lower_color' and 'skirt' in known['lower']:
        return _SKIRT_COLORS
    if name == 'accent_color':
        return {color: weight for color, weight in _CHOICES[name].items() if color != known['upper_color']}
    return _CHOICES[name]


def _sample_shades(rng: np.random.Generator) -> tuple[float, float, float]:
    upper, lower, bag = rng.uniform(-0.12, 0.12, size=3).tolist()
    return upper, lower, bag


def sample_person(rng: np.random.Generator) -> Person:
    """Sample a person whose attributes are as common as people's: much black and gray, few sun hats.

    Args:
        rng: Source of all chance.

    Returns:
        A person who wears whatever came up.
    """
    known: dict[str, Any] = {'gender': _pick(_CHOICES['gender'], rng)}
    for name in _CHOICES:
        if name != 'gender':
            known[name] = _pick(_choices(name, known), rng)
    return Person(**known, shades=_sample_shades(rng))


def vary_person(person: Person, rng: np.random.Generator, changes: int) -> Person:
    """Make a look-alike: a few attributes take another value, all others stay.

    Args:
        person: Whom the look-alike resembles.
        rng: Source of all chance.
        changes: How many attributes differ, at least one.

    Returns:
        A person who differs from `person` in `changes` named attributes, and in the shades.

    Raises:
        ValueError: If `changes` is not between 1 and the number of attributes that may change.
    """
    names = [field.name for field in fields(Person) if field.name not in ('gender', 'shades')]
    if not 1 <= changes <= len(names):
        raise ValueError(f'A look-alike differs in 1 to {len(names)} attributes, but changes={changes}.')
    values: dict[str, Any] = {field.name: getattr(person, field.name) for field in fields(Person)}
    for index in rng.permutation(len(names))[:changes]:
        name = names[int(index)]
        others = {value: odds for value, odds in _choices(name, values).items() if value != values[name]}
        values[name] = _pick(others, rng)
    values['shades'] = _sample_shades(rng)
    return replace(person, **values)


def sample_crowd(
    count: int, prototypes: Sequence[Person], rng: np.random.Generator, others: Iterable[Person] = ()
) -> list[Person]:
    """Sample the people of one domain, with look-alikes among themselves and in other domains.

    Half of them resemble a prototype (prototypes are shared by all domains: that is what bridges between the islands
    can be built on), a quarter resembles somebody of this crowd, and a quarter resembles nobody on purpose.

    Args:
        count: Number of people.
        prototypes: People that other domains' crowds resemble, too.
        rng: Source of all chance.
        others: People whom nobody may equal.

    Returns:
        `count` people, no two of them equal in all named attributes.
    """
    crowd: list[Person] = []
    seen = {other.look for other in others}
    while len(crowd) < count:
        chance = rng.random()
        if chance < 0.5 and prototypes:
            person = vary_person(prototypes[int(rng.integers(len(prototypes)))], rng, int(rng.integers(2, 5)))
        elif chance < 0.75 and crowd:
            person = vary_person(crowd[int(rng.integers(len(crowd)))], rng, int(rng.integers(3, 6)))
        else:
            person = sample_person(rng)
        if person.look not in seen:
            seen.add(person.look)
            crowd.append(person)
    return crowd
