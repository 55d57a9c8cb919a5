import numpy as np
import pytest
from PIL import Image

from cmdg_plugin.islands.backdrops import OBSTACLES, backdrop, draw_obstacle
from cmdg_plugin.islands.drawing import SHEET_SIZE, Part, Sheet


def piece(place: str, seed: int, where: int) -> np.ndarray:
    return np.asarray(backdrop(place, seed, np.random.default_rng(where)))


def test_a_camera_looks_at_the_same_place_all_day() -> None:
    assert backdrop('quay', 3, np.random.default_rng(0)).size == SHEET_SIZE
    assert np.array_equal(piece('quay', 3, 0), piece('quay', 3, 0))
    assert not np.array_equal(piece('quay', 3, 0), piece('quay', 3, 1))
    assert not np.array_equal(piece('quay', 3, 0), piece('quay', 4, 0))


def test_a_place_has_its_colors() -> None:
    """The hall's wall is (196, 198, 194), above all that stands in it."""
    assert piece('hall', 0, 0)[:5].mean(axis=(0, 1)) == pytest.approx([196, 198, 194], abs=3)


@pytest.mark.parametrize('kind', OBSTACLES)
def test_obstacles_are_scene_and_hide_the_person(kind: str) -> None:
    sheet = Sheet(Image.new('RGB', SHEET_SIZE))
    wide, high = SHEET_SIZE
    sheet.polygon([(0, 0), (wide, 0), (wide, high), (0, high)], (1, 2, 3), Part.UPPER)
    draw_obstacle(kind, sheet, np.random.default_rng(0))
    hidden = np.asarray(sheet.parts) == Part.SCENE
    assert 0.01 < hidden.mean() < 0.9
    assert (np.asarray(sheet.image)[hidden] != (1, 2, 3)).any(axis=1).all()


def test_unknown_places_and_obstacles_are_errors() -> None:
    with pytest.raises(ValueError, match="No place is called 'moon'; there are quay, "):
        backdrop('moon', 0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="No obstacle is called 'cow'; there are pole, "):
        draw_obstacle('cow', Sheet(Image.new('RGB', SHEET_SIZE)), np.random.default_rng(0))
