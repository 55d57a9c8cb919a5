import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cmdg_plugin.files import witness
from cmdg_plugin.files.witness import Witness, collecting, exists, find_change, is_file, is_folder, note, note_tree


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, 'SETTLED', 0.0)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / 'tree'
    for name in ('a/1.jpg', 'a/2.jpg', 'a/list.txt', 'b/c/3.png', 'facts.mat'):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (tmp_path / 'store').mkdir()
    (tmp_path / 'store' / '4.jpg').touch()
    (root / 'b' / '4.jpg').symlink_to(tmp_path / 'store' / '4.jpg')
    # Two changes within one tick of the clock leave one time.
    time.sleep(0.02)
    return root


def seen(*paths: Path, how: Callable = note) -> dict:
    with collecting() as found:
        for path in paths:
            how(path)
    assert found.doubt() == ''
    return found.record()


def set_back(path: Path, before: os.stat_result) -> None:
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def rewrite(path: Path, content: str) -> None:
    before = path.stat()
    path.write_text(content)
    set_back(path, before)


CHANGES: dict[str, Callable[[Path], object]] = {
    'an image more': lambda root: (root / 'a/5.jpg').touch(),
    'one less': lambda root: (root / 'b/c/3.png').unlink(),
    'renamed': lambda root: (root / 'a/1.jpg').rename(root / 'a/01.jpg'),
    'moved': lambda root: (root / 'a/1.jpg').rename(root / 'b/1.jpg'),
    'a file of the same size and time': lambda root: rewrite(root / 'a/list.txt', 'a/list.tyt'),
    'a file of another size and the same time': lambda root: rewrite(root / 'facts.mat', 'longer than before'),
    'a folder more': lambda root: (root / 'b/d').mkdir(),
    'a folder gone': lambda root: shutil.rmtree(root / 'b/c'),
    'all gone': shutil.rmtree,
    'a file for a folder': lambda root: (shutil.rmtree(root / 'b/c'), (root / 'b/c').touch()),
    'a link to elsewhere': lambda root: ((root / 'b/4.jpg').unlink(), (root / 'b/4.jpg').symlink_to('../a/1.jpg')),
    'where a link leads': lambda root: (root.parent / 'store/4.jpg').unlink(),
    'a link there': lambda root: (
        (root.parent / 'store/4.jpg').rename(root.parent / 'store/5.jpg'),
        (root.parent / 'store/4.jpg').symlink_to('5.jpg'),
    ),
}


@pytest.mark.parametrize('change', CHANGES.values(), ids=list(CHANGES))
def test_any_change_of_a_tree_is_found(tree: Path, change: Callable[[Path], object]) -> None:
    record = seen(tree, how=note_tree)
    assert find_change(record) == ''
    change(tree)
    assert find_change(record) != ''


def test_a_link_back_is_noted_and_not_followed(tree: Path) -> None:
    (tree / 'b/back').symlink_to(tree)
    record = seen(tree, how=note_tree)
    assert [path for path in record['contents'] if '/b/back' in path] == [f'{tree}/b/back']
    (tree / 'b/back').unlink()
    (tree / 'b/back').symlink_to(tree.parent)
    assert find_change(record) != ''


def test_pixels_may_change(tree: Path) -> None:
    record = seen(tree, how=note_tree)
    (tree / 'a/1.jpg').write_text('other pixels')
    assert find_change(record) == ''
    assert not [path for path in record['contents'] if path.endswith(('.jpg', '.png'))]


def test_what_is_not_there_may_come(tmp_path: Path) -> None:
    for how in (note, is_file, exists, note_tree):
        record = seen(tmp_path / 'new' / how.__name__, how=how)
        assert find_change(record) == ''
        (tmp_path / 'new').mkdir(exist_ok=True)
        (tmp_path / 'new' / how.__name__).touch()
        assert find_change(record) == f'{tmp_path}/new/{how.__name__} is new'


def test_what_was_looked_for_alone_may_change_within(tree: Path) -> None:
    with collecting() as found:
        assert (is_folder(tree / 'a'), is_file(tree / 'a'), exists(tree / 'a')) == (True, False, True)
        assert is_file(tree / 'facts.mat')
    record = found.record()
    (tree / 'a/6.jpg').touch()
    (tree / 'facts.mat').write_text('other')
    assert find_change(record) == ''
    (tree / 'facts.mat').unlink()
    assert find_change(record) == f'{tree}/facts.mat is gone'


def test_a_folder_whose_times_do_not_tell(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drives that are fronts of object stores keep a folder's times whatever comes into it."""
    record = seen(tree / 'a')
    record['contents'][str(tree / 'a')][2:] = [0, 0]
    content = witness._content
    monkeypatch.setattr(witness, '_content', lambda path, listed=True: [*content(path, listed)[:2], 0, 0])
    assert find_change(record) == ''
    (tree / 'a/1.jpg').rename(tree / 'a/7.jpg')
    assert find_change(record) == f'{tree}/a has changed'


def test_a_link_above_leads_elsewhere(tree: Path, tmp_path: Path) -> None:
    (tmp_path / 'data').symlink_to(tree)
    record = seen(tmp_path / 'data' / 'a', tmp_path / 'data' / 'none')
    tree.rename(tmp_path / 'moved')
    (tmp_path / 'data').unlink()
    (tmp_path / 'data').symlink_to(tmp_path / 'moved')
    # The very same folder, under another real name.
    assert find_change(record) == f'{tmp_path}/data leads elsewhere'


def test_links_in_circles_end(tree: Path) -> None:
    (tree / 'a' / 'up').symlink_to(tree)
    (tree / 'a' / 'self').symlink_to('self')
    (tree / 'a' / 'there').symlink_to('back')
    (tree / 'a' / 'back').symlink_to('there')
    record = seen(tree, how=note_tree)
    assert find_change(record) == ''
    (tree / 'a' / 'self').unlink()
    assert find_change(record) != ''


def test_the_first_look_counts(tree: Path) -> None:
    """What changes between two looks was read before the change, or after: nobody knows."""
    with collecting() as found:
        note(tree / 'facts.mat')
        rewrite(tree / 'facts.mat', 'facts.mbt')
        note(tree / 'facts.mat')
    assert found.doubt() == f'{tree}/facts.mat has changed since indexing began'


def test_what_comes_and_goes_meanwhile_is_found(tree: Path) -> None:
    (tree / 'late.json').touch()
    with collecting() as found:
        note(tree / 'late.json')
        is_folder(tree / 'a')
        (tree / 'late.json').unlink()
    assert found.doubt() == f'{tree}/late.json is gone since indexing began'


def test_a_folder_that_goes_meanwhile_is_found(tree: Path) -> None:
    with collecting() as found:
        note(tree / 'b')
        shutil.rmtree(tree / 'b')
    assert found.doubt() == f'{tree}/b is gone since indexing began'


@pytest.mark.parametrize('ahead', [-1, 3600])
def test_times_that_cannot_be_trusted(tree: Path, monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    if ahead < 0:
        monkeypatch.setattr(witness, 'SETTLED', 3.0)
    else:
        os.utime(tree / 'facts.mat', (time.time() + ahead,) * 2)
    with collecting() as found:
        note(tree / 'facts.mat')
    assert found.doubt().startswith(f'{tree}/facts.mat changed less than ')


def test_nothing_is_noted_for_nobody(tree: Path) -> None:
    with collecting() as one:
        with collecting() as other:
            note(tree / 'a')
        note(tree / 'b')
    note(tree / 'c')
    assert (one.folders(), other.folders()) == ([f'{tree}/a', f'{tree}/b'], [f'{tree}/a'])
    assert Witness().folders() == []


def test_names_that_are_not_text(tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b'd\xff')
    place.mkdir()
    record = seen(place, tmp_path / 'nul\0')
    assert find_change(record) == ''
    (place / os.fsdecode(b'e\xff.jpg')).touch()
    assert find_change(record) == f'{place} has changed'
