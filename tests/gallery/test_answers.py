from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from cmdg_plugin.gallery.answers import VERDICTS, describe_answer
from cmdg_plugin.gallery.results import Match, SearchResult


def read_image(path: str) -> Image.Image:
    if 'gone' in path:
        raise ValueError('it is gone')
    return Image.new('RGB', (4, 8), 'red')


GALLERY = SimpleNamespace(read_image=read_image)
MATCHES = (
    Match('/shop/a.png', 0.9, 1, '7', 2, None, 'A man.', {'floor': 3}),
    Match('/shop/gone.png', 0.8, 2, None, None, None, None, {}),
)


def test_cards_say_what_is_known() -> None:
    answer = describe_answer(SearchResult(MATCHES, 'unsure', 12), GALLERY, text='a man', full_paths=False)
    assert (answer.verdict, answer.kind, answer.searched) == (VERDICTS['unsure'], 'unsure', 12)
    first, second = answer.cards
    assert (first.name, first.facts) == ('a.png', (('identity', '7'), ('camera', '2'), ('floor', '3')))
    assert str(first.picture).startswith('data:image/')
    assert (second.name, second.picture, second.facts) == ('gone.png', None, ())
    assert describe_answer(SearchResult(MATCHES, None, 12), GALLERY).cards[0].name == str(Path('/shop/a.png'))


@pytest.mark.parametrize(
    ('searched', 'where', 'kind', 'verdict'),
    [
        (5, None, 'plain', 'Not calibrated'),
        (0, None, 'empty', 'the gallery is empty'),
        (0, 'camera == 1', 'empty', 'no entry of the gallery passes the filter'),
    ],
)
def test_verdicts_where_nothing_is_decided(searched: int, where: str | None, kind: str, verdict: str) -> None:
    answer = describe_answer(SearchResult((), None, searched), GALLERY, where=where)
    assert answer.kind == kind
    assert verdict in answer.verdict


def test_the_weight_is_shown_beside_pictures_alone() -> None:
    result = SearchResult((), None, 5)
    assert describe_answer(result, GALLERY, text='a man').text_weight is None
    picture = Image.new('RGB', (4, 8))
    answer = describe_answer(result, GALLERY, pictures=[picture], text='a man', text_weight=0.3)
    assert answer.text_weight == 0.3
    assert len(answer.pictures) == 1
