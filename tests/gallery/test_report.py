from pathlib import Path

import numpy as np
import pytest
from helpers.html_pages import Page
from helpers.search_gallery import HOSTILE, HOSTILE_NAME, make_gallery

from cmdg_plugin.gallery import Gallery, SearchResult
from cmdg_plugin.gallery.answers import VERDICTS, describe_answer
from cmdg_plugin.gallery.report import write_report


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('report')


@pytest.fixture(scope='module')
def gallery(folder: Path) -> Gallery:
    return make_gallery(folder)


def test_page_of_a_search(gallery: Gallery, folder: Path, tmp_path: Path) -> None:
    query = dict(image=folder / 'images/red.png', text='in red', where='camera < 3', text_weight=0.25)
    result = gallery.search(**query)
    path = write_report(result, gallery, tmp_path / 'new' / 'report', **query)
    assert path == tmp_path / 'new/report/index.html'
    assert [each.name for each in path.parent.iterdir()] == ['index.html']
    page = Page(path.read_text(encoding='utf-8'))
    assert page.tags.count('li') == len(result.matches) == 3
    assert page.tags.count('img') == 4  # with the query's
    assert 'button' not in page.tags
    for match in result.matches:
        assert match.path in page.text
        assert f'{match.score:.3f}' in page.text
        assert match.caption is not None
        assert match.caption in page.text
    for text in ('camera < 3', '\u201cin red\u201d', 'with weight 0.25', '3 entries searched', str(VERDICTS[None])):
        assert text in page.text


def test_everything_is_escaped_and_inside(gallery: Gallery, tmp_path: Path) -> None:
    where = f'path != "{"<script>" + "x" * 5}" and identity == "4"'
    result = gallery.search(text=HOSTILE, where=where)
    path = write_report(result, gallery, tmp_path, text=HOSTILE, where=where)
    page = Page(path.read_text(encoding='utf-8'))
    assert not {'script', 'b'} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith('on')]
    assert page.text.count(HOSTILE) == 2
    assert HOSTILE_NAME in page.text
    sources = [value for name, value in page.attributes if name in ('src', 'href')]
    assert len(sources) == 1
    assert str(sources[0]).startswith('data:image/jpeg;base64,')
    assert ('http-equiv', 'Content-Security-Policy') in page.attributes


def test_several_pictures_are_one_query(gallery: Gallery, folder: Path, tmp_path: Path) -> None:
    images = [folder / 'images/red.png', np.zeros((40, 20, 3), np.uint8)]
    path = write_report(gallery.search(image=images, top=1), gallery, tmp_path, images)
    text = path.read_text(encoding='utf-8')
    assert text.count('of the query') == 2
    assert 'with weight' not in text


@pytest.mark.parametrize('verdict', ['match', 'unsure', 'nobody', None])
def test_verdicts_in_words(gallery: Gallery, verdict: str | None) -> None:
    answer = describe_answer(SearchResult((), verdict, 5), gallery, text='x')
    assert answer.verdict == VERDICTS[verdict]
    assert answer.kind == (verdict or 'plain')


def test_nothing_searched(gallery: Gallery) -> None:
    filtered = describe_answer(SearchResult((), None, 0), gallery, text='x', where='camera == 99')
    assert filtered.verdict == 'Nothing found: no entry of the gallery passes the filter.'
    empty = describe_answer(SearchResult((), None, 0), gallery, text='x')
    assert empty.verdict == 'Nothing found: the gallery is empty.'


def test_a_folder_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / 'caf\udce9'
    make_gallery(tmp_path).folder.rename(folder)
    page = write_report(SearchResult((), None, 0), Gallery.open(folder), tmp_path / 'report')
    assert r'Search in caf\udce9' in page.read_text(encoding='utf-8')


def test_an_image_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    gallery = make_gallery(tmp_path)
    result = gallery.search(text='red', where='camera == 1')
    (tmp_path / 'images/red.png').unlink()
    page = Page(write_report(result, gallery, tmp_path / 'out', text='red').read_text(encoding='utf-8'))
    assert page.text.count('the image can no longer be read') == 1
    assert page.tags.count('img') == 1
