from typing import Any

import pytest
from islands.test_figure import parts_of

from cmdg_plugin.islands.drawing import Part


@pytest.mark.parametrize(
    ('facing', 'changes', 'there', 'not_there'),
    [
        ('front', {}, {Part.FACE, Part.HAIR}, {Part.HEADWEAR, Part.EYEWEAR}),
        ('front', {'hair_style': 'bald'}, {Part.FACE}, {Part.HAIR}),
        ('back', {'hair_style': 'bald'}, {Part.FACE}, {Part.HAIR}),
        ('front', {'eyewear': 'sunglasses'}, {Part.EYEWEAR}, set()),
        ('left', {'eyewear': 'glasses'}, {Part.EYEWEAR}, set()),
        ('back', {'eyewear': 'sunglasses'}, {Part.HAIR}, {Part.EYEWEAR}),
        ('back', {'headwear': 'cap', 'headwear_color': 'red'}, {Part.HEADWEAR}, set()),
    ],
)
def test_what_shows_from_where(facing: str, changes: dict[str, Any], there: set[Part], not_there: set[Part]) -> None:
    parts = parts_of(facing, **changes)
    assert there <= parts
    assert not parts & not_there
