import json
import multiprocessing
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cmdg_plugin.apis import encode_text, extract_features, init_model
from cmdg_plugin.files.images import UnreadableImage
from cmdg_plugin.files.locking import InUse, hold
from cmdg_plugin.gallery import Gallery
from cmdg_plugin.gallery.encoding import GalleryModel
from cmdg_plugin.gallery.engines import open_store
from cmdg_plugin.gallery.store import GalleryStore


@pytest.fixture
def gallery(tmp_path: Path, toy_checkpoint: Path, people: Path) -> Gallery:
    gallery = Gallery.create(tmp_path / 'gallery', toy_checkpoint, device='cpu')
    gallery.add(people, progress=False)
    return gallery


def paths(gallery: Gallery) -> set[str]:
    return {match.path for match in gallery.search(text='a person', top=100).matches}


def test_scores_are_those_of_the_apis(gallery: Gallery, people: Path, toy_checkpoint: Path) -> None:
    model = init_model(None, toy_checkpoint, 'cpu')
    files = sorted(str(path) for path in people.rglob('*.png'))
    retrieval, shared = (
        extract_features(model, files, space=space, progress=False) for space in ('retrieval', 'shared')
    )
    sentence = encode_text(model, 'a woman in red')[0]
    by_image = dict(zip(files, (retrieval @ retrieval[3]).tolist(), strict=True))
    by_text = dict(zip(files, (shared @ sentence).tolist(), strict=True))
    result = gallery.search(image=files[3], top=100)
    assert {match.path: match.score for match in result.matches} == pytest.approx(by_image, abs=1e-5)
    assert result.matches[0].path == files[3]
    assert [match.rank for match in result.matches] == list(range(1, 13))
    assert (result.searched, result.verdict) == (12, None)
    result = gallery.search(text='a woman in red', top=100)
    assert {match.path: match.score for match in result.matches} == pytest.approx(by_text, abs=1e-5)
    result = gallery.search(image=files[3], text='a woman in red', text_weight=0.25, top=100)
    both = {path: 0.75 * by_image[path] + 0.25 * by_text[path] for path in files}
    assert {match.path: match.score for match in result.matches} == pytest.approx(both, abs=1e-5)


def test_pictures_of_one_person_are_one_query(gallery: Gallery, people: Path, toy_checkpoint: Path) -> None:
    files = sorted(people.rglob('*.png'))[:2]
    model = init_model(None, toy_checkpoint, 'cpu')
    mean = extract_features(model, files, progress=False).mean(dim=0)
    score = float(mean @ extract_features(model, files[0], progress=False)[0] / mean.norm())
    opened = [Image.open(files[0]), np.asarray(Image.open(files[1]))]
    found = {match.path: match.score for match in gallery.search(image=opened, top=20).matches}
    assert found[str(files[0])] == pytest.approx(score, abs=1e-5)


def test_the_call_of_mmpretrains_retrieval(gallery: Gallery, people: Path) -> None:
    files = sorted(people.rglob('*.png'))[:2]
    answers = gallery([str(files[0]), Image.open(files[1])], topk=2)
    assert [len(answer) for answer in answers] == [2, 2]
    for file, answer in zip(files, answers, strict=True):
        assert answer[0]['match_score'] == pytest.approx(1, abs=1e-5)
        assert answer[0]['sample']['img_path'] == str(file)
    assert gallery(files[0])[0][0] == answers[0][0]


def test_names_tell_who_and_where(gallery: Gallery, people: Path) -> None:
    result = gallery.search(text='a person', where='identity == "3" and camera == 2 and role == "gallery"')
    (match,) = result.matches
    assert match.path == str(people / 'gallery' / '0003_c2_x.png')
    assert (match.identity, match.camera, match.time, match.columns) == ('3', 2, None, {'role': 'gallery'})
    assert result.searched == 1
    assert gallery.search(text='a person', where='camera == 9').matches == ()


def test_an_index_says_more(gallery: Gallery, people: Path, index: Path) -> None:
    report = gallery.add(index, progress=False)
    assert (report.added, report.replaced, report.unchanged, report.unreadable) == (0, 12, 0, [])
    assert gallery.add(index, progress=False).unchanged == 12
    assert gallery.columns['floor'] is int
    (match, *_) = gallery.search(text='x', where='floor == 3 and shop == "007" and identity == "person 3"').matches
    assert match.caption == 'A person number 3.'
    assert match.time == '2026-05-01T06:00:00'
    assert match.columns == {'role': 'gallery', 'floor': 3, 'shop': '007'}
    # Names of files say less, and take nothing away.
    assert gallery.add(people, progress=False).unchanged == 12


def test_a_csv_file_has_types(gallery: Gallery, people: Path) -> None:
    first, second = (path.relative_to(people) for path in sorted(people.rglob('*.png'))[:2])
    table = people / 'index.csv'
    table.write_text(f'path,identity,level,shop\n{first},7,1,08\n{second},Anna,2.5,9\n')
    gallery.add(table, progress=False)
    assert (gallery.columns['level'], gallery.columns['shop']) == (float, str)
    assert gallery.search(text='x', where='level <= 1 and identity == "7" and shop == "08"').searched == 1
    table.write_text(f'path,level\n{first},high\n')
    with pytest.raises(ValueError, match='The column level holds numbers in this gallery, but text'):
        gallery.add(table, progress=False)
    table.write_text(f'path,time\n{first},noon\n')
    with pytest.raises(ValueError, match=r"index\.csv, line 2, column 'time': expected a time in ISO 8601"):
        gallery.add(table, progress=False)


def test_only_what_is_new_or_has_changed_is_encoded(
    gallery: Gallery, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    real = GalleryModel.encode_prepared
    monkeypatch.setattr(GalleryModel, 'encode_prepared', lambda self, x: encoded.append(len(x)) or real(self, x))
    assert gallery.add(people, progress=False).unchanged == 12
    files = sorted(people.rglob('*.png'))
    os.utime(files[0])  # another time, the same content
    assert gallery.add(people, progress=False).unchanged == 12
    assert encoded == []
    shutil.copy(files[1], files[0])
    shutil.copy(files[1], people / 'new.png')
    (people / 'broken.png').write_bytes(files[2].read_bytes()[:60])
    report = gallery.add(people, progress=False)
    assert (report.added, report.replaced, report.unchanged) == (1, 1, 11)
    assert encoded == [2]
    ((path, reason),) = report.unreadable
    assert path == str(people / 'broken.png')
    assert 'cannot be read' in reason
    (first, *_) = gallery.search(image=files[1], where=f'path == {json.dumps(str(files[0]))}').matches
    assert first.score == pytest.approx(1, abs=1e-5)
    (people / 'itself.png').symlink_to(people / 'itself.png')
    wrong = [str(people / name) for name in ('missing.png', 'itself.png', '0000.png/x.png')]
    report = gallery.add(wrong, progress=False)
    assert [path for path, _ in report.unreadable] == wrong
    assert all(path in reason for path, reason in report.unreadable)


def test_an_image_from_the_far_future(gallery: Gallery, people: Path) -> None:
    shutil.copy(people / 'query' / '0002_c1_x.png', people / 'late.png')
    os.utime(people / 'late.png', (12 * 10**9, 12 * 10**9))  # the year 2350: more nanoseconds than 64 bits hold
    assert gallery.add(people, progress=False).added == 1
    assert gallery.add(people, progress=False).unchanged == 13
    assert gallery.verify(files=True) == []


def test_a_name_that_is_not_text_is_listed(gallery: Gallery, people: Path) -> None:
    name = os.fsencode(people) + b'/caf\xe9.png'
    shutil.copy(people / 'query' / '0002_c1_x.png', name)
    report = gallery.add(people, progress=False)
    ((path, reason),) = report.unreadable
    assert (report.unchanged, path) == (12, f'{people}/caf\\udce9.png')
    assert 'is not UTF-8; rename it' in reason
    assert gallery.remove(paths=[os.fsdecode(name)]) == 0
    with pytest.raises(ValueError, match='is not in this gallery'):
        gallery.read_image(os.fsdecode(name))


def test_what_is_removed_is_gone_from_the_disk(gallery: Gallery, people: Path, toy_model: GalleryModel) -> None:
    victim = str(people / 'query' / '0002_c1_x.png')
    pieces = [victim.encode(), toy_model.encode_queries([victim])[:8].tobytes()]
    stored = toy_model.encode_prepared(toy_model.prepare(Image.open(victim))[None])[0]
    pieces[1] = stored[:2].tobytes()

    def held() -> list[bool]:
        content = b''.join(path.read_bytes() for path in gallery.folder.rglob('*') if path.is_file())
        return [piece in content for piece in pieces]

    assert held() == [True, True]
    assert gallery.remove(paths=[victim]) == 1
    assert held() == [False, False]
    assert victim not in paths(gallery)
    assert gallery.remove('role == "query"') == 5
    assert gallery.remove('role == "query"') == 0
    assert gallery.verify() == []
    with pytest.raises(ValueError, match='Say which entries to remove'):
        gallery.remove()


def test_only_images_of_the_gallery_are_read(gallery: Gallery, people: Path, tmp_path: Path) -> None:
    file = people / 'query' / '0002_c1_x.png'
    assert gallery.read_image(str(file)).size == (32, 64)
    other = shutil.copy(file, tmp_path / 'other.png')
    for path in (other, '/etc/passwd', f'{people}/query/../query/0002_c1_x.png', ''):
        with pytest.raises(ValueError, match='is not in this gallery'):
            gallery.read_image(str(path))


def test_another_model_is_refused_by_name(
    gallery: Gallery, toy_checkpoint: Path, other_checkpoint: Path, people: Path, tmp_path: Path
) -> None:
    gallery.close()
    moved = Path(shutil.copy(toy_checkpoint, tmp_path / 'moved.pth'))
    assert Gallery.open(gallery.folder, moved, 'cpu').search(text='x').searched == 12
    mixed = Gallery.open(gallery.folder, other_checkpoint, 'cpu')
    with pytest.raises(ValueError, match=r'was encoded by the model .*toy\.pth.*, but .*other\.pth is the model'):
        mixed.search(text='x')
    with pytest.raises(
        ValueError, match=r'cannot be compared\. .* anew with this one: reencode .*gallery --model .*r\.pth'
    ):
        mixed.add(people, progress=False)


def test_where_a_model_has_moved_is_kept_once_the_gallery_changes(
    gallery: Gallery, toy_checkpoint: Path, people: Path, tmp_path: Path
) -> None:
    moved = shutil.copy(toy_checkpoint, tmp_path / 'moved.pth')
    for change, place in ((False, toy_checkpoint), (True, moved)):
        with Gallery.open(gallery.folder, moved, 'cpu') as other:
            if change:
                other.add(people, progress=False)
            assert other.search(text='x').searched == 12
        assert Gallery.open(gallery.folder).info().model == str(place)


def test_a_gallery_that_may_only_be_read_is_searched(
    gallery: Gallery, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, 'access', lambda *arguments: False)  # a mode would not keep root from writing
    assert gallery.search(text='x').searched == 12
    for change in (lambda: gallery.add(people, progress=False), lambda: gallery.remove('camera == 1')):
        with pytest.raises(PermissionError, match=r'can be searched, but not changed: its folder may only be read\.'):
            change()


def test_a_new_model_encodes_anew_while_the_old_one_answers(
    gallery: Gallery, other_checkpoint: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Gallery.open(gallery.folder, device='cpu')
    before = reader.search(text='a person', top=1).matches[0].score
    during: list[float] = []
    real = GalleryModel.encode_prepared

    def watch(self: GalleryModel, batch: object) -> np.ndarray:
        during.append(reader.search(text='a person', top=1).matches[0].score)
        return real(self, batch)

    monkeypatch.setattr(GalleryModel, 'encode_prepared', watch)
    report = gallery.reencode(other_checkpoint, progress=False, batch_size=5)
    assert report.added == 12
    assert during == [before] * 3
    other = GalleryModel(other_checkpoint, 'cpu')
    for each in (reader, gallery):
        assert each.info().hash == other.hash
        assert each.info().model == str(other_checkpoint)
        after = each.search(image=people / 'query' / '0002_c1_x.png', top=1)
        assert after.matches[0].score == pytest.approx(1, abs=1e-5)
        assert each.search(text='a person', top=1).matches[0].score != pytest.approx(before, abs=1e-4)
    assert [path.name for path in gallery.folder.glob('entries-*')] == ['entries-2.sqlite']


def test_a_gallery_that_is_encoded_anew_while_it_is_opened(
    gallery: Gallery, toy_checkpoint: Path, other_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may switch after the manifest has been read, before the entries or after them."""
    switched: list[str] = []

    def encode_anew(checkpoint: Path) -> None:
        monkeypatch.undo()
        gallery.reencode(checkpoint, progress=False)
        switched.append(gallery.info().hash)

    def open_late(*arguments: Any) -> GalleryStore:
        encode_anew(other_checkpoint)
        return open_store(*arguments)

    def be_overtaken(*arguments: Any) -> GalleryStore:
        store = open_store(*arguments)
        encode_anew(toy_checkpoint)
        return store

    for opening in (open_late, be_overtaken):
        monkeypatch.setattr('cmdg_plugin.gallery.gallery.open_store', opening)
        with Gallery.open(gallery.folder, device='cpu') as reader:
            assert reader.search(text='x').searched == 12
            assert reader.info().hash == switched[-1]
    assert len(set(switched)) == 2


def test_a_new_version_that_cannot_be_opened_for_now(
    gallery: Gallery, other_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one in a server that does not answer."""
    with Gallery.open(gallery.folder, device='cpu') as reader:
        gallery.reencode(other_checkpoint, progress=False)

        def fail(*arguments: Any) -> GalleryStore:
            raise ConnectionError('no answer')

        monkeypatch.setattr('cmdg_plugin.gallery.gallery.open_store', fail)
        with pytest.raises(ConnectionError):
            reader.search(text='x')
        monkeypatch.undo()
        assert reader.search(text='x').searched == 12


def test_reencoding_loses_no_image_unasked(gallery: Gallery, other_checkpoint: Path, people: Path) -> None:
    (people / 'query' / '0002_c1_x.png').unlink()
    with pytest.raises(ValueError, match=r'1 images of the gallery cannot be read any more.*is as it was'):
        gallery.reencode(other_checkpoint, progress=False)
    assert gallery.search(text='x').searched == 12
    assert [path.name for path in gallery.folder.glob('entries-*')] == ['entries-1.sqlite']
    assert len(gallery.verify(files=True)) == 1
    report = gallery.reencode(other_checkpoint, progress=False, drop_unreadable=True)
    assert (report.added, len(report.unreadable), gallery.info().entries) == (11, 1, 11)


def test_what_is_not_a_gallery(tmp_path: Path, toy_checkpoint: Path, gallery: Gallery, people: Path) -> None:
    with pytest.raises(FileNotFoundError, match='is not a gallery: there is no such folder'):
        Gallery.open(tmp_path / 'nothing')
    with pytest.raises(FileNotFoundError, match=r'is not a gallery: it holds no gallery\.json'):
        Gallery.open(people)
    with pytest.raises(FileExistsError, match='is not empty'):
        Gallery.create(people, toy_checkpoint, device='cpu')
    with pytest.raises(FileExistsError, match='There is a gallery in'):
        Gallery.create(gallery.folder, toy_checkpoint, device='cpu')
    with pytest.raises(FileExistsError, match='is a file'):
        Gallery.create(toy_checkpoint, toy_checkpoint, device='cpu')
    with pytest.raises(FileNotFoundError, match='checkpoint'):
        Gallery.create(tmp_path / 'new', tmp_path / 'nothing.pth')
    assert not (tmp_path / 'new').exists()


def test_damage_and_newer_versions_are_named(gallery: Gallery) -> None:
    gallery.close()
    file = gallery.folder / 'gallery.json'
    text = file.read_text()
    content = json.loads(text)
    file.write_text(json.dumps({**content, 'format': 2}))
    with pytest.raises(ValueError, match=r'has format 2, written by a newer cmdg_plugin; this one reads up to 1\.'):
        Gallery.open(gallery.folder)
    for damaged in (text[:50], '[]', '{}', json.dumps({**content, 'dimension': 'x'}), json.dumps({**content, 'a': 1})):
        file.write_text(damaged)
        with pytest.raises(ValueError, match='is damaged, or is not that of a gallery'):
            Gallery.open(gallery.folder)
    file.write_text(json.dumps({**content, 'dimension': content['dimension'] + 1}))
    with Gallery.open(gallery.folder, device='cpu') as wrong:
        with pytest.raises(ValueError, match='it lacks vectors, or has others; verify lists them'):
            wrong.search(text='x')
        assert len(wrong.verify()) == 12
    file.write_text(text)
    entries = gallery.folder / 'entries-1.sqlite'
    entries.write_bytes(b'not a database' * 100)
    with pytest.raises(ValueError, match='not the file of a gallery, or it is damaged'):
        Gallery.open(gallery.folder)
    entries.unlink()
    with pytest.raises(FileNotFoundError, match='has lost its entries'):
        Gallery.open(gallery.folder)


SIZE = 'number 3: a vector of another size'


def craft(gallery: Gallery, command: str, *values: object) -> None:
    """Change the file behind the gallery's back."""
    with closing(sqlite3.connect(gallery.folder / 'entries-1.sqlite')) as database, database:
        database.execute(command, values)


@pytest.mark.parametrize(
    ('change', 'searching', 'verifying'),
    [
        ('UPDATE vectors SET vector = zeroblob(8) WHERE id = 3', 'it lacks vectors', SIZE),
        ("UPDATE vectors SET vector = 'x' WHERE id = 3", 'it lacks vectors', SIZE),
        (
            # Text of the right length.
            "UPDATE vectors SET vector = replace(hex(zeroblob(448)), '0', 'x') WHERE id = 3",
            'it lacks vectors',
            SIZE,
        ),
        ('DELETE FROM vectors WHERE id = 3', 'it lacks vectors', 'number 3: no vector'),
        ('INSERT INTO vectors VALUES (99, zeroblob(896))', None, 'number 99: a vector without entry'),
        ('UPDATE entries SET id = -1 WHERE id = 3', None, 'number -1: not such a number as entries get'),
        ("UPDATE entries SET camera = 'hall' WHERE id = 3", "it holds 'hall' in the column camera", None),
        ("UPDATE entries SET path = x'2f61' WHERE id = 3", 'it holds a bytes in the column path', None),
        ('UPDATE entries SET x_role = 3 WHERE id = 3', 'it holds 3 in the column role, which is for text', None),
    ],
)
def test_wrong_rows_are_named(gallery: Gallery, change: str, searching: str | None, verifying: str | None) -> None:
    craft(gallery, change)
    if searching is not None:
        with pytest.raises(ValueError, match=f'The gallery is damaged: {searching}'):
            gallery.search(text='x')
    assert any((verifying or f'number 3: The gallery is damaged: {searching}') in fault for fault in gallery.verify())


def test_a_vector_that_is_not_numbers_hides_no_other_one(gallery: Gallery) -> None:
    craft(gallery, 'UPDATE vectors SET vector = ? WHERE id = 3', np.full(224, np.nan, np.float32).tobytes())
    with pytest.raises(ValueError, match='it holds vectors that are not numbers; verify lists them'):
        gallery.search(text='x')
    assert gallery.verify() == ['number 3: its vector has not length one']


@pytest.mark.parametrize(
    'change',
    [
        'DROP TABLE vectors',
        'DROP TABLE further_columns',
        'ALTER TABLE entries RENAME COLUMN sha256 TO hash',
        'CREATE TRIGGER keep AFTER DELETE ON entries BEGIN INSERT INTO further_columns VALUES (old.path, 1); END',
        'CREATE VIEW more AS SELECT * FROM entries',
    ],
)
def test_other_tables_are_refused_at_once(gallery: Gallery, change: str) -> None:
    gallery.close()
    craft(gallery, change)
    with pytest.raises(ValueError, match='is not the file of a gallery'):
        Gallery.open(gallery.folder)


def test_queries_that_are_none(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / 'text.png').write_text('no image')
    for wrong, message in (
        (dict(), 'Say what to search for'),
        (dict(text='  '), 'this one is empty'),
        (dict(image=[]), 'at least one image'),
        (dict(image=5), 'a PIL image or an RGB array, not a int'),
        (dict(image=np.zeros((4, 4))), 'RGB, .*uint8; got float64'),
        (dict(text='x', top=0), 'at least 1'),
        (dict(text='x', text_weight=2), 'from 0 to 1'),
        (dict(text='x', text_weight='half'), 'from 0 to 1, got half'),
        (
            dict(text='x', where='age > 3'),
            "no column 'age'; this gallery has path, identity, camera, time",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            gallery.search(**wrong)
    with pytest.raises(UnreadableImage, match='not an image in a format'):
        gallery.search(image=tmp_path / 'text.png')
    with pytest.raises(FileNotFoundError, match='There is no image at'):
        gallery.search(image=tmp_path / 'nothing.png')


def test_a_closed_gallery_says_so(gallery: Gallery, people: Path) -> None:
    gallery.close()
    for use in (
        lambda: gallery.search(text='x'),
        lambda: gallery.add(people, progress=False),
        lambda: gallery.columns,
        gallery.verify,
    ):
        with pytest.raises(ValueError, match=f'The gallery {gallery.folder} is closed; open it again'):
            use()


def test_two_processes_do_not_change_a_gallery_at_once(gallery: Gallery, people: Path) -> None:
    forks = multiprocessing.get_context('fork')
    held, done = forks.Event(), forks.Event()

    def change() -> None:
        with hold(gallery.folder / '.lock', 'in use'):
            held.set()
            done.wait(60)

    other = forks.Process(target=change, daemon=True)
    other.start()
    assert held.wait(60)
    with pytest.raises(InUse, match='Another process is changing the gallery'):
        gallery.add(people, progress=False)
    with pytest.raises(InUse):
        gallery.remove('camera == 1')
    assert gallery.search(text='x').searched == 12  # reading goes on
    done.set()
    other.join(60)
    assert gallery.add(people, progress=False).unchanged == 12


def test_what_another_process_does_shows(gallery: Gallery, people: Path) -> None:
    reader = Gallery.open(gallery.folder, device='cpu')
    assert reader.search(text='x').searched == 12
    gallery.remove('camera == 1')
    assert reader.search(text='x').searched == 6
    gallery.add(people, progress=False)
    assert len(paths(reader)) == 12


def test_vectors_beyond_the_memory_are_read_from_the_disk(
    tmp_path: Path, toy_checkpoint: Path, people: Path, gallery: Gallery
) -> None:
    small = Gallery.create(tmp_path / 'small', toy_checkpoint, device='cpu', memory=0)
    small.add(people, progress=False)
    for where in (None, 'camera == 1'):
        one, other = (each.search(text='a person', where=where, top=5) for each in (small, gallery))
        assert [match.path for match in one.matches] == [match.path for match in other.matches]
        assert one.searched == other.searched
