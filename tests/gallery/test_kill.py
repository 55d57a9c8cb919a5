"""Galleries whose process is killed (kill -9) while it changes them, or whose disk is full."""

import os
import resource
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers.galleries import draw_people

from cmdg_plugin.gallery import Gallery
from cmdg_plugin.gallery.encoding import GalleryModel
from cmdg_plugin.gallery.entries import Entry
from cmdg_plugin.gallery.filters import Comparison
from cmdg_plugin.gallery.sqlite_store import SQLiteStore
from cmdg_plugin.gallery.store import FileState, StoredEntry

PEOPLE = 40
REPETITIONS = [3, pytest.param(20, marks=pytest.mark.slow)]


def kill_during(work: Callable[[], object], seconds: float) -> bool:
    """Do some work in a child process, and kill that after a while; returns whether it was still at it."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def open_with(folder: Path, model: GalleryModel) -> Gallery:
    return Gallery(folder, model, 'cpu')


@pytest.mark.parametrize('repetitions', REPETITIONS)
def test_kill_while_adding(repetitions: int, tmp_path: Path, toy_checkpoint: Path, toy_model: GalleryModel) -> None:
    draw_people(tmp_path / 'people', PEOPLE)
    Gallery.create(tmp_path / 'warm', toy_checkpoint, device='cpu').close()
    start = time.perf_counter()
    with open_with(tmp_path / 'warm', toy_model) as gallery:
        gallery.add(tmp_path / 'people', progress=False, batch_size=4)
    whole = time.perf_counter() - start
    hit = 0
    for turn in range(repetitions):
        folder = tmp_path / f'gallery_{turn}'
        Gallery.create(folder, toy_checkpoint, device='cpu').close()

        def add(folder: Path = folder) -> None:
            open_with(folder, toy_model).add(tmp_path / 'people', progress=False, batch_size=4)

        hit += kill_during(add, whole * (turn + 0.5) / repetitions)
        with open_with(folder, toy_model) as gallery:
            assert gallery.verify() == []
            there = gallery.info().entries
            assert there % 4 == 0 or there == 2 * PEOPLE
            report = gallery.add(tmp_path / 'people', progress=False)
            assert (report.added, report.unchanged) == (2 * PEOPLE - there, there)
            assert gallery.search(text='a person').searched == 2 * PEOPLE
            assert gallery.verify() == []
    assert hit, 'no child was hit while it worked'


@pytest.mark.parametrize('repetitions', REPETITIONS)
def test_kill_while_removing(repetitions: int, tmp_path: Path) -> None:
    count = 4000
    vectors = np.random.default_rng(0).standard_normal((count, 224)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    state = FileState(1, 2, 'x')
    entries = [StoredEntry(Entry(f'/secret/{number}.jpg', camera=number % 2), state) for number in range(count)]
    half = Comparison('camera', '==', 0)

    def make(name: str) -> Path:
        path = tmp_path / name
        store = SQLiteStore(path, 224, 96, create=True)
        store.add(entries, vectors)
        store.close()
        return path

    def remove(path: Path) -> None:
        SQLiteStore(path, 224, 96).remove(half, None)

    warm = make('warm')
    start = time.perf_counter()
    remove(warm)
    whole = time.perf_counter() - start
    hit = 0
    for turn in range(repetitions):
        path = make(f'entries_{turn}')
        hit += kill_during(partial(remove, path), whole * (turn + 0.5) / repetitions)
        store = SQLiteStore(path, 224, 96)
        assert store.verify() == []
        assert store.count() in (count, count // 2)
        store.remove(half, None)
        assert (store.count(), store.verify()) == (count // 2, [])
        store.close()
        content = b''.join(file.read_bytes() for file in tmp_path.glob(f'entries_{turn}*'))
        assert b'/secret/1.jpg' in content
        assert b'/secret/2.jpg' not in content
        assert vectors[2, :4].tobytes() not in content
        path.unlink()
    assert hit, 'no child was hit while it worked'


@pytest.mark.parametrize('repetitions', REPETITIONS)
def test_kill_while_reencoding(
    repetitions: int, tmp_path: Path, toy_checkpoint: Path, toy_model: GalleryModel, other_checkpoint: Path
) -> None:
    draw_people(tmp_path / 'people', PEOPLE)
    folder = tmp_path / 'gallery'
    Gallery.create(folder, toy_checkpoint, device='cpu').add(tmp_path / 'people', progress=False)

    def reencode() -> None:
        with open_with(folder, toy_model) as gallery:
            gallery.reencode(other_checkpoint, progress=False, batch_size=4)

    hit = 0
    for turn in range(repetitions):
        hit += kill_during(reencode, (turn + 0.5) / repetitions)
        with Gallery.open(folder, device='cpu') as gallery:
            # The old model answers, or the new one: never a half of either.
            assert gallery.verify() == []
            assert gallery.search(text='a person').searched == 2 * PEOPLE
    assert hit, 'no child was hit while it worked'
    with Gallery.open(folder, device='cpu') as gallery:
        assert gallery.reencode(other_checkpoint, progress=False).added == 2 * PEOPLE
        assert gallery.search(text='a person').searched == 2 * PEOPLE
        assert len(list(folder.glob('entries-*'))) == 1


def test_a_full_disk_is_named_and_leaves_the_gallery_whole(tmp_path: Path) -> None:
    """A limit on the size of files stands in for it: what cannot be written raises alike."""
    path = tmp_path / 'entries'
    store = SQLiteStore(path, 224, 96, create=True)
    vectors = np.eye(224, dtype=np.float32)
    entries = [StoredEntry(Entry(f'{number}.jpg'), FileState(1, 2, 'x')) for number in range(224)]
    store.add(entries[:100], vectors[:100])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 4096, hard))
    try:
        with pytest.raises(OSError, match=r'cannot be written .* MiB free\. Nothing of the last step was kept'):
            store.add(entries[100:], vectors[100:])
        assert (store.count(), store.verify()) == (100, [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.add(entries[100:], vectors[100:])
    assert (store.count(), store.verify()) == (224, [])


def test_adding_to_a_full_disk_ends_with_one_line_and_goes_on_later(
    tmp_path: Path, toy_checkpoint: Path, toy_model: GalleryModel
) -> None:
    draw_people(tmp_path / 'people', PEOPLE)
    folder = tmp_path / 'gallery'
    Gallery.create(folder, toy_checkpoint, device='cpu').close()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_with(folder, toy_model) as gallery:
        resource.setrlimit(resource.RLIMIT_FSIZE, ((folder / 'entries-1.sqlite').stat().st_size + 50_000, hard))
        try:
            with pytest.raises(OSError, match=r'The gallery cannot be written .* run the same command again'):
                gallery.add(tmp_path / 'people', progress=False, batch_size=8)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        there = gallery.info().entries
        assert (0 < there < 2 * PEOPLE, there % 8, gallery.verify()) == (True, 0, [])
        for room in (20_000, 120_000):  # for less than an empty file, and for some images
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
            try:
                with pytest.raises(OSError, match='The gallery cannot be written'):
                    gallery.reencode(toy_checkpoint, progress=False, batch_size=8)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert [path.name for path in folder.glob('entries-*')] == ['entries-1.sqlite']
        assert gallery.add(tmp_path / 'people', progress=False).added == 2 * PEOPLE - there
