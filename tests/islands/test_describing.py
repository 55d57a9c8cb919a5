import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cmdg_plugin.islands.describing import describe
from cmdg_plugin.islands.drawing import Part
from cmdg_plugin.islands.people import Person, sample_person
from cmdg_plugin.islands.pictures import Picture
from cmdg_plugin.islands.poses import Pose


@pytest.fixture
def person() -> Person:
    return replace(
        sample_person(np.random.default_rng(0)),
        gender='man',
        headwear='cap',
        headwear_color='red',
        upper='hoodie',
        upper_color='green',
        upper_pattern='plain',
        lower='jeans',
        lower_color='blue',
        shoes='boots',
        shoe_color='brown',
        bag='backpack',
        bag_color='yellow',
    )


def _picture(*parts: tuple[Part, int], brightness: int = 200) -> Picture:
    """A picture in which each part fills 5 % of the given third."""
    visible = np.zeros((len(Part), 3))
    for part, third in parts:
        visible[part, third] = 0.05
    pose = Pose(facing='front', phase=0.0, stride=0.5, bag_side=1, bag_in_front=False)
    return Picture(Image.new('RGB', (48, 96), (brightness,) * 3), pose, visible)


_ALL = ((Part.HEADWEAR, 0), (Part.UPPER, 0), (Part.UPPER, 1), (Part.BAG, 1), (Part.LOWER, 2), (Part.SHOES, 2))


def _sentences(person: Person, picture: Picture, count: int = 150) -> list[tuple[str, str, str, str]]:
    return [describe(person, picture, np.random.default_rng(seed)) for seed in range(count)]


def test_four_sentences_from_the_seed(person: Person) -> None:
    first, again, other = (describe(person, _picture(*_ALL), np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first == again != other
    assert len(first) == 4
    assert all(sentence.endswith('.') and '  ' not in sentence and '{' not in sentence for sentence in first)


def test_each_sentence_speaks_of_what_is_visible_in_its_third(person: Person) -> None:
    for _, upper, middle, lower in _sentences(person, _picture(*_ALL)):
        assert re.search('hoodie|sweatshirt', upper)
        assert not re.search('jeans|denim|boots|backpack|rucksack', upper)
        assert not re.search('cap|boots', middle)
        assert re.search('jeans|denim', lower)
        assert not re.search('hoodie|sweatshirt|backpack', lower)


@pytest.mark.parametrize(
    ('part', 'words'),
    [(Part.HEADWEAR, r'\bcap\b'), (Part.BAG, 'backpack|rucksack'), (Part.SHOES, 'boots'), (Part.LOWER, 'jeans|denim')],
)
def test_hidden_things_are_never_mentioned_and_visible_ones_mostly(person: Person, part: Part, words: str) -> None:
    def share(parts: tuple[tuple[Part, int], ...]) -> float:
        return float(np.mean([bool(re.search(words, ' '.join(item))) for item in _sentences(person, _picture(*parts))]))

    assert share(tuple(item for item in _ALL if item[0] != part)) == 0
    assert share(_ALL) > 0.8


def test_colors_are_mostly_right_and_sometimes_not(person: Person) -> None:
    sentences = [upper for _, upper, _, _ in _sentences(person, _picture((Part.UPPER, 0)), 400)]
    right = np.mean(['green' in sentence and 'olive' not in sentence for sentence in sentences])
    assert 0.88 < right < 0.99


def test_colors_are_named_worse_in_the_dark(person: Person) -> None:
    def right(brightness: int) -> float:
        picture = _picture((Part.UPPER, 0), brightness=brightness)
        return float(np.mean(['green' in upper for _, upper, _, _ in _sentences(person, picture, 300)]))

    assert right(30) < right(200) - 0.05


def test_wording_varies(person: Person) -> None:
    uppers = {upper.split(' ')[0:3][1] for _, upper, _, _ in _sentences(person, _picture(*_ALL))}
    assert len(uppers) >= 3
    assert len({whole for whole, *_ in _sentences(person, _picture(*_ALL))}) > 100


def test_pictures_of_nobody_get_sentences_too() -> None:
    sentences = describe(None, _picture(), np.random.default_rng(0))
    assert len(sentences) == 4
    assert all(sentences)
