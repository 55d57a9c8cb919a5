import asyncio
import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from helpers.chat_server import LOGIN_PAGE, ChatServer
from helpers.endpoint_questions import HTML, KEY, ask, faults, request
from helpers.tools import find_port
from PIL import Image

pytest.importorskip('openai')


from cmdg_plugin.captioning.backends import BackendUnavailable, OpenAIEndpoint, RequestFailed, endpoint


@pytest.mark.parametrize('kind', ['error', 'cut', 'garbage', 'odd', 'silent', 'busy:0.05'])
def test_one_fault_of_each_kind_is_survived(chat_server: ChatServer, image: Path, kind: str) -> None:
    chat_server.fault = faults(kind)
    (answer,) = ask([chat_server.url], request(image), timeout=0.5)
    assert answer.text.endswith('global view.')
    assert chat_server.requests == 2


def test_an_image_that_always_breaks_fails_alone(chat_server: ChatServer, image: Path) -> None:
    chat_server.fault = lambda number, body: 'error' if 'Bad.' in str(body['messages'][1]['content'][1]) else None
    good, bad, other = ask([chat_server.url], request(image), request(image, 'Bad.'), request(image))
    assert isinstance(bad, RequestFailed)
    assert 'no usable answer in 3 tries' in str(bad)
    assert '500' in str(bad)
    assert good.text == other.text


@pytest.mark.parametrize('wait', ['3600', 'Wed, 21 Oct 2099 07:28:00 GMT'])
def test_a_long_wait_is_honored_too(
    chat_server: ChatServer, image: Path, monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    """The client gives up on waits of more than a minute; without ours, it would ask again every few milliseconds."""
    monkeypatch.setattr(endpoint, '_FIRST_PAUSE', 0.01)
    monkeypatch.setattr(endpoint, '_LONGEST_PAUSE', 0.01)
    chat_server.fault = lambda number, body: f'busy:{wait}'

    async def run() -> None:
        backend = OpenAIEndpoint([chat_server.url], 'm', max_retries=3, patience=0.5)
        try:
            await asyncio.wait_for(backend.answer(request(image)), 1.0)
        finally:
            await backend.close()

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(run())
    assert chat_server.requests == 1


def test_rate_limits_never_count_against_an_image(chat_server: ChatServer, image: Path) -> None:
    chat_server.fault = faults(*['busy:0.01'] * 6)
    (answer,) = ask([chat_server.url], request(image), max_retries=2, timeout=5)
    assert answer.complete
    assert chat_server.requests == 7


def test_a_dead_server_stops_the_run(chat_server: ChatServer, image: Path) -> None:
    chat_server.alive = lambda: False
    start = time.monotonic()
    (answer,) = ask([chat_server.url], request(image), patience=0.5)
    assert isinstance(answer, BackendUnavailable)
    assert 'no answer from http://127.0.0.1' in str(answer)
    assert time.monotonic() - start < 10


def test_a_server_that_comes_back_goes_on(chat_server: ChatServer, image: Path) -> None:
    start = time.monotonic()
    chat_server.alive = lambda: time.monotonic() - start > 0.7
    (answer,) = ask([chat_server.url], request(image), patience=30)
    assert answer.complete


def test_requests_are_spread_and_leave_a_dead_server(chat_server: ChatServer, image: Path) -> None:
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        dead = f'http://127.0.0.1:{unused.getsockname()[1]}/v1'
        answers = ask([dead, chat_server.url], *(request(image) for _ in range(6)), patience=30)
    assert [answer.text for answer in answers] == [answers[0].text] * 6
    assert chat_server.requests == 6


def test_many_are_in_flight(chat_server: ChatServer, image: Path) -> None:
    chat_server.fault = lambda number, body: 'delay:0.3'
    start = time.monotonic()
    answers = ask([chat_server.url], *(request(image) for _ in range(32)), timeout=10)
    assert all(answer.complete for answer in answers)
    # One after another they would take ten seconds.
    assert time.monotonic() - start < 4


@pytest.mark.parametrize('status', [200, 502])
def test_a_page_in_between_is_waited_for(
    chat_server: ChatServer, image: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that says in HTML that the server restarts does not blame the images."""
    monkeypatch.setattr(endpoint, '_FIRST_PAUSE', 0.02)
    page = (status, LOGIN_PAGE, HTML)
    chat_server.fault = lambda number, body: page if 1 <= number < 6 else None

    async def run() -> list:
        backend = OpenAIEndpoint([chat_server.url], 'm', max_retries=0)
        try:
            return [await backend.answer(request(image)) for _ in range(2)]
        finally:
            await backend.close()

    assert len({answer.text for answer in asyncio.run(run())}) == 1
    assert chat_server.requests == 7


@pytest.mark.parametrize(
    ('answer', 'place'),
    [
        ((200, LOGIN_PAGE, HTML), ''),
        (
            (302, b'', {'location': f'/login?token={KEY}'}),
            r' from http://127\.0\.0\.1:\d+/login, where it was redirected',
        ),
    ],
)
def test_a_page_from_the_start_ends_the_run(
    chat_server: ChatServer, image: Path, answer: tuple[int, bytes, dict], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, '_FIRST_PAUSE', 0.02)
    monkeypatch.setenv('OPENAI_API_KEY', KEY)
    chat_server.fault = lambda number, body: answer
    (failed,) = ask([chat_server.url], request(image))
    assert isinstance(failed, BackendUnavailable)
    assert re.search(rf"answered with a page \(HTML\) titled 'Sign in - Example'{place}", str(failed))
    assert 'Check the key, the URL' in str(failed)
    assert KEY not in str(failed)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match='no endpoint'):
        OpenAIEndpoint([], 'm')
    with pytest.raises(ValueError, match='expected an endpoint like http'):
        OpenAIEndpoint(['localhost:8000'], 'm')
    for changes in ({'in_flight': 0}, {'timeout': 0}, {'timeout': float('nan')}, {'patience': -1}, {'max_retries': -1}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            OpenAIEndpoint(['http://127.0.0.1:1'], 'm', **changes)
    for changes in ({'min_side': 0}, {'min_side': 100, 'max_side': 50}):
        with pytest.raises(ValueError, match='min_side <= max_side'):
            OpenAIEndpoint(['http://127.0.0.1:1'], 'm', **changes)


@pytest.fixture
def transformers_server(tiny_vlm: tuple[Path, Path], tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Transformers' own OpenAI-compatible server with the taught model."""
    for module in ('fastapi', 'uvicorn', 'accelerate'):
        pytest.importorskip(module)
    port = find_port()
    hub = tmp_path / 'hub'
    hub.mkdir()
    command = [Path(sys.executable).with_name('transformers'), 'serve', tiny_vlm[1], '--host', '127.0.0.1']
    environment = {**os.environ, 'HF_HUB_OFFLINE': '1', 'HF_HUB_CACHE': str(hub), 'OMP_NUM_THREADS': '1'}
    with (tmp_path / 'server.log').open('w') as log:
        server = subprocess.Popen(
            [*command, '--port', str(port), '--device', 'cpu'], stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        try:
            yield wait_for(port, server, tmp_path / 'server.log'), tiny_vlm[1]
        finally:
            server.kill()
            server.wait()


def wait_for(port: int, server: Popen, log: Path) -> str:
    for _ in range(600):
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) == 0:
                return f'http://127.0.0.1:{port}/v1'
        time.sleep(0.1)
    raise AssertionError(f'the server did not start: {log.read_text()[-2000:]}')


@pytest.mark.slow
def test_a_real_server_captions_real_images(
    transformers_server: tuple[str, Path],
    tmp_path: Path,
    short_prompts: Path,
    caption_tool: Callable[..., int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    from cmdg_plugin.datasets import load_captions

    url, model = transformers_server
    (tmp_path / 'images').mkdir()
    for color in ('red', 'blue'):
        Image.new('RGB', (28, 56), color).save(tmp_path / f'images/{color}.png')
    out = tmp_path / 'captions.json'
    with caplog.at_level(logging.INFO):
        code = caption_tool(
            tmp_path / 'images', '--out', out, '--endpoint', url, '--model', model, '--prompts', short_prompts
        )
    assert code == 0
    captions = {record.file_path: record.captions for record in load_captions(out)}
    assert captions == {
        f'{color}.png': (
            f'A person in {color} clothes walks.',
            f'A {color} cap on the head.',
            f'A {color} shirt with a bag.',
            f'The {color} pants and shoes.',
        )
        for color in ('red', 'blue')
    }
