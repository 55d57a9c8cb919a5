import pytest

from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord, SourceSplit, check_subsets, make_scope

SPLITS = tuple(
    SourceSplit(train=(SourceRecord(f'{number}.jpg', number),), query=(SourceRecord('q.jpg', 9),))
    for number in range(3)
)


def test_splits_are_asked_for_by_name_or_number() -> None:
    index = SourceIndex('shop', 'root', SPLITS, released=-1, num_listed=2)
    assert index.positions() == (2,)
    assert index.positions('all') == (0, 1)
    assert index.split(1) is SPLITS[1]
    for which in (3, -1, True, 'first', 1.0):
        with pytest.raises(ValueError, match=r"shop: expected split 'released', 'all' or a number below 3"):
            index.split(which)  # type: ignore[arg-type, unused-ignore]
    single = SourceIndex('shop', 'root', SPLITS[:1])
    assert single.split(7) is SPLITS[0]
    with pytest.raises(ValueError, match='expected split'):
        single.split('first')


def test_images_to_train_on_come_once_by_path_and_without_distractors() -> None:
    first = SourceRecord('b.jpg', 1)
    split = SourceSplit(
        train=(first,),
        query=(SourceRecord('a.jpg', 2), SourceRecord('b.jpg', 3)),
        gallery=(SourceRecord('c.jpg', 0, distractor=True),),
    )
    index = SourceIndex('shop', '/data', (split,))
    chosen = index.select('all')
    assert [record.path for record in chosen] == ['a.jpg', 'b.jpg']
    assert chosen[1] is first
    assert index.absolute(first) == '/data/b.jpg'


def test_subsets_are_spelled_out() -> None:
    assert check_subsets('train') == ('train',)
    assert check_subsets(['all']) == ('train', 'val', 'query', 'gallery')
    for subsets in ([], ['all', 'train'], ['test']):
        with pytest.raises(ValueError, match='expected subsets out of train, val, query, gallery'):
            check_subsets(subsets)


def test_numbers_belong_to_training_or_test_images_and_to_pairs_of_cuhk02() -> None:
    assert make_scope('a.jpg', 'val') == make_scope('b.jpg', 'train') == 'train'
    assert make_scope('a.jpg', 'query') == make_scope('b.jpg', 'gallery') == 'test'
    assert make_scope('cuhk02/P3/cam2/001_01.png', 'train') == 'train/P3'
