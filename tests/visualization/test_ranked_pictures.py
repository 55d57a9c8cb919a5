from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cmdg_plugin.evaluation import RankedQuery
from cmdg_plugin.files.images import UnreadableImage
from cmdg_plugin.visualization import draw_ranked_queries, draw_ranked_query
from cmdg_plugin.visualization.ranked_pictures import _closeness, _heading

BLUE, GREEN, RED = (47, 93, 155), (26, 127, 55), (198, 40, 40)


@pytest.fixture
def query(tmp_path: Path) -> RankedQuery:
    """A gray query, then pictures of one color each, of very different shapes and modes."""
    shapes = {'query': (64, 128), 'wide': (300, 20), 'thin': (4, 90), 'palette': (64, 64)}
    paths = []
    for number, (name, size) in enumerate(shapes.items()):
        image = Image.new('RGB', size, (10 + 60 * number, 60, 200))
        image = image.convert('P' if name == 'palette' else 'RGB')
        path = tmp_path / f'{name}_c1s1_000{number}.png'
        image.save(path)
        paths.append(str(path))
    captions = ('upper', 'middle', 'lower', 'a person in a red coat')
    return RankedQuery('yard', paths[0], captions, tuple(paths[1:]), (False, True, False))


def boxes(picture: Image.Image, color: tuple[int, int, int]) -> list[int]:
    """Left edges of the runs of a color in the row where the frames' lower edges are widest."""
    match = (np.asarray(picture) == color).all(axis=2)
    row = match[match.sum(axis=1).argmax()]
    return np.flatnonzero(np.diff(np.r_[False, row].astype(int)) == 1).tolist()


def test_frames_say_right_and_wrong_in_order(query: RankedQuery) -> None:
    picture = draw_ranked_query(query)
    (first,) = boxes(picture, BLUE)
    wrong, right = boxes(picture, RED), boxes(picture, GREEN)
    assert len(wrong) == 2
    assert len(right) == 1
    assert first < wrong[0] < right[0] < wrong[1]


def test_images_keep_their_aspect_and_stay_inside_their_cells(query: RankedQuery) -> None:
    pixels = np.asarray(draw_ranked_query(query, cell_size=(100, 200))).astype(int)
    for number, expected in enumerate([(100, 200), (100, 7), (9, 200)]):
        match = (abs(pixels - (10 + 60 * number, 60, 200)) <= 2).all(axis=2)
        rows, columns = np.flatnonzero(match.any(axis=1)), np.flatnonzero(match.any(axis=0))
        assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == expected


def test_caption_is_the_global_one_and_wraps(query: RankedQuery) -> None:
    one_line = draw_ranked_query(query)
    long = replace(query, captions=(*query.captions[:3], 'a person in a red coat ' * 20))
    assert draw_ranked_query(long).height > one_line.height + 40
    # Only the global sentence is drawn, whatever the parts say.
    parts = replace(query, captions=('x' * 99, 'y', 'z', query.captions[3]))
    assert draw_ranked_query(parts).tobytes() == one_line.tobytes()
    none = draw_ranked_query(replace(query, captions=None))
    assert none.size == one_line.size
    assert none.tobytes() != one_line.tobytes()


def test_names_of_files_are_drawn(query: RankedQuery, tmp_path: Path) -> None:
    other = tmp_path / 'elsewhere.png'
    Image.open(query.gallery_paths[0]).save(other)
    renamed = replace(query, gallery_paths=(str(other), *query.gallery_paths[1:]))
    before, after = draw_ranked_query(query), draw_ranked_query(renamed)
    changed = np.flatnonzero((np.asarray(before) != np.asarray(after)).any(axis=(1, 2)))
    frame_bottom = np.flatnonzero((np.asarray(before) == RED).all(axis=2).any(axis=1)).max()
    assert len(changed)
    assert changed.min() > frame_bottom


def test_tabs_tell_how_close_each_image_is(query: RankedQuery) -> None:
    def changed(first: Any, second: Any) -> tuple[int, int, int]:
        rows, columns = (np.asarray(first) != np.asarray(second)).any(axis=2).nonzero()
        return rows.min(), rows.max(), columns.min()

    plain = draw_ranked_query(query)
    near = replace(query, distances=(0.1, 0.2, 0.3), unit_length=True)
    top, bottom, left = changed(plain, draw_ranked_query(near))
    tab_top = (np.asarray(plain) == BLUE).all(axis=2).any(axis=1).argmax()
    assert tab_top <= top < bottom < tab_top + 22
    assert left < boxes(plain, RED)[0]  # what the numbers are stands on the query's tab
    # Another last number changes the last tab alone; other numbers for the same distances change all.
    last = replace(near, distances=(0.1, 0.2, 0.4))
    assert changed(draw_ranked_query(near), draw_ranked_query(last))[2] > boxes(plain, RED)[1]
    assert _closeness(near) == ['cosine', '0.995', '0.980', '0.955']
    assert _closeness(replace(near, unit_length=False)) == ['distance', '0.1', '0.2', '0.3']


def test_heading_tells_how_a_query_was_chosen(query: RankedQuery) -> None:
    assert _heading(query) == "yard: 1 of the first 3 show the query's identity"
    worst = replace(query, chosen_as='worst', average_precision=1 / 3)
    assert _heading(worst) == (
        "yard, one of the worst queries: 1 of the first 3 show the query's identity; average precision 33.3%"
    )


def test_a_file_per_query(query: RankedQuery, tmp_path: Path) -> None:
    odd = replace(query, target='a/b c')
    best = replace(query, chosen_as='best')
    files = draw_ranked_queries([query, odd, best], tmp_path / 'deep' / 'folder')
    assert [file.name for file in files] == [
        'yard_01_query_c1s1_0000.png',
        'a-b-c_02_query_c1s1_0000.png',
        'yard_03_best_query_c1s1_0000.png',
    ]
    assert all(Image.open(file).format == 'PNG' for file in files)


def test_bad_queries_are_refused(query: RankedQuery) -> None:
    with pytest.raises(ValueError, match='needs gallery images and as many right/wrong flags, got 0 and 0'):
        draw_ranked_query(replace(query, gallery_paths=(), matches=()))
    with pytest.raises(ValueError, match='got 3 and 1'):
        draw_ranked_query(replace(query, matches=(True,)))
    with pytest.raises(ValueError, match='needs a distance for each of its 3 gallery images, or none, got 1'):
        draw_ranked_query(replace(query, distances=(0.5,)))
    with pytest.raises(UnreadableImage, match='nowhere'):
        draw_ranked_query(replace(query, query_path='/nowhere.png'))


@pytest.mark.parametrize('stem', ['a' * 251, 'ä' * 120, '画' * 83, 'x' * 81, '\udcff' * 3 + 'y'])
def test_long_names_are_shortened_in_the_middle(query: RankedQuery, tmp_path: Path, stem: str) -> None:
    path = tmp_path / f'{stem}.png'
    Image.open(query.query_path).save(path)
    long = replace(query, query_path=str(path), target='yard ' * 60)
    files = draw_ranked_queries([long, long], tmp_path / 'drawn')
    assert len(set(files)) == 2
    assert all(file.is_file() and len(file.name.encode()) < 143 for file in files)
    assert all(f'_{number:02d}_' in file.name for number, file in enumerate(files, start=1))


def test_names_that_fit_stay_as_they_are(query: RankedQuery, tmp_path: Path) -> None:
    (file,) = draw_ranked_queries([query], tmp_path / 'drawn')
    assert file.name == 'yard_01_query_c1s1_0000.png'
