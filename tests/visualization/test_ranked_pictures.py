from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmdg_plugin.evaluation.ranked_queries import RankedQuery
from cmdg_plugin.visualization import draw_ranked_queries, draw_ranked_query

GREEN, RED = (30, 150, 60), (205, 45, 45)


@pytest.fixture
def query(tmp_path: Path) -> RankedQuery:
    paths = [tmp_path / f'000{number}_c1s1_000001_00.jpg' for number in range(4)]
    for path, size in zip(paths, [(48, 96), (30, 90), (200, 50), (64, 128)], strict=True):
        Image.new('RGB', size, (120, 130, 140)).save(path)
    captions = ('upper', 'middle', 'lower', 'A man in a long coat. ' * 20)
    names = [str(path) for path in paths]
    return RankedQuery('street', names[0], captions, tuple(names[1:]), (True, False, True))


def pixels_of(image: Image.Image, color: tuple[int, int, int], columns: slice) -> int:
    return int((np.asarray(image)[:, columns] == color).all(-1).sum())


def test_right_ones_are_framed_green_and_wrong_ones_red(query: RankedQuery):
    image = draw_ranked_query(query)
    column = 96 + 8 + 10
    for position, match in enumerate(query.matches, 1):
        place = slice(10 + position * column, 10 + position * column + 104)
        right, wrong = pixels_of(image, GREEN, place), pixels_of(image, RED, place)
        assert (right > 1000) == match
        assert (wrong > 1000) == (not match)


def test_files_are_named_after_target_and_query(query: RankedQuery, tmp_path: Path):
    files = draw_ranked_queries([query], tmp_path / 'pictures')
    assert [file.name for file in files] == ['street_0000_c1s1_000001_00.png']
    assert Image.open(files[0]).size[0] > 400


def test_query_without_captions_is_drawn(query: RankedQuery):
    bare = RankedQuery(query.target, query.query_path, None, query.gallery_paths, query.matches)
    assert draw_ranked_query(bare).height < draw_ranked_query(query).height
