from pathlib import Path
from typing import Any

import pytest
from mmengine.logging import MMLogger

from cmdg_plugin.datasets.source_building import load_sources
from cmdg_plugin.datasets.sources import SourceIndex, SourceRecord, SourceSplit
from cmdg_plugin.datasets.sources.index_checks import check_index, find_oddities, summarize


def index(root: Path | str = 'nowhere', has_cameras: bool = True, **roles: Any) -> SourceIndex:
    return SourceIndex('shop', str(root), (SourceSplit(**roles),), has_cameras=has_cameras)


def record(path: str = 'a.jpg', identity: int = 1, camera: int = 1, **more: Any) -> SourceRecord:
    return SourceRecord(path, identity, camera, **more)


@pytest.mark.parametrize(
    ('roles', 'message'),
    [
        ({'query': (record(),), 'gallery': (record(camera=2),)}, r'a.jpg \(query and gallery\) .* camera 1 and 2'),
        ({'query': (record(),), 'gallery': (record(identity=2),)}, 'identity 1 and 2'),
        ({'train': (record(), record(captions=tuple('abcd')))}, 'two captions'),
        ({'train': (record(),), 'gallery': (record(),)}, r'\(train and gallery\) .* trained on and tested on'),
        ({'query': (record(),), 'gallery': (record(),), 'has_cameras': False}, 'without cameras a query finds itself'),
    ],
)
def test_two_things_about_one_image(roles: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_index(index(**roles))


def test_what_is_taken() -> None:
    check_index(index(query=(record(),), gallery=(record(), record('b.jpg', 1, 2))))
    one, two = SourceSplit(train=(record(),)), SourceSplit(query=(record(identity=9),))
    # Splits number people anew.
    check_index(SourceIndex('shop', 'nowhere', (one, two)))


def test_every_source_is_summed_up(caplog: pytest.LogCaptureFixture) -> None:
    MMLogger.get_current_instance().addHandler(caplog.handler)

    class Source:
        name = 'shop'

        def load(self) -> SourceIndex:
            captions = ('a', 'b', 'c', 'd')
            train = tuple(record(f'{number}.jpg', number // 3, number % 2, captions=captions) for number in range(10))
            return index(train=train, query=(record('q.jpg', 7, 5),))

    (loaded,) = load_sources([Source()])
    line = (
        'shop: train 10 images of 4 identities (2.5 each, 1 to 3); query 1 images of 1 identities (1.0 each, 1 to 1); '
        '3 cameras; 10 of 11 with captions'
    )
    assert summarize(loaded) == line
    assert line in caplog.text
    assert '1 of 1 identities of query and gallery have one image only' in caplog.text


@pytest.mark.parametrize(
    ('made', 'expected'),
    [
        ({'train': tuple(record(f'{n}.jpg', n) for n in range(3))}, '3 of 3 identities of train have one image only'),
        (
            {'train': tuple(record(f'{n}.jpg', 20230501) for n in range(3))},
            'all 3 images of train show one identity, 2023',
        ),
        (
            {'train': (record('a.jpg', 1, 1), record('b.jpg', 1, None)), 'has_cameras': False},
            '1 of 2 images have a camera',
        ),
        (
            {
                'train': (record('a.jpg', 5), record('b.jpg', 6)),
                'query': (record('c.jpg', 6, scope='test'), record('d.jpg', 5)),
            },
            '1 identities are trained on and looked for as well, the first is 5',
        ),
    ],
)
def test_oddities(made: dict, expected: str) -> None:
    assert any(expected in text for text in find_oddities(index(**made)))


def test_nothing_odd() -> None:
    test = {'query': (record('q.jpg', 3, 1),), 'gallery': (record('g.jpg', 3, 2), record('h.jpg', 1, distractor=True))}
    pairs = tuple(record(f'{n}.jpg', n // 2) for n in range(4))
    more = {'gallery': (*test['gallery'], *(record(f'g{n}.jpg', 5 + n // 2) for n in range(4)))}
    assert list(find_oddities(index(train=pairs, **(test | more)))) == []
