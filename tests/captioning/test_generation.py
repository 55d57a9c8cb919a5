"""Runs with a third backend, registered here: what is asked, written, continued and refused."""

import base64
import io
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from helpers.chat_server import ChatServer
from helpers.scripted_captions import GOOD, PROMPTS, SETTINGS, Scripted, generate
from PIL import Image

from cmdg_plugin.captioning import CaptionJob, CaptionSettings, generate_captions
from cmdg_plugin.captioning.backends import BackendUnavailable, CaptionRequest
from cmdg_plugin.datasets import load_captions


def test_writes_what_load_captions_reads(make_images: Callable[..., Path], tmp_path: Path) -> None:
    root, out = make_images(3), tmp_path / 'new' / 'captions.json'
    backend = Scripted()
    summary = generate(root, out, backend)
    assert (summary.images, summary.captioned, summary.failed) == (3, 3, 0)
    assert backend.closed
    first = load_captions(out)[0]
    assert (first.file_path, first.identity, first.camera, first.split) == (
        'bounding_box_train/0000_c1s1_000000.png',
        0,
        1,
        'train',
    )
    assert first.captions == (GOOD,) * 4
    assert json.loads(out.read_text())[0] == {
        'file_path': first.file_path,
        'identity': 0,
        'camera': 1,
        'split': 'train',
        'captions': [GOOD] * 4,
        'model': 'a-model',
        'prompt_version': PROMPTS.version,
        'seed': 0,
    }


def test_failures_are_tried_again_on_request(make_images: Callable[..., Path], tmp_path: Path) -> None:
    root, out = make_images(2), tmp_path / 'c.json'
    generate(root, out, Scripted(lambda request: 'no'))
    again = Scripted()
    generate(root, out, again)
    assert again.requests == []
    summary = generate(root, out, again, retry_failed=True)
    assert len(again.requests) == 8
    assert summary.captioned == 2
    assert json.loads((tmp_path / 'c.failed.json').read_text()) == []


def test_a_finished_run_asks_nothing_and_new_images_are_added(make_images: Callable[..., Path], tmp_path: Path) -> None:
    root, out = make_images(2), tmp_path / 'c.json'
    generate(root, out)
    content = out.read_bytes()

    def no_backend() -> NoReturn:
        raise AssertionError('nothing is missing, so no model may be loaded')

    generate_captions(CaptionJob(root, out), SETTINGS, PROMPTS, no_backend)
    assert out.read_bytes() == content
    next(root.glob('*/0000_c2*')).rename(root / 'new.png')
    backend = Scripted()
    generate(root, out, backend)
    assert [request.image.name for request in backend.requests] == ['new.png'] * 4
    assert [record.file_path for record in load_captions(out)] == ['bounding_box_train/0000_c1s1_000000.png', 'new.png']


def test_an_image_that_was_replaced_is_asked_about_again(
    make_images: Callable[..., Path], tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    root, out = make_images(2), tmp_path / 'c.json'
    first, second = sorted(root.glob('*/*'))
    second.write_bytes(b'no image')
    assert generate(root, out).failed == 1
    Image.new('RGB', (28, 64), 'red').save(first)
    Image.new('RGB', (28, 64), 'blue').save(second)
    backend = Scripted(lambda request: 'A man in another coat.')
    assert generate(root, out, backend).captioned == 2
    assert [request.image for request in backend.requests] == [first] * 4 + [second] * 4
    assert '8 sentences in' in log.text
    assert 'of images that have changed since, and are left out' in log.text
    assert load_captions(out)[0].captions == ('A man in another coat.',) * 4
    again = Scripted()
    generate(root, out, again)
    assert again.requests == []


def test_a_journal_without_states_of_images_continues_by_path(make_images: Callable[..., Path], tmp_path: Path) -> None:
    root, out = make_images(2), tmp_path / 'c.json'
    generate(root, out)
    journal = tmp_path / 'c.journal.jsonl'
    header, *lines = journal.read_text().splitlines()
    older = [
        {key: value for key, value in json.loads(line).items() if key in ('path', 'region', 'caption')}
        for line in lines
    ]
    journal.write_text('\n'.join([header, *map(json.dumps, older)]) + '\n')
    for path in root.glob('*/*'):
        Image.new('RGB', (28, 64), 'red').save(path)
    backend = Scripted()
    assert generate(root, out, backend).captioned == 2
    assert backend.requests == []


def test_a_stop_in_the_middle_keeps_what_is_finished(
    make_images: Callable[..., Path], tmp_path: Path, read_journal: Callable[[Path], list[dict]]
) -> None:
    root, out = make_images(10), tmp_path / 'c.json'
    asked = []

    def answer(request: CaptionRequest) -> str:
        asked.append(request)
        if len(asked) == 17:
            raise BackendUnavailable('the server is gone')
        return GOOD

    backend = Scripted(answer)
    with pytest.raises(BackendUnavailable, match='gone'):
        generate(root, out, backend)
    assert backend.closed
    assert not out.exists()
    kept = read_journal(tmp_path / 'c.journal.jsonl')
    assert 16 <= len(kept) <= 20
    rest = Scripted()
    generate(root, out, rest)
    assert len(rest.requests) == 40 - len(kept)
    assert read_journal(tmp_path / 'c.journal.jsonl')[: len(kept)] == kept


def test_a_wrong_root_is_noticed_before_anything_fails(
    make_images: Callable[..., Path], tmp_path: Path, read_journal: Callable[[Path], list[dict]]
) -> None:
    root = make_images(2)
    names = [f'{path.parent.name}/{path.name}' for path in root.glob('*/*')]
    index, out = tmp_path / 'index.csv', tmp_path / 'c.json'
    index.write_text('\n'.join(['path', *names]))
    with pytest.raises(FileNotFoundError, match=r'none of the first 2 images .* give --image-root'):
        generate(index, out)
    assert read_journal(tmp_path / 'c.journal.jsonl') == []
    (root / names[0]).unlink()
    assert generate(index, out, image_root=root).captioned == 1
    index.write_text('\n'.join(['path', *names, 'bounding_box_train/gone.png']))
    # Once a run has begun, images that are gone are failures of their own.
    assert generate(index, out, image_root=root).failed == 2


def test_other_settings_and_foreign_outputs_are_refused(make_images: Callable[..., Path], tmp_path: Path) -> None:
    root, out = make_images(1), tmp_path / 'c.json'
    generate(root, out)
    with pytest.raises(ValueError, match='seed was 0, now 1'):
        generate(root, out, settings=CaptionSettings('a-model', PROMPTS.version, seed=1))
    (tmp_path / 'mine.json').write_text('[]')
    with pytest.raises(ValueError, match='no run of this tool wrote it'):
        generate(root, tmp_path / 'mine.json')
    with pytest.raises(ValueError, match=r'must be a \.json file'):
        generate(root, tmp_path / 'c.csv')


def test_runs_in_a_thread(make_images: Callable[..., Path], tmp_path: Path) -> None:
    """Signals belong to the main thread; a run elsewhere leaves them alone."""
    results = []
    root = make_images(1)
    thread = threading.Thread(target=lambda: results.append(generate(root, tmp_path / 'c.json')))
    thread.start()
    thread.join()
    assert results[0].captioned == 1


def test_the_key_is_in_no_file_and_no_log(
    chat_server: ChatServer,
    make_images: Callable[..., Path],
    tmp_path: Path,
    caption_tool: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip('openai')
    key = 'sk-very-secret-0123456789'
    monkeypatch.setenv('OPENAI_API_KEY', key)
    root, out = make_images(2), tmp_path / 'out' / 'c.json'
    # Every kind of trouble, with servers that repeat the key.
    chat_server.fault = lambda number, body: {0: 'error', 1: 'reject', 2: 'busy:0.01', 3: 'cut'}.get(number)
    url = chat_server.url.replace('http://', f'http://user:{key}@') + f'?token={key}'
    with caplog.at_level(logging.DEBUG):
        code = caption_tool(root, '--out', out, '--endpoint', url, '--model', 'm', '--max-retries', 0)
    assert code == 3
    assert 'you sent' in (tmp_path / 'out' / 'c.failed.json').read_text()
    for path in (tmp_path / 'out').iterdir():
        assert key not in path.read_text()
    assert key not in capfd.readouterr().out
    ours = [record for record in caplog.records if not record.name.startswith(('openai', 'httpcore', 'httpx'))]
    assert key not in ' '.join(record.getMessage() for record in ours)


def test_a_wrong_line_of_the_journal_is_asked_again(
    make_images: Callable[..., Path], tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    root, out = make_images(2), tmp_path / 'c.json'
    generate(root, out)
    content = out.read_bytes()
    journal = tmp_path / 'c.journal.jsonl'
    lines = journal.read_text().splitlines(keepends=True)
    for caption in (['A list.'], None, 7, '', 'A \ud800 man.', 'A\nman.'):
        entry = {**json.loads(lines[3]), 'caption': caption}
        journal.write_text(''.join([*lines[:3], json.dumps(entry) + '\n', *lines[4:]]))
        log.clear()
        backend = Scripted()
        generate(root, out, backend)
        assert len(backend.requests) == 1
        assert out.read_bytes() == content
        assert 'line 4 (byte' in log.text
        assert len(load_captions(out)) == 2


@pytest.mark.parametrize(('arguments', 'smallest'), [((), 28), (('--min-side', 40), 40)])
def test_small_views_are_scaled_up(
    chat_server: ChatServer, tmp_path: Path, caption_tool: Callable[..., int], arguments: tuple, smallest: int
) -> None:
    """A server of a Qwen2-VL refuses sides of fewer than 28 pixels; a third of 64 rows has 21."""
    pytest.importorskip('openai')
    (tmp_path / 'images').mkdir()
    for name, size in {'a': (32, 64), 'b': (5, 9), 'c': (3, 2000)}.items():
        Image.new('RGB', size, 'red').save(tmp_path / f'images/{name}.png')
    sizes = []

    def judge(number: int, body: dict) -> str:
        url = body['messages'][-1]['content'][0]['image_url']['url']
        sizes.append(Image.open(io.BytesIO(base64.b64decode(url.partition(',')[2]))).size)
        return 'reject' if min(sizes[-1]) < smallest else f'say:{GOOD}'

    chat_server.fault = judge
    out = tmp_path / 'c.json'
    settings = ('--endpoint', chat_server.url, '--model', 'm', '--view', 'crop', *arguments)
    assert caption_tool(tmp_path / 'images', '--out', out, *settings) == 0
    assert len(load_captions(out)) == 3
    assert max(map(max, sizes)) <= 1280


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'attempts': 0}, 'attempts'),
        ({'attempts': 101}, 'attempts'),
        ({'fsync_seconds': float('nan')}, 'fsync_seconds'),
    ],
)
def test_numbers_outside_their_range(tmp_path: Path, changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CaptionJob(tmp_path, tmp_path / 'c.json', **changes)
