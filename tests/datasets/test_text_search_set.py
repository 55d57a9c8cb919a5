"""What asks for what in text search."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from cmdg_plugin.datasets import TextSearchSet
from cmdg_plugin.datasets.sources import SourceIndex, SourceRecord, SourceSplit

FOUR = ('whole', 'up', 'mid', 'low')


class ListedSource:
    name = 'small'

    def __init__(self, root: Path, **roles: tuple[SourceRecord, ...]) -> None:
        self.index = SourceIndex(self.name, str(root), (SourceSplit(**roles),))

    def load(self) -> SourceIndex:
        return self.index


def record(name: str, person: int, **settings: Any) -> SourceRecord:
    return SourceRecord(f'{name}.jpg', person, **{'camera': 1, **settings})


def test_every_sentence_asks_and_every_image_answers(miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.write_text_miniature(tmp_path, 'cuhk-pedes')
    source = {'type': 'BenchmarkSource', 'name': 'cuhk-pedes', 'data_root': str(tmp_path)}
    dataset = TextSearchSet([source])
    (target,) = dataset.targets
    assert len(dataset) == len(target.paths) == 5
    # Sentences a person: 2 + 3, 2, 2 + 1.
    assert target.identities.tolist() == [0, 0, 1, 2, 2] + [0] * 5 + [1] * 2 + [2] * 3
    (split,) = target.splits
    assert split.gallery.tolist() == [0, 1, 2, 3, 4]
    assert split.query.tolist() == list(range(5, 15))
    assert target.sentences[2].endswith('Sentence 0.')
    assert target.name_row(1).endswith('test_query/p6955_s9222.jpg')
    assert target.name_row(5) == f'the sentence {target.sentences[0]!r}'
    assert dataset.get_data_info(4)['image_index'] == 4
    (chosen,) = TextSearchSet([source], subsets='val').targets
    assert (len(chosen.paths), len(chosen.sentences)) == (1, 2)


@pytest.mark.parametrize(
    ('regions', 'expected'),
    [('global', ('whole', 'whole')), (('lower', 'upper'), ('low', 'up', 'low', 'up'))],
)
def test_four_captions_ask_too(tmp_path: Path, regions: Any, expected: tuple[str, ...]) -> None:
    source = ListedSource(
        tmp_path,
        query=(record('a', 4, captions=FOUR),),
        gallery=(
            record('b', 4, captions=FOUR),
            record('c', 5),
            record('d', 0, captions=FOUR, distractor=True),
        ),
    )
    (target,) = TextSearchSet([source], regions=regions).targets
    assert target.sentences == expected
    # Images without a sentence, and those of nobody in particular, fill the gallery. Cameras leave nothing out.
    assert [Path(path).name for path in target.paths] == ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg']
    assert target.identities.tolist() == [1, 1, 2, 0] + [1] * len(expected)
    assert not target.has_cameras


def test_one_number_in_two_numberings_is_two_people(tmp_path: Path) -> None:
    source = ListedSource(
        tmp_path,
        train=(record('a', 0, captions=FOUR, scope='train'),),
        gallery=(record('b', 0, captions=FOUR, scope='test'),),
    )
    (target,) = TextSearchSet([source], subsets='all').targets
    assert np.unique(target.identities).tolist() == [0, 1]


def test_an_image_that_is_query_and_gallery_stands_there_once(tmp_path: Path) -> None:
    image = record('a', 4, captions=FOUR)
    (target,) = TextSearchSet([ListedSource(tmp_path, query=(image,), gallery=(image,))]).targets
    assert (len(target.paths), len(target.sentences)) == (1, 1)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'regions': ('head',)}, 'regions out of global, upper, middle, lower, got'),
        ({'regions': ()}, 'regions out of'),
        ({'subsets': ('exam',)}, "expected subsets out of .*'exam'"),
        ({'split': 'all'}, "expected 'released' or a position, got 'all'"),
        ({'subsets': ('val',)}, 'small: no images of the roles val'),
        ({'subsets': ('train',)}, 'small: no sentence is about any of its 1 images of the roles train'),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    source = ListedSource(tmp_path, train=(record('a', 4),), gallery=(record('b', 5, captions=FOUR),))
    with pytest.raises(ValueError, match=message):
        TextSearchSet([source], **settings).full_init()
