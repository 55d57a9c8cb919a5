import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cmdg_plugin.captioning.journal import Journal, read_entries, read_settings
from cmdg_plugin.captioning.journal_lines import LONGEST_LINE

SETTINGS = {'model': 'm', 'seed': 0}
ENTRIES = [{'path': f'{number}.jpg', 'region': 'upper', 'caption': 'é' * (number + 1)} for number in range(5)]


def write(path: Path, entries: list[dict] = ENTRIES) -> None:
    with Journal(path, SETTINGS) as journal:
        for entry in entries:
            journal.append(entry)


def test_entries_come_back(tmp_path: Path) -> None:
    path = tmp_path / 'a.journal.jsonl'
    write(path)
    assert read_settings(path) == SETTINGS
    assert list(read_entries(path)) == ENTRIES


def test_every_cut_loses_at_most_the_last_line(tmp_path: Path) -> None:
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
        found = list(read_entries(path))
        assert found == [*ENTRIES[: max(0, whole - 1)], ENTRIES[4]]


def test_blocks_left_empty_by_a_power_failure_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / 'a.journal.jsonl'
    write(path)
    with path.open('ab') as file:
        file.write(bytes(10_000))
    with Journal(path, SETTINGS):
        pass
    assert list(read_entries(path)) == ENTRIES


def test_damage_in_the_middle_is_left_out_and_named(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    path = tmp_path / 'a.journal.jsonl'
    write(path)
    content = bytearray(path.read_bytes())
    start = content.index(b'{"path":"2.jpg"')
    content[start] = 0
    path.write_bytes(content)
    found = list(read_entries(path))
    assert found == [*ENTRIES[:2], *ENTRIES[3:]]
    assert f'1 lines of {path} are damaged' in log.text
    assert f'line 4 (byte {start}): ' in log.text
    assert 'asked again' in log.text


GOOD = {'path': 'a', 'region': 'upper', 'caption': 'A red coat.'}
FAILED = {'path': 'a', 'region': 'upper', 'failure': 'no'}


@pytest.mark.parametrize(
    ('line', 'said'),
    [
        (b'{"path":"a"}', 'expected a region'),
        (b'x' * (2 * LONGEST_LINE), f'longer than {LONGEST_LINE} bytes'),
        (b'x' * (LONGEST_LINE - 1), 'not JSON'),
        (b'', 'not JSON'),
    ],
)
def test_a_wrong_line_costs_no_other(tmp_path: Path, log: pytest.LogCaptureFixture, line: bytes, said: str) -> None:
    path = tmp_path / 'a.journal.jsonl'
    write(path, [GOOD])
    with path.open('ab') as file:
        file.write(line + b'\n')
    write(path, [FAILED])
    assert list(read_entries(path)) == [GOOD, FAILED]
    assert 'line 3 (byte ' in log.text
    assert said in log.text


def test_many_wrong_lines_are_counted(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    path = tmp_path / 'a.journal.jsonl'
    write(path, [{'odd': 1}] * 9)
    assert list(read_entries(path)) == []
    assert '9 lines of' in log.text
    assert 'and 4 more' in log.text


def test_other_settings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'a.journal.jsonl'
    write(path)
    with pytest.raises(ValueError, match=r"model was 'm', now 'other'.*another --out"):
        Journal(path, {**SETTINGS, 'model': 'other'})


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'a.journal.jsonl'
    path.write_text('{"hello": 1}\n')
    with pytest.raises(ValueError, match='not a captioning journal'):
        Journal(path, SETTINGS)
    path.write_text('[' * 100_000 + '\n')
    with pytest.raises(ValueError, match=r'the first line of .* is damaged: .* give another --out'):
        Journal(path, SETTINGS)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The kernel refuses what goes over the limit, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(journal: Journal) -> None:
    for _ in range(100):
        journal.append(ENTRIES[3])


def test_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / 'a.journal.jsonl'
    journal = Journal(path, SETTINGS)
    with largest_file(1000), pytest.raises(OSError, match='too large'):
        fill(journal)
    written = path.read_bytes().count(b'\n') - 1
    assert 5 < written < 100
    assert path.read_bytes().endswith(b'}\n')
    journal.append(ENTRIES[4])
    journal.close()
    assert list(read_entries(path)) == [ENTRIES[3]] * written + [ENTRIES[4]]


def test_fsync_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
