"""Bodies on an empty sheet: which parts are there, and in whose colors."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cmdg_plugin.islands.drawing import SHEET_SIZE, Frame, Part, Sheet
from cmdg_plugin.islands.figure import draw_person
from cmdg_plugin.islands.people import COLORS, Person, sample_person
from cmdg_plugin.islands.poses import Pose

PLAIN: Person = replace(
    sample_person(np.random.default_rng(0)),
    hair_style='short',
    headwear='none',
    eyewear='none',
    upper='t-shirt',
    upper_color='red',
    upper_pattern='plain',
    accent_color='yellow',
    lower='trousers',
    lower_color='blue',
    bag='none',
    scarf_color='none',
    shades=(0.0, 0.0, 0.0),
)


def parts_of(facing: str = 'front', counts: bool = True, **changes: Any) -> set[Part]:
    parts, _ = drawn(facing, counts, **changes)
    return {Part(part) for part in np.unique(parts)} - {Part.SCENE}


def drawn(facing: str = 'front', counts: bool = True, **changes: Any) -> tuple[np.ndarray, np.ndarray]:
    sheet = Sheet(Image.new('RGB', SHEET_SIZE, 'white'))
    pose = Pose(facing, phase=0.5, stride=0.5, bag_side=1, bag_in_front=False)
    frame = Frame(center=64, top=10, height=230)
    draw_person(sheet, replace(PLAIN, **changes), pose, frame, counts)
    return np.asarray(sheet.parts), np.asarray(sheet.image)


def test_garments_have_their_colors() -> None:
    parts, pixels = drawn()
    for part, name in ((Part.UPPER, 'red'), (Part.LOWER, 'blue')):
        colors, counts = np.unique(pixels[parts == part], axis=0, return_counts=True)
        assert tuple(colors[counts.argmax()]) == COLORS[name]


@pytest.mark.parametrize(
    ('changes', 'there', 'not_there'),
    [
        ({}, Part.ARMS, Part.LEGS),
        ({'lower': 'shorts'}, Part.LEGS, Part.BAG),
        ({'lower': 'skirt'}, Part.LEGS, Part.BAG),
        ({'scarf_color': 'green'}, Part.SCARF, Part.ACCENT),
        ({'upper_pattern': 'stripes'}, Part.ACCENT, Part.SCARF),
        ({'upper_pattern': 'logo'}, Part.ACCENT, Part.SCARF),
        ({'upper_pattern': 'block'}, Part.ACCENT, Part.SCARF),
        ({'upper': 'coat'}, Part.ACCENT, Part.SCARF),
        ({'facing': 'back', 'upper': 'coat'}, Part.UPPER, Part.ACCENT),
        ({'facing': 'back', 'upper_pattern': 'logo'}, Part.UPPER, Part.ACCENT),
        ({'bag': 'handbag', 'bag_color': 'black'}, Part.BAG, Part.SCARF),
        ({'facing': 'left', 'bag': 'backpack', 'bag_color': 'black'}, Part.BAG, Part.SCARF),
    ],
)
def test_what_is_worn_shows(changes: dict, there: Part, not_there: Part) -> None:
    parts = parts_of(**changes)
    assert there in parts
    assert not_there not in parts


def test_bystanders_are_drawn_but_are_scene() -> None:
    assert parts_of(counts=False, upper_pattern='stripes') == set()
    assert (drawn(counts=False)[1] != 255).any()
