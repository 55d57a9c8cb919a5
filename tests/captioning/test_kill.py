"""kill -9, Ctrl-C and SIGTERM at work: nothing that was finished is lost, nothing is doubled."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from signal import Signals

import pytest
from helpers.chat_server import ChatServer
from helpers.tools import run_tool, start_tool
from mmengine.logging import MMLogger

pytest.importorskip('openai')

from cmdg_plugin.datasets import load_captions

TOOL = 'generate_captions.py'
IN_FLIGHT = 4
IMAGES = 100


def wait_for_lines(journal: Path, count: int) -> None:
    for _ in range(6000):
        if journal.exists() and journal.read_bytes().count(b'\n') >= count:
            return
        time.sleep(0.01)
    pytest.fail(f'the journal did not reach {count} lines')


def wait_for_requests(chat_server: ChatServer, count: int) -> None:
    for _ in range(6000):
        if chat_server.requests >= count:
            return
        time.sleep(0.005)
    pytest.fail(f'the server was not asked {count} times')


def test_twenty_kills(
    chat_server: ChatServer,
    make_images: Callable[..., Path],
    tmp_path: Path,
    expected_captions: Callable[[Path, str], list[str]],
    read_journal: Callable[[Path], list[dict]],
) -> None:
    chat_server.keep_bodies = False
    # Slow enough that twenty short lives do not finish the work.
    chat_server.fault = lambda number, body: 'delay:0.01'
    root, out = make_images(IMAGES), tmp_path / 'captions.json'
    journal = tmp_path / 'captions.journal.jsonl'
    arguments = (root, '--out', out, '--endpoint', chat_server.url, '--model', 'm', '--in-flight', IN_FLIGHT)
    generator = random.Random(0)
    lines, at_work = 0, 0
    for _ in range(20):
        child = start_tool(TOOL, *arguments)
        # A moment of the work, not of the clock, so that a slow machine kills as late in it as a fast one; some lives
        # end before their first request.
        wait_for_requests(chat_server, chat_server.requests + max(0, generator.randrange(-3, 15)))
        time.sleep(generator.uniform(0, 0.03))
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait().returncode == -signal.SIGKILL
        assert not out.exists()
        now = journal.read_bytes().count(b'\n') if journal.exists() else 0
        assert now >= lines
        at_work += now > lines
        lines = now
    assert at_work >= 10
    assert lines < 4 * IMAGES
    chat_server.fault = lambda number, body: None
    assert run_tool(TOOL, *arguments).returncode == 0
    keys = [(entry['path'], entry['region']) for entry in read_journal(journal)]
    assert len(keys) == len(set(keys)) == 4 * IMAGES
    # Nothing but what was in flight was asked for again.
    assert chat_server.requests <= 4 * IMAGES + 20 * IN_FLIGHT
    records = load_captions(out)
    assert [record.file_path for record in records] == sorted(str(path.relative_to(root)) for path in root.glob('*/*'))
    for record in records:
        assert list(record.captions) == expected_captions(root, record.file_path)


def test_a_kill_while_the_caption_file_is_written(
    chat_server: ChatServer, make_images: Callable[..., Path], tmp_path: Path
) -> None:
    root, out = make_images(200), tmp_path / 'captions.json'
    arguments = (root, '--out', out, '--endpoint', chat_server.url, '--model', 'm', '--in-flight', IN_FLIGHT)
    assert run_tool(TOOL, *arguments).returncode == 0
    content = out.read_bytes()
    for _ in range(5):
        # Only the writing is left to do; whenever it is killed, a whole file lies there.
        child = start_tool(TOOL, *arguments)
        for _ in range(6000):
            if list(tmp_path.glob('*.unfinished')):
                break
            time.sleep(0.001)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert out.read_bytes() == content
    assert run_tool(TOOL, *arguments).returncode == 0
    assert out.read_bytes() == content
    assert not list(tmp_path.glob('*.unfinished'))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_in_order_and_continues(
    chat_server: ChatServer,
    make_images: Callable[..., Path],
    tmp_path: Path,
    read_journal: Callable[[Path], list[dict]],
    number: Signals,
) -> None:
    chat_server.fault = lambda number, body: 'delay:0.02'
    root, out = make_images(20), tmp_path / 'captions.json'
    arguments = (root, '--out', out, '--endpoint', chat_server.url, '--model', 'm', '--in-flight', IN_FLIGHT)
    child = start_tool(TOOL, *arguments)
    wait_for_lines(tmp_path / 'captions.journal.jsonl', 10)
    os.kill(child.pid, number)
    assert child.wait().returncode == 130
    assert not out.exists()
    before = read_journal(tmp_path / 'captions.journal.jsonl')
    assert 9 <= len(before) < 80
    chat_server.fault = lambda number, body: None
    assert run_tool(TOOL, *arguments).returncode == 0
    after = read_journal(tmp_path / 'captions.journal.jsonl')
    assert after[: len(before)] == before
    assert len({(entry['path'], entry['region']) for entry in after}) == len(after) == 80


def test_a_second_run_on_the_same_output_is_refused(
    chat_server: ChatServer,
    make_images: Callable[..., Path],
    tmp_path: Path,
    caption_tool: Callable[..., int],
) -> None:
    chat_server.fault = lambda number, body: 'delay:0.05'
    root, out = make_images(20), tmp_path / 'captions.json'
    arguments = (root, '--out', out, '--endpoint', chat_server.url, '--model', 'm', '--in-flight', IN_FLIGHT)
    child = start_tool(TOOL, *arguments)
    wait_for_lines(tmp_path / 'captions.journal.jsonl', 5)
    requests = chat_server.requests
    assert caption_tool(*arguments[:-1], 1) == 1
    assert caption_tool(root, '--out', out, '--merge') == 1
    assert chat_server.requests <= requests + 3 * IN_FLIGHT
    assert child.wait().returncode == 0
    assert len(load_captions(out)) == 20


def test_a_full_disk_loses_nothing(
    chat_server: ChatServer,
    make_images: Callable[..., Path],
    tmp_path: Path,
    read_journal: Callable[[Path], list[dict]],
    caption_tool: Callable[..., int],
) -> None:
    import resource

    # A logger of its own: that of a training run before may write a file that is longer than the limit already.
    MMLogger.get_instance(f'full_disk_{tmp_path.name}')
    root, out = make_images(20), tmp_path / 'captions.json'
    arguments = (root, '--out', out, '--endpoint', chat_server.url, '--model', 'm')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel refuses longer files, as a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, before[1]))
    try:
        assert caption_tool(*arguments) == 1
        kept = read_journal(tmp_path / 'captions.journal.jsonl')
        assert 10 < len(kept) < 80
        assert caption_tool(*arguments) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not out.exists()
    assert caption_tool(*arguments) == 0
    entries = read_journal(tmp_path / 'captions.journal.jsonl')
    assert entries[: len(kept)] == kept
    assert len({(entry['path'], entry['region']) for entry in entries}) == len(entries) == 80
    assert not list(tmp_path.glob('*.unfinished'))
