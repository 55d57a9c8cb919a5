from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cmdg_plugin.visualization import TrainingPicture, draw_training_grid

COLORS = [(200, 30, 10), (10, 180, 40), (20, 40, 220), (180, 20, 200)]


@pytest.fixture
def pictures() -> list[TrainingPicture]:
    """Plain pictures of different colors, twice as high as wide."""
    captions = ('a red hood', 'a belt', 'blue jeans', 'a person in a red coat')
    return [
        TrainingPicture(
            np.full((60, 30, 3), color, dtype=np.uint8), f'yard, person {number}', f'{number}.jpg', captions
        )
        for number, color in enumerate(COLORS)
    ]


def box(grid: Image.Image, color: tuple[int, int, int]) -> tuple[object, object, int, int]:
    """Left, top, width and height of a color."""
    match = (np.asarray(grid) == color).all(axis=2)
    rows, columns = np.flatnonzero(match.any(axis=1)), np.flatnonzero(match.any(axis=0))
    assert match.sum() == len(rows) * len(columns)
    return columns[0], rows[0], len(columns), len(rows)


def ink(grid: Image.Image, left: object, top: object, right: int, bottom: object) -> bool:
    """Whether anything is written inside a part of the grid."""
    return bool((np.asarray(grid)[top:bottom, left:right] != 255).any())


def test_images_stand_row_by_row_and_keep_their_aspect(pictures: list[TrainingPicture]) -> None:
    grid = draw_training_grid(pictures, columns=2, cell_size=(100, 100))
    boxes = [box(grid, color) for color in COLORS]
    assert {(width, height) for _, _, width, height in boxes} == {(50, 100)}
    lefts, tops = [item[0] for item in boxes], [item[1] for item in boxes]
    assert lefts[0] == lefts[2] < lefts[1] == lefts[3]
    assert tops[0] == tops[1] < tops[2] == tops[3]


def test_text_stands_right_of_its_image_alone(pictures: list[TrainingPicture]) -> None:
    grid = draw_training_grid(pictures[:1], columns=3, cell_size=(100, 100))
    left, top, width, height = box(grid, COLORS[0])
    assert ink(grid, left + width + 40, top, grid.width, top + height)
    for changes in (
        {'title': 'lane, person 3'},
        {'file': 'other.jpg'},
        *({'captions': tuple('x' if part == place else 'y' for part in range(4))} for place in range(4)),
    ):
        other = draw_training_grid([replace(pictures[0], **changes)], columns=3, cell_size=(100, 100))
        assert other.tobytes() != grid.tobytes()
        assert box(other, COLORS[0]) == (left, top, width, height)


def test_long_captions_make_room(pictures: list[TrainingPicture]) -> None:
    long = replace(pictures[0], captions=('word ' * 60, *pictures[0].captions[1:]))
    grid = draw_training_grid([long, *pictures[1:]], columns=2, cell_size=(100, 100))
    plain = draw_training_grid(pictures, columns=2, cell_size=(100, 100))
    assert grid.height > plain.height
    assert box(grid, COLORS[0])[1] == box(plain, COLORS[0])[1]
    # The second row begins below the first one's text.
    assert box(grid, COLORS[2])[1] - box(plain, COLORS[2])[1] == grid.height - plain.height


def test_images_without_captions(pictures: list[TrainingPicture]) -> None:
    grid = draw_training_grid([replace(pictures[0], captions=('',) * 4)], cell_size=(100, 100))
    left, top, width, height = box(grid, COLORS[0])
    assert ink(grid, left + width + 40, top + 40, grid.width, top + height)


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match='at least one image and one column, got 0 and 3'):
        draw_training_grid([])
