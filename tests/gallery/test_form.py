from pathlib import Path

import pytest
from helpers.search_gallery import make_gallery
from PIL import Image

from cmdg_plugin.gallery import Gallery
from cmdg_plugin.gallery.form import MOST_PICTURES, Form, read_uploads


@pytest.fixture(scope='module')
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return make_gallery(tmp_path_factory.mktemp('form'))


def names(gallery: Gallery, **fields: str) -> set[str]:
    result = gallery.search(text='a person', where=Form(**fields).condition(gallery))
    assert result.searched == len(result.matches)
    return {Path(match.path).name for match in result.matches}


@pytest.mark.parametrize(
    ('fields', 'expected'),
    [
        ({'cameras': '1'}, {'red.png', 'blue.png'}),
        ({'cameras': '2, 3'}, {'crimson.png', 'green.png'}),
        ({'cameras': '2 3,'}, {'crimson.png', 'green.png'}),
        # A date as the latest time takes in all of that day, and a time only what is before it.
        ({'end': '2026-05-01'}, {'red.png', 'crimson.png'}),
        ({'end': '2026-05-01T08:00'}, {'red.png'}),
        ({'start': '2026-05-02', 'cameras': '1', 'end': '9999-12-31'}, {'blue.png'}),
        ({'start': '2026-05-01T12:00', 'end': '2026-05-02'}, {'crimson.png', 'blue.png'}),
        ({'start': '2026-05-02', 'end': '2026-05-02'}, {'blue.png'}),
        ({'start': '2026-05-02', 'cameras': '1'}, {'blue.png'}),
        ({'where': 'identity == "1" or camera == 3', 'cameras': '1, 3'}, {'red.png', 'green.png'}),
        ({'where': 'floor == 0 and caption is not None', 'cameras': '2'}, {'crimson.png'}),
    ],
)
def test_fields_find_what_they_say(gallery: Gallery, fields: dict[str, str], expected: set[str]) -> None:
    assert names(gallery, **fields) == expected


def test_empty_fields_are_no_filter(gallery: Gallery) -> None:
    assert Form(cameras=' ', start='', end=' ', where='\n').condition(gallery) is None
    assert Form(sentence=' \n').text is None
    assert Form(sentence=' in red ').text == 'in red'


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'cameras': '1; 2'}, 'Cameras are whole numbers such as 3, 7; got'),
        ({'cameras': '1) or (camera == 2'}, 'Cameras are whole numbers'),
        ({'start': 'yesterday'}, 'The earliest time cannot be read: expected a time in ISO 8601'),
        ({'end': '2026-13-01'}, 'The latest time cannot be read'),
        ({'start': '2026-05-02', 'end': '2026-05-01'}, 'is before the earliest one'),
        ({'where': 'floor == 1) or (camera == 2', 'cameras': '1'}, 'cannot be read'),
        ({'where': 'color == "red"'}, 'there is no column'),
    ],
)
def test_fields_that_cannot_be_used(gallery: Gallery, fields: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Form(**fields).condition(gallery)


@pytest.mark.parametrize('top', [0, 101, 2.5, float('nan'), None, '20'])
def test_number_of_results(top: object) -> None:
    with pytest.raises(ValueError, match='Give a number of results from 1 to 100'):
        Form(top=top).count()
    assert Form(top=7.0).count() == 7


def test_uploads_are_read_or_named(tmp_path: Path) -> None:
    Image.new('RGB', (20, 40), 'red').save(tmp_path / 'a.png')
    (tmp_path / 'notes.txt').write_text('not a picture')
    (picture,) = read_uploads([str(tmp_path / 'a.png')])
    assert picture.getpixel((0, 0)) == (255, 0, 0)
    with pytest.raises(ValueError, match=r'The image notes\.txt cannot be read') as error:
        read_uploads([str(tmp_path / 'a.png'), str(tmp_path / 'notes.txt')])
    assert str(tmp_path) not in str(error.value)
    with pytest.raises(ValueError, match='at most 20 pictures'):
        read_uploads([str(tmp_path / 'a.png')] * (MOST_PICTURES + 1))
    with pytest.raises(ValueError, match='no longer here: upload it again') as error:
        read_uploads([str(tmp_path / 'b.png')])
    assert str(tmp_path) not in str(error.value)


def test_uploads_that_would_take_all_memory(tmp_path: Path) -> None:
    Image.new('1', (9_000, 9_000)).save(tmp_path / 'a.png')  # a few kilobytes, and 240 MB once decoded
    with pytest.raises(ValueError, match='at most 200,000,000 pixels together'):
        read_uploads([str(tmp_path / 'a.png')] * 3)
