import numpy as np
import pytest
from PIL import Image

from cmdg_plugin.islands.drawing import BodyPen, Frame, Part, Sheet, shade


def test_a_level_camera_shows_the_body_to_scale() -> None:
    frame = Frame(center=60, top=20, height=200)
    assert frame.scale(0) == frame.scale(100) == 2
    assert frame.project((0, 0)) == (60, 20)
    assert frame.project((5, 50)) == (70, 120)
    assert frame.project((0, 100)) == (60, 220)


def test_a_camera_that_looks_down_makes_heads_large_and_leaves_the_soles() -> None:
    frame = Frame(center=60, top=20, height=200, tilt=0.4, lean=3)
    # 2 pixels a unit, times 1 + 0.4 * (0.5 - y / 100).
    assert (frame.scale(0), frame.scale(50), frame.scale(100)) == pytest.approx((2.4, 2, 1.6))
    assert frame.project((0, 100)) == pytest.approx((60, 220))
    # The head is shifted by 3 units; half of the body takes 0.5 * 1.2 - 0.2 * 0.25 of the height.
    assert frame.project((0, 0)) == pytest.approx((66, 20))
    assert frame.project((0, 50)) == pytest.approx((63, 20 + 0.55 * 200))


def test_shades_stay_within_colors() -> None:
    assert shade((100, 200, 0), 1.5) == (150, 255, 0)
    assert shade((100, 200, 0), 0.5) == (50, 100, 0)


def test_what_is_drawn_stands_in_the_map_too() -> None:
    sheet = Sheet(Image.new('RGB', (20, 40), (9, 9, 9)))
    sheet.polygon([(0, 0), (9, 0), (9, 39), (0, 39)], (1, 2, 3), Part.UPPER)
    sheet.ellipse((15, 20), (2, 3), (4, 5, 6), Part.BAG)
    pixels, parts = np.asarray(sheet.image), np.asarray(sheet.parts)
    assert (parts[:, :10] == Part.UPPER).all()
    assert (pixels[:, :10] == (1, 2, 3)).all()
    assert (parts[20, 13:18] == Part.BAG).all()
    assert ((parts == Part.BAG) == (pixels == (4, 5, 6)).all(axis=2)).all()
    assert parts[0, 15] == Part.SCENE


def test_a_pattern_is_worn_by_its_part_alone() -> None:
    sheet = Sheet(Image.new('RGB', (20, 40)))
    sheet.polygon([(0, 0), (9, 0), (9, 39), (0, 39)], (1, 2, 3), Part.UPPER)
    rows = np.broadcast_to((np.arange(40) < 4)[:, None], (40, 20))
    sheet.weave(Part.UPPER, rows, (7, 8, 9))
    parts = np.asarray(sheet.parts)
    assert (parts == Part.ACCENT).sum() == 4 * 10
    assert (np.asarray(sheet.image)[:4, :10] == (7, 8, 9)).all()
    sheet.ellipse((15, 20), (2, 3), (4, 5, 6), Part.BAG)  # goes on after it
    assert np.asarray(sheet.parts)[20, 15] == Part.BAG


@pytest.mark.parametrize('counts', [True, False])
def test_limbs_join_their_ends_and_bystanders_are_scene(counts: bool) -> None:
    sheet = Sheet(Image.new('RGB', (100, 100)))
    BodyPen(sheet, Frame(center=50, top=0, height=100), counts).limb(((0, 20), (0, 80)), (10, 6), (1, 2, 3), Part.LEGS)
    drawn = (np.asarray(sheet.image) == (1, 2, 3)).all(axis=2)
    widths = drawn.sum(axis=1)
    assert (widths[20], widths[80]) == pytest.approx((10, 6), abs=1.5)
    assert drawn[20:81].any(axis=1).all()
    assert not drawn[:14].any()
    assert set(np.asarray(sheet.parts)[drawn]) == {Part.LEGS if counts else Part.SCENE}
