import asyncio
import gzip
import json
import logging
import os
import re
import resource
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from helpers.chat_server import ChatServer
from PIL import Image

pytest.importorskip('openai')

import openai

from cmdg_plugin.captioning.backends import BackendUnavailable, CaptionRequest, OpenAIEndpoint, RequestFailed, endpoint
from cmdg_plugin.captioning.backends.bounded_body import bound_bodies, http_package
from cmdg_plugin.captioning.backends.responses import shown_url

KEY = 'sk-very-secret-0123456789'


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new('RGB', (28, 56), 'red').save(tmp_path / 'red.png')
    return tmp_path / 'red.png'


def request(image: Path, question: str = 'Describe.', **changes: Any) -> CaptionRequest:
    values = {'third': None, 'system': 'Be short.', 'temperature': 0.0, 'seed': 7, 'max_tokens': 50, **changes}
    return CaptionRequest(image=image, question=question, **values)


def ask(urls: list[str], *requests: CaptionRequest, **options: Any) -> list:
    """Answers or errors of requests sent at once."""

    async def run() -> list:
        backend = OpenAIEndpoint(urls, 'the-model', **{'max_retries': 0, 'timeout': 1.0, **options})
        try:
            return await asyncio.gather(*(backend.answer(each) for each in requests), return_exceptions=True)
        finally:
            await backend.close()

    return asyncio.run(run())


def faults(*kinds: str | tuple[int, bytes, dict]) -> Callable[..., str | tuple[int, bytes, dict] | None]:
    """The first requests fail one after another, later ones do not."""
    return lambda number, body: kinds[number] if number < len(kinds) else None


def test_what_is_sent(chat_server: ChatServer, image: Path) -> None:
    (answer,) = ask([chat_server.url], request(image, temperature=0.5))
    assert answer.text.endswith('global view.')
    assert answer.complete
    (body,) = chat_server.bodies
    assert (body['model'], body['temperature'], body['seed'], body['max_tokens']) == ('the-model', 0.5, 7, 50)
    assert body['messages'][0] == {'role': 'system', 'content': 'Be short.'}
    picture, question = body['messages'][1]['content']
    assert picture['image_url']['url'].startswith('data:image/png;base64,')
    assert question == {'type': 'text', 'text': 'Describe.'}


def test_url_without_a_path_gets_one(chat_server: ChatServer, image: Path) -> None:
    (answer,) = ask([chat_server.url.removesuffix('/v1')], request(image))
    assert answer.complete


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


def test_a_rejected_request_is_not_repeated(chat_server: ChatServer, image: Path) -> None:
    chat_server.fault = faults('reject')
    (answer,) = ask([chat_server.url], request(image))
    assert isinstance(answer, RequestFailed)
    assert chat_server.requests == 1


def test_a_wrong_key_stops_the_run_and_stays_secret(
    chat_server: ChatServer, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('MY_KEY', KEY)
    chat_server.fault = lambda number, body: 'key'
    (answer,) = ask([chat_server.url], request(image), api_key_variable='MY_KEY')
    assert isinstance(answer, BackendUnavailable)
    assert 'Check the key' in str(answer)
    # The server repeats the key in its message.
    assert 'you sent Bearer ***' in str(answer)
    assert KEY not in repr(answer)
    assert answer.__cause__ is None


def test_retry_after_is_honored(chat_server: ChatServer, image: Path) -> None:
    times = []
    chat_server.fault = lambda number, body: times.append(time.monotonic()) or ('busy:0.8' if number == 0 else None)
    (answer,) = ask([chat_server.url], request(image), max_retries=2, timeout=5)
    assert answer.complete
    assert times[1] - times[0] >= 0.8


@pytest.mark.parametrize('wait', ['3600', 'Wed, 21 Oct 2099 07:28:00 GMT'])
def test_a_long_wait_is_honored_too(
    chat_server: ChatServer, image: Path, monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    """The client gives up on waits of more than a minute; without ours, it would ask again every few milliseconds."""
    monkeypatch.setattr(endpoint, '_FIRST_PAUSE', 0.01)
    monkeypatch.setattr(endpoint, '_LONGEST_PAUSE', 0.01)
    chat_server.fault = lambda number, body: f'busy:{wait}'

    async def run() -> None:
        backend = OpenAIEndpoint([chat_server.url], 'm', max_retries=3, patience=0.05)
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


LOGIN_PAGE = b'<!DOCTYPE html><html><head><title>Sign in - Example</title></head><body>...</body></html>'
HTML = {'content-type': 'text/html'}


def reply(content: bytes | dict[str, str], **headers: Any) -> tuple[int, bytes, dict]:
    """JSON, or bytes as they are, sent with status 200."""
    return 200, content if isinstance(content, bytes) else json.dumps(content).encode(), headers


def gzip_bomb() -> bytes:
    """A completion of two gigabytes in two megabytes."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(b'{"choices": [{"message": {"content": "')]
    pieces += [packer.compress(b'a ' * 2**20) for _ in range(1024)]
    return b''.join([*pieces, packer.flush()])


BRACKETS = b'{"choices": [{"message": {"content": ' + b'[' * 200_000
TROUBLES = {
    'brackets': (reply(BRACKETS), r'no JSON but 200037 bytes of application/json \(RecursionError\)'),
    'empty body': (reply(b''), 'no JSON but 0 bytes'),
    'half JSON': (reply(b'{"choi'), 'no JSON but 6 bytes'),
    'wrong encoding': (reply(b'{"choices": "\xff\xfe"}'), 'UnicodeDecodeError'),
    'text': (reply(b'OK', **{'content-type': 'text/plain'}), 'no JSON but 2 bytes of text/plain'),
    'number of many digits': (reply(b'{"choices": ' + b'9' * 5000 + b'}'), 'ValueError'),
    'an error': (reply({'error': {'message': 'model \x1b[31m overloaded'}}), 'with an error: model overloaded'),
    'an error in words': (reply({'error': 'out of memory'}), 'with an error: out of memory'),
    'no choices': (reply({'choices': []}), 'not a chat completion'),
    'a list': (reply([1]), 'not a chat completion'),
    'content of another type': (reply({'choices': [{'message': {'content': [1]}}]}), 'expected text in the answer'),
    'too large': (reply(b'"' + b'a' * 2**21 + b'"'), 'the answer is larger than 1048576 bytes'),
    'too large an error': ((500, b'x' * 2**21, {}), 'the answer is larger than'),
    'unknown compression': (reply(b'x', **{'content-encoding': 'br'}), "compressed with 'br'"),
    'broken compression': (reply(b'no gzip at all', **{'content-encoding': 'gzip'}), 'cannot be decompressed'),
}


@pytest.mark.parametrize('name', TROUBLES)
def test_an_answer_of_any_kind_is_told_in_words_and_asked_for_again(
    chat_server: ChatServer, image: Path, name: str
) -> None:
    answer, said = TROUBLES[name]
    chat_server.fault = faults(answer)
    (answered,) = ask([chat_server.url], request(image))
    assert answered.text.endswith('global view.')
    chat_server.fault = lambda number, body: answer
    (failed,) = ask([chat_server.url], request(image))
    assert isinstance(failed, RequestFailed)
    assert re.search(said, str(failed))
    assert len(str(failed)) < 400
    assert str(failed).isprintable()


def test_lone_surrogates_come_through_to_the_cleaning(chat_server: ChatServer, image: Path) -> None:
    chat_server.fault = faults(reply(b'{"choices": [{"message": {"content": "A \\ud800 man."}}]}'))
    (answer,) = ask([chat_server.url], request(image))
    assert answer.text == 'A \ud800 man.'


def test_compressed_answers_are_read(chat_server: ChatServer, image: Path) -> None:
    content = gzip.compress(json.dumps({'choices': [{'message': {'content': 'A man.'}}]}).encode())
    chat_server.fault = faults(reply(content, **{'content-encoding': 'gzip'}))
    (answer,) = ask([chat_server.url], request(image))
    assert answer.text == 'A man.'


def test_a_gzip_bomb_takes_no_memory(chat_server: ChatServer, image: Path) -> None:
    bomb = reply(gzip_bomb(), **{'content-encoding': 'gzip'})
    chat_server.fault = lambda number, body: bomb
    ask([chat_server.url], request(image))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers = ask([chat_server.url], *(request(image) for _ in range(4)), timeout=20)
    assert {type(answer) for answer in answers} == {RequestFailed}
    assert 'the answer is larger than 1048576 bytes' in str(answers[0])
    # Kilobytes: unpacked they would be eight gigabytes.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_an_answer_that_drips_is_given_up() -> None:
    class Dripping:
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(100):
                await asyncio.sleep(0.05)
                yield b' '

        async def aclose(self) -> None:
            return

    async def read() -> list[bytes]:
        response = http_package(openai).Response(200)
        response.stream = Dripping()
        await bound_bodies(openai, 0.2)(response)
        return [piece async for piece in response.stream]

    with pytest.raises(openai.OpenAIError, match='not complete after 0 s'):
        asyncio.run(read())


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


def test_a_page_with_a_status_is_told_by_its_title(chat_server: ChatServer, image: Path) -> None:
    chat_server.fault = lambda number, body: (403, LOGIN_PAGE, HTML)
    (failed,) = ask([chat_server.url], request(image))
    assert isinstance(failed, BackendUnavailable)
    assert "answered 403: a page (HTML) titled 'Sign in - Example'" in str(failed)
    assert '<' not in str(failed)


@pytest.mark.slow
def test_a_status_inside_a_success_counts(chat_server: ChatServer, image: Path) -> None:
    """As some gateways pass their providers' errors on."""
    chat_server.fault = faults(*[reply({'error': {'code': 429, 'message': 'slow down'}})] * 5)
    (answer,) = ask([chat_server.url], request(image))
    assert answer.complete
    chat_server.fault = lambda number, body: reply({'error': {'code': 401, 'message': 'no key'}})
    (failed,) = ask([chat_server.url], request(image))
    assert isinstance(failed, BackendUnavailable)


def test_secrets_of_a_url_are_not_shown(chat_server: ChatServer, image: Path) -> None:
    url = chat_server.url.replace('http://', f'http://user:{KEY}@') + '?token=another-secret'
    chat_server.fault = lambda number, body: reply({'error': f'{KEY} and another-secret'})
    (failed,) = ask([url], request(image))
    assert '*** and ***' in str(failed)


def test_the_token_limit_shows(chat_server: ChatServer, image: Path) -> None:
    chat_server.fault = faults('long')
    (answer,) = ask([chat_server.url], request(image))
    assert not answer.complete


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


def test_urls_are_shown_without_secrets() -> None:
    assert shown_url('https://me:secret@host:81/v1?key=secret') == 'https://host:81/v1'


@pytest.fixture
def transformers_server(tiny_vlm: tuple[Path, Path], tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Transformers' own OpenAI-compatible server with the taught model."""
    for module in ('fastapi', 'uvicorn', 'accelerate'):
        pytest.importorskip(module)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
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
