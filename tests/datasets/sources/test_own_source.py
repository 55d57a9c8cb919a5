import csv
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from mmengine.logging import MMLogger

from cmdg_plugin.datasets import ReIDEvaluationSet
from cmdg_plugin.datasets.faulty_rows import FaultyRows
from cmdg_plugin.datasets.source_building import load_sources
from cmdg_plugin.datasets.sources import OwnSource
from cmdg_plugin.datasets.sources.index import SourceIndex
from cmdg_plugin.registry import SOURCES

SENTENCES = ('A man walks.', 'A red shirt.', 'A brown belt.', 'Blue jeans.')
REGIONS = ('global', 'upper', 'middle', 'lower')
ROWS = [
    # path, identity, camera, role
    ('a/1.jpg', 12, 3, 'train'),
    ('a/2.jpg', 12, 4, 'train'),
    ('b/1.jpg', 40, 1, 'query'),
    ('b/2.jpg', 40, 2, 'gallery'),
    ('b/junk.jpg', -1, 2, 'gallery'),
]
FOUND = {'train': [('a/1.jpg', 12, 3), ('a/2.jpg', 12, 4)], 'query': [('b/1.jpg', 40, 1)]}
FOUND['gallery'] = [('b/2.jpg', 40, 2)]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for path, *_ in ROWS:
        (tmp_path / 'images' / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'images' / path).touch()
    return tmp_path / 'images'


def records(columns: tuple[str, str, str, str] = ('path', 'identity', 'camera', 'role'), **more: Any) -> list[dict]:
    return [dict(zip(columns, row, strict=False)) | more for row in ROWS]


def write_csv(path: Path, rows: list[dict]) -> Path:
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_json(path: Path, rows: list[dict]) -> Path:
    path.write_text(json.dumps(rows))
    return path


def summary(index: SourceIndex) -> dict:
    split = index.split()
    return {
        role: [(record.path, record.identity, record.camera) for record in getattr(split, role)]
        for role in ('train', 'query', 'gallery')
    }


def test_a_csv_index_is_read(images: Path) -> None:
    path = write_csv(images / 'index.csv', records(note='ignored', **dict(zip(REGIONS, SENTENCES, strict=True))))
    index = SOURCES.build({'type': 'OwnSource', 'name': 'shop', 'path': str(path)}).load()
    assert summary(index) == FOUND
    assert index.has_cameras
    assert {record.captions for record in index.select('all')} == {SENTENCES}
    assert index.absolute(index.split().query[0]) == str(images / 'b/1.jpg')


@pytest.mark.parametrize('suffix', ['.json', '.jsonl'])
def test_a_json_index_is_read(images: Path, tmp_path: Path, suffix: str) -> None:
    rows = records(('file_path', 'id', 'camid', 'split'), captions=list(SENTENCES))
    path = tmp_path / f'index{suffix}'
    path.write_text(json.dumps(rows) if suffix == '.json' else '\n'.join(map(json.dumps, rows)))
    index = OwnSource('shop', str(path), root=str(images)).load()
    assert summary(index) == FOUND
    assert {record.captions for record in index.select('all')} == {SENTENCES}


@pytest.mark.parametrize('cameras', [True, False])
def test_a_folder_is_read(tmp_path: Path, cameras: bool) -> None:
    names = ['train/0012_c3_b.jpg', 'train/0012_c4_a.jpg', 'query/40_c1.png', 'gallery/40_c2.png', 'gallery/-1_c2.png']
    if not cameras:
        names = ['train/0012_b.jpg', 'train/0012_a.jpg', 'query/40_x.png', 'gallery/40_y.png', 'gallery/-1_y.png']
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    captions = tmp_path / 'captions.json'
    write_json(captions, [{'file_path': name, 'captions': SENTENCES} for name in names[:3]])
    index = OwnSource('shop', str(tmp_path), caption_file=str(captions)).load()
    expected = {
        'train': [(names[0], 12, 3 if cameras else None), (names[1], 12, 4 if cameras else None)],
        'query': [(names[2], 40, 1 if cameras else None)],
        'gallery': [(names[3], 40, 2 if cameras else None)],
    }
    # A folder is sorted by name.
    expected['train'].sort()
    assert summary(index) == expected
    assert index.has_cameras == cameras
    assert [record.captions for record in index.select('all')] == [None, SENTENCES, SENTENCES, SENTENCES]
    (target,) = ReIDEvaluationSet([OwnSource('shop', str(tmp_path))]).targets
    assert target.has_cameras == cameras


def test_what_the_caption_tool_writes_is_an_index(images: Path) -> None:
    """Flat, with keys of its own and with only what names told it."""
    rows = records(('file_path', 'identity', 'camera', 'split'), captions=list(SENTENCES), model='m', seed=0)
    index = OwnSource('shop', str(write_json(images / 'captions.json', rows))).load()
    assert summary(index) == FOUND
    assert index.split().gallery[0].captions == SENTENCES


def test_one_number_is_one_person_in_all_roles(images: Path) -> None:
    """Unlike in the public datasets, whose training and test people are numbered apart."""
    rows = [row | {'identity': 7} for row in records()]
    index = OwnSource('shop', str(write_csv(images / 'index.csv', rows))).load()
    assert len({(record.scope, record.identity) for record in index.select('all')}) == 1


def test_distractors_and_a_list_without_roles(images: Path) -> None:
    rows = [{key: value for key, value in row.items() if key != 'role'} for row in records()]
    index = OwnSource('shop', str(write_csv(images / 'index.csv', rows))).load()
    assert len(index.split().train) == 4
    index = OwnSource('shop', str(write_csv(images / 'index.csv', records())), distractors=[40]).load()
    assert [record.identity for record in index.select('all')] == [12, 12]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'identity': 'anna'}, r"index.csv, line 4, column 'identity': expected a whole number, got 'anna'"),
        # Released caption files may prefix numbers; of own data, two shops may each have a person 12.
        ({'identity': 'shop1_12'}, r"line 4, column 'identity': expected a whole number, got 'shop1_12'"),
        ({'identity': ''}, r"line 4, column 'identity': nothing says who is in b/1.jpg"),
        ({'camera': '2nd'}, r"line 4, column 'camera': expected a whole number, got '2nd'"),
        ({'camera': ''}, r'line 4: no camera, though 4 of 5 images have one'),
        ({'role': ''}, r'line 4: no role, though 4 of 5 images have one'),
        ({'role': 'test'}, r"line 4, column 'role': expected one of train, val, query, gallery, got 'test'"),
        ({'camera': -1}, r"line 4, column 'camera': cameras are numbered from 0 or 1, got -1; leave out"),
        ({'path': ''}, r"line 4, column 'file_path': expected the path of an image"),
        ({'path': '../b.jpg'}, r"line 4, column 'path': .* leaves the root"),
        ({'path': 'a/1.jpg'}, r"line 4, column 'identity': a/1.jpg has 40 here and 12 in .*index.csv, line 2"),
        ({'path': 'b/2.jpg'}, r"line 5, column 'camera': b/2.jpg has 2 here and 1 in .*index.csv, line 4"),
        (
            {'path': 'b/2.jpg', 'camera': 2},
            r"line 5, column 'role': b/2.jpg has 'gallery' here and 'query' in .*line 4",
        ),
        ({'path': '/etc/hosts'}, r"line 4, column 'path': /etc/hosts is an absolute path .* below the root"),
        ({'path': 'b' * 300}, r"line 4, column 'path': .* longer"),
        ({'identity': '9' * 30}, r"line 4, column 'identity': .* 64 bits"),
        ({'upper': 'A shirt.'}, r"line 4, column 'global': empty, though 'upper' is given"),
    ],
)
def test_errors_name_file_row_and_column(images: Path, changes: dict, message: str) -> None:
    rows = records(**dict.fromkeys(REGIONS, ''))
    rows[2] |= changes
    with pytest.raises(ValueError, match=message):
        OwnSource('shop', str(write_csv(images / 'index.csv', rows))).load()


def test_errors_of_json(images: Path) -> None:
    rows = records()
    rows[1]['captions'] = ['one']
    path = write_json(images / 'index.json', rows)
    with pytest.raises(ValueError, match=r"index.json, record 1, key 'captions': .* got 1"):
        OwnSource('shop', str(path)).load()
    path = write_json(images / 'grid.json', [{'train': rows[:1], 'query': [], 'gallery': []}] * 2)
    with pytest.raises(ValueError, match=r'grid.json, split 0, train, record 0: .* CaptionFileSource'):
        OwnSource('shop', str(path)).load()


def test_captions_of_other_images(images: Path) -> None:
    path = write_csv(images / 'index.csv', records())
    other = write_json(images / 'other.json', [{'file_path': 'images/a/1.jpg', 'captions': SENTENCES}])
    with pytest.raises(ValueError, match=r'other.json has captions of other images, the first is images/a/1.jpg'):
        OwnSource('shop', str(path), caption_file=str(other)).load()


def test_folder_with_other_names_shows_the_rule(images: Path) -> None:
    with pytest.raises(ValueError, match=r"jpg': the name does not say who") as caught:
        OwnSource('shop', str(images)).load()
    assert f'{images}/' in str(caught.value)
    assert '0012_c3_anything.jpg' in str(caught.value)
    (images / 'none').mkdir()
    with pytest.raises(ValueError, match='no images in') as caught:
        OwnSource('shop', str(images / 'none')).load()
    assert '0012_c3_anything.jpg' in str(caught.value)


def test_absent_images_and_index(images: Path) -> None:
    path = write_csv(images / 'index.csv', records())
    (images / 'b/2.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 5 images listed in index.csv do not exist'):
        OwnSource('shop', str(path)).load()
    assert summary(OwnSource('shop', str(path), on_missing_image='skip').load())['gallery'] == []
    with pytest.raises(FileNotFoundError, match=r'(?s)shop: nothing at .*absent.csv. Give an index'):
        OwnSource('shop', str(images / 'absent.csv')).load()
    with pytest.raises(ValueError, match="'ignore'"):
        OwnSource('shop', str(path), on_missing_image='ignore')


def test_nothing_there_shows_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'(?s)shop: nothing at .*nowhere.*0012_c3_anything\.jpg'):
        OwnSource('shop', str(tmp_path / 'nowhere')).load()


def test_a_folder_that_cannot_be_listed(images: Path) -> None:
    (images / 'loop').symlink_to('loop')
    path = write_csv(images / 'index.csv', [row | {'path': f'loop/{row["path"]}'} for row in records()])
    with pytest.raises(ValueError, match=r'The folder .*images/loop/a cannot be listed'):
        OwnSource('shop', str(path)).load()


def test_nothing_but_junk(images: Path) -> None:
    path = write_csv(images / 'index.csv', [row | {'identity': -1} for row in records()])
    with pytest.raises(ValueError, match=r'index.csv: all images are junk'):
        OwnSource('shop', str(path)).load()


def test_people_on_both_sides_are_said(images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    MMLogger.get_current_instance().addHandler(caplog.handler)
    index = tmp_path / 'index.csv'
    index.write_text('path,identity,camera,role\na/1.jpg,12,3,train\na/2.jpg,12,4,query\nb/1.jpg,40,1,gallery\n')
    load_sources([OwnSource('shop', str(index), root=str(images))])
    assert '1 identities are trained on and looked for as well, the first is 12' in caplog.text


def test_what_a_spreadsheet_writes(images: Path) -> None:
    """German Excel separates by semicolons; pandas writes 12.0; people write Train."""
    path = images / 'index.csv'
    path.write_text('Path;Identity;Camera;Role\n' + ''.join(f'{p};{i}.0;{c};{r.title()}\n' for p, i, c, r in ROWS))
    assert summary(OwnSource('shop', str(path)).load()) == FOUND


@pytest.mark.parametrize(('root', 'place'), [('images', 'images'), ('linked', 'images'), ('linked', 'linked')])
def test_absolute_paths_below_the_root(images: Path, tmp_path: Path, root: str, place: str) -> None:
    (tmp_path / 'linked').symlink_to(images)
    rows = [row | {'path': f'{tmp_path}/{place}/{row["path"]}'} for row in records()]
    path = write_csv(tmp_path / 'index.csv', rows)
    described = [{'file_path': row['path'], 'captions': SENTENCES} for row in rows]
    captions = write_json(tmp_path / 'captions.json', described)
    index = OwnSource('shop', str(path), root=str(tmp_path / root), caption_file=str(captions)).load()
    assert summary(index) == FOUND
    assert {record.captions for record in index.select('all')} == {SENTENCES}
    # The same image by two names of it is one image.
    rows.append(records()[0] | {'identity': 13})
    with pytest.raises(ValueError, match=r"line 7, column 'identity': a/1.jpg has 13 here and 12 in .*line 2"):
        OwnSource('shop', str(write_csv(path, rows)), root=str(tmp_path / root)).load()


def test_a_slash_in_front_of_a_relative_path(images: Path) -> None:
    rows = [row | {'path': f'/{row["path"]}'} for row in records()]
    assert summary(OwnSource('shop', str(write_csv(images / 'index.csv', rows))).load()) == FOUND


def test_rows_that_say_the_same_are_counted(images: Path, log: pytest.LogCaptureFixture) -> None:
    path = write_csv(images / 'index.csv', [*records(), *records()[:2]])
    assert summary(OwnSource('shop', str(path)).load()) == FOUND
    assert 'shop: 2 images listed twice, counted once' in log.text


def test_two_captions_of_one_image(images: Path) -> None:
    rows = records(**dict(zip(REGIONS, SENTENCES, strict=True)))
    rows.append(rows[0] | {'upper': 'A blue shirt.'})
    message = r"line 7, column 'captions': a/1.jpg has 'A blue shirt.' here and 'A red shirt.' in .*line 2"
    with pytest.raises(ValueError, match=message):
        OwnSource('shop', str(write_csv(images / 'index.csv', rows))).load()


def test_columns_that_are_not_read_are_named(images: Path, log: pytest.LogCaptureFixture) -> None:
    OwnSource('shop', str(write_csv(images / 'index.csv', records(cam=1, note='x')))).load()
    assert "index.csv: nothing is read from the columns 'cam', 'note'" in log.text
    # As pandas writes its row numbers.
    OwnSource('shop', str(write_csv(images / 'index.csv', records(**{'': 1})))).load()
    assert "index.csv: nothing is read from the columns '' (without a name)" in log.text


def test_keys_of_json_are_taken_as_columns_are(images: Path) -> None:
    rows = [{f' {key.title()}': value for key, value in row.items()} for row in records()]
    assert summary(OwnSource('shop', str(write_json(images / 'index.json', rows))).load()) == FOUND
    rows[2]['ROLE'] = 'gallery'
    with pytest.raises(ValueError, match="record 2, key 'role': the record has this key twice"):
        OwnSource('shop', str(write_json(images / 'index.json', rows))).load()


def test_all_faulty_rows_are_known_at_once(images: Path) -> None:
    rows = records()
    rows[1]['identity'], rows[3]['role'] = 'anna', 'test'
    with pytest.raises(
        FaultyRows, match=r"line 3, column 'identity'.*\n\(another row is faulty, too; tools/check"
    ) as caught:
        OwnSource('shop', str(write_csv(images / 'index.csv', rows))).load()
    assert [fault.partition(': ')[0][-24:] for fault in caught.value.faults] == [
        "line 3, column 'identity'"[-24:],
        "csv, line 5, column 'role'"[-24:],
    ]
    assert caught.value.paths == tuple(str(images / rows[row]['path']) for row in (0, 2, 4))
    rows = [*records(), *(row | {'camera': 9} for row in records()[:3])]
    with pytest.raises(FaultyRows, match=r'a/1.jpg has 9 here and 3 in .*\n\(2 other rows are faulty') as caught:
        OwnSource('shop', str(write_csv(images / 'index.csv', rows))).load()
    assert len(caught.value.faults) == 3


def test_captions_of_the_index_and_of_the_file_that_differ_are_said(
    images: Path, log: pytest.LogCaptureFixture
) -> None:
    index = write_csv(images / 'index.csv', records(**dict(zip(REGIONS, SENTENCES, strict=True))))
    rows = [
        {'file_path': path, 'captions': (*SENTENCES[:3], last)}
        for path, last in (('a/1.jpg', 'A bag.'), ('a/2.jpg', SENTENCES[3]))
    ]
    source = OwnSource('shop', str(index), caption_file=str(write_json(images / 'captions.json', rows)))
    assert source.load().split().train[0].captions == SENTENCES
    assert 'shop: 1 images, such as a/1.jpg, have other captions in' in log.text


def test_a_name_that_looks_the_same_is_named(images: Path) -> None:
    (images / 'a' / unicodedata.normalize('NFD', 'Zoë.jpg')).touch()
    rows = records()
    rows[0]['path'] = 'a/' + unicodedata.normalize('NFC', 'zoë.jpg')
    with pytest.raises(
        FileNotFoundError, match=r"there is 'a/Zoe\\u0308.jpg', which differs in case or in how accents"
    ):
        OwnSource('shop', str(write_csv(images / 'index.csv', rows))).load()


def test_captions_of_other_images_are_counted(images: Path, log: pytest.LogCaptureFixture) -> None:
    rows = [{'file_path': path, 'captions': SENTENCES} for path in ('a/1.jpg', 'c/1.jpg', 'c/2.jpg')]
    captions = write_json(images / 'captions.json', rows)
    OwnSource('shop', str(write_csv(images / 'index.csv', records())), caption_file=str(captions)).load()
    assert 'captions.json: 2 of 3 records are of images not used here' in log.text


def test_names_that_may_mean_something_else_are_said(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train' / '1682942400123_c1.jpg').touch()
    OwnSource('shop', str(tmp_path)).load()
    assert 'shop: 1 of 1 names, such as 1682942400123_c1.jpg, begin with what looks like a date or a time' in log.text


def test_names_of_an_index_raise_no_doubt(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train' / '20230501_c1.jpg').touch()
    path = write_csv(tmp_path / 'index.csv', [{'path': 'train/20230501_c1.jpg', 'identity': 4, 'camera': 1}])
    OwnSource('shop', str(path)).load()
    assert 'names, such as' not in log.text
