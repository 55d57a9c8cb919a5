import os
import resource
from contextlib import contextmanager

import pytest

from cmdg_plugin.captioning.journal import Journal, read_entries, read_entry, read_settings

SETTINGS = {'model': 'm', 'seed': 0}
ENTRIES = [{'path': f'{number}.jpg', 'region': 'upper', 'caption': 'é' * number} for number in range(5)]


def write(path, entries=ENTRIES):
    with Journal(path, SETTINGS) as journal:
        return [journal.append(entry) for entry in entries]


def test_entries_come_back_with_their_positions(tmp_path):
    path = tmp_path / 'a.journal.jsonl'
    positions = write(path)
    assert read_settings(path) == SETTINGS
    assert list(read_entries(path)) == list(zip(positions, ENTRIES, strict=True))
    descriptor = os.open(path, os.O_RDONLY)
    assert [read_entry(descriptor, position) for position in positions] == ENTRIES
    os.close(descriptor)


def test_an_entry_longer_than_a_read(tmp_path):
    path = tmp_path / 'a.journal.jsonl'
    entry = {'path': 'a', 'region': 'upper', 'caption': 'word ' * 3000}
    (position,) = write(path, [entry])
    descriptor = os.open(path, os.O_RDONLY)
    assert read_entry(descriptor, position) == entry
    os.close(descriptor)


def test_every_cut_loses_at_most_the_last_line(tmp_path):
    path = tmp_path / 'a.journal.jsonl'
    write(path, ENTRIES[:3])
    content = path.read_bytes()
    whole_lines = [at + 1 for at, byte in enumerate(content) if byte == ord('\n')]
    for length in range(len(content)):
        path.write_bytes(content[:length])
        whole = sum(end <= length for end in whole_lines)
        assert len(list(read_entries(path))) == max(0, whole - 1)
        with Journal(path, SETTINGS) as journal:
            journal.append(ENTRIES[4])
        found = [entry for _, entry in read_entries(path)]
        assert found == [*ENTRIES[: max(0, whole - 1)], ENTRIES[4]]


def test_blocks_left_empty_by_a_power_failure_are_cut_off(tmp_path):
    path = tmp_path / 'a.journal.jsonl'
    write(path)
    with path.open('ab') as file:
        file.write(bytes(10_000))
    with Journal(path, SETTINGS):
        pass
    assert [entry for _, entry in read_entries(path)] == ENTRIES


def test_damage_in_the_middle_is_an_error(tmp_path):
    path = tmp_path / 'a.journal.jsonl'
    positions = write(path)
    content = bytearray(path.read_bytes())
    content[positions[2]] = 0
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'damaged at byte {positions[2]}'):
        list(read_entries(path))


@pytest.mark.parametrize('entry', [{'path': 'a'}, {'region': 'upper'}, {'path': 'a', 'region': 'hat'}])
def test_a_line_without_image_or_region_is_damage(tmp_path, entry):
    path = tmp_path / 'a.journal.jsonl'
    write(path, [entry])
    with pytest.raises(ValueError, match='names no image and region'):
        list(read_entries(path))


def test_other_settings_are_refused(tmp_path):
    path = tmp_path / 'a.journal.jsonl'
    write(path)
    with pytest.raises(ValueError, match=r"model was 'm', now 'other'.*another --out"):
        Journal(path, {**SETTINGS, 'model': 'other'})


def test_another_file_is_refused(tmp_path):
    path = tmp_path / 'a.journal.jsonl'
    path.write_text('{"hello": 1}\n')
    with pytest.raises(ValueError, match='no captioning journal'):
        Journal(path, SETTINGS)


@contextmanager
def largest_file(size):
    """The kernel refuses what goes over the limit, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(journal):
    for _ in range(100):
        journal.append(ENTRIES[3])


def test_full_disk_leaves_whole_lines(tmp_path):
    path = tmp_path / 'a.journal.jsonl'
    journal = Journal(path, SETTINGS)
    with largest_file(1000), pytest.raises(OSError, match='too large'):
        fill(journal)
    written = path.read_bytes().count(b'\n') - 1
    assert 5 < written < 100
    assert path.read_bytes().endswith(b'}\n')
    journal.append(ENTRIES[4])
    journal.close()
    assert [entry for _, entry in read_entries(path)] == [ENTRIES[3]] * written + [ENTRIES[4]]


def test_fsync_policy(tmp_path, monkeypatch):
    calls = []
    real = os.fsync
    monkeypatch.setattr(os, 'fsync', lambda descriptor: (calls.append(descriptor), real(descriptor)))
    with Journal(tmp_path / 'each.jsonl', SETTINGS, fsync_seconds=0) as journal:
        before = len(calls)
        for entry in ENTRIES:
            journal.append(entry)
        assert len(calls) - before == len(ENTRIES)
    with Journal(tmp_path / 'later.jsonl', SETTINGS, fsync_seconds=3600) as journal:
        before = len(calls)
        for entry in ENTRIES:
            journal.append(entry)
        assert len(calls) == before
    assert len(calls) == before + 1
