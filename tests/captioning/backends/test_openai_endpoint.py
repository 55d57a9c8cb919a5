import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip('openai')

from cmdg_plugin.captioning.backends import BackendUnavailable, CaptionRequest, OpenAIEndpoint, RequestFailed, endpoint
from cmdg_plugin.captioning.backends.endpoint import shown_url

KEY = 'sk-very-secret-0123456789'


@pytest.fixture
def image(tmp_path):
    Image.new('RGB', (28, 56), 'red').save(tmp_path / 'red.png')
    return tmp_path / 'red.png'


def request(image, question='Describe.', **changes):
    values = {'third': None, 'system': 'Be short.', 'temperature': 0.0, 'seed': 7, 'max_tokens': 50, **changes}
    return CaptionRequest(image=image, question=question, **values)


def ask(urls, *requests, **options):
    """Answers or errors of requests sent at once."""

    async def run():
        backend = OpenAIEndpoint(urls, 'the-model', **{'max_retries': 0, 'timeout': 1.0, **options})
        try:
            return await asyncio.gather(*(backend.answer(each) for each in requests), return_exceptions=True)
        finally:
            await backend.close()

    return asyncio.run(run())


def faults(*kinds):
    """The first requests fail one after another, later ones do not."""
    return lambda number, body: kinds[number] if number < len(kinds) else None


def test_what_is_sent(chat_server, image):
    (answer,) = ask([chat_server.url], request(image, temperature=0.5))
    assert answer.text.endswith('global view.')
    assert answer.complete
    (body,) = chat_server.bodies
    assert (body['model'], body['temperature'], body['seed'], body['max_tokens']) == ('the-model', 0.5, 7, 50)
    assert body['messages'][0] == {'role': 'system', 'content': 'Be short.'}
    picture, question = body['messages'][1]['content']
    assert picture['image_url']['url'].startswith('data:image/png;base64,')
    assert question == {'type': 'text', 'text': 'Describe.'}


def test_url_without_a_path_gets_one(chat_server, image):
    (answer,) = ask([chat_server.url.removesuffix('/v1')], request(image))
    assert answer.complete


@pytest.mark.parametrize('kind', ['error', 'cut', 'garbage', 'odd', 'silent', 'busy:0.05'])
def test_one_fault_of_each_kind_is_survived(chat_server, image, kind):
    chat_server.fault = faults(kind)
    (answer,) = ask([chat_server.url], request(image), timeout=0.5)
    assert answer.text.endswith('global view.')
    assert chat_server.requests == 2


def test_an_image_that_always_breaks_fails_alone(chat_server, image):
    chat_server.fault = lambda number, body: 'error' if 'Bad.' in str(body['messages'][1]['content'][1]) else None
    good, bad, other = ask([chat_server.url], request(image), request(image, 'Bad.'), request(image))
    assert isinstance(bad, RequestFailed)
    assert 'no usable answer in 3 tries' in str(bad)
    assert '500' in str(bad)
    assert good.text == other.text


def test_a_rejected_request_is_not_repeated(chat_server, image):
    chat_server.fault = faults('reject')
    (answer,) = ask([chat_server.url], request(image))
    assert isinstance(answer, RequestFailed)
    assert chat_server.requests == 1


def test_a_wrong_key_stops_the_run_and_stays_secret(chat_server, image, monkeypatch):
    monkeypatch.setenv('MY_KEY', KEY)
    chat_server.fault = lambda number, body: 'key'
    (answer,) = ask([chat_server.url], request(image), api_key_variable='MY_KEY')
    assert isinstance(answer, BackendUnavailable)
    assert 'Check the key' in str(answer)
    # The server repeats the key in its message.
    assert 'you sent Bearer ***' in str(answer)
    assert KEY not in repr(answer)
    assert answer.__cause__ is None


def test_retry_after_is_honored(chat_server, image):
    times = []
    chat_server.fault = lambda number, body: times.append(time.monotonic()) or ('busy:0.8' if number == 0 else None)
    (answer,) = ask([chat_server.url], request(image), max_retries=2, timeout=5)
    assert answer.complete
    assert times[1] - times[0] >= 0.8


@pytest.mark.parametrize('wait', ['3600', 'Wed, 21 Oct 2099 07:28:00 GMT'])
def test_a_long_wait_is_honored_too(chat_server, image, monkeypatch, wait):
    """The client gives up on waits of more than a minute; without ours, it would ask again every few milliseconds."""
    monkeypatch.setattr(endpoint, '_FIRST_PAUSE', 0.01)
    monkeypatch.setattr(endpoint, '_LONGEST_PAUSE', 0.01)
    chat_server.fault = lambda number, body: f'busy:{wait}'

    async def run():
        backend = OpenAIEndpoint([chat_server.url], 'm', max_retries=3, patience=0.05)
        try:
            await asyncio.wait_for(backend.answer(request(image)), 1.0)
        finally:
            await backend.close()

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(run())
    assert chat_server.requests == 1


def test_rate_limits_never_count_against_an_image(chat_server, image):
    chat_server.fault = faults(*['busy:0.01'] * 6)
    (answer,) = ask([chat_server.url], request(image), max_retries=2, timeout=5)
    assert answer.complete
    assert chat_server.requests == 7


def test_a_dead_server_stops_the_run(chat_server, image):
    chat_server.alive = lambda: False
    start = time.monotonic()
    (answer,) = ask([chat_server.url], request(image), patience=0.5)
    assert isinstance(answer, BackendUnavailable)
    assert 'no answer from http://127.0.0.1' in str(answer)
    assert time.monotonic() - start < 10


def test_a_server_that_comes_back_goes_on(chat_server, image):
    start = time.monotonic()
    chat_server.alive = lambda: time.monotonic() - start > 0.7
    (answer,) = ask([chat_server.url], request(image), patience=30)
    assert answer.complete


def test_requests_are_spread_and_leave_a_dead_server(chat_server, image):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        dead = f'http://127.0.0.1:{unused.getsockname()[1]}/v1'
        answers = ask([dead, chat_server.url], *(request(image) for _ in range(6)), patience=30)
    assert [answer.text for answer in answers] == [answers[0].text] * 6
    assert chat_server.requests == 6


def test_many_are_in_flight(chat_server, image):
    chat_server.fault = lambda number, body: 'delay:0.3'
    start = time.monotonic()
    answers = ask([chat_server.url], *(request(image) for _ in range(32)), timeout=10)
    assert all(answer.complete for answer in answers)
    # One after another they would take ten seconds.
    assert time.monotonic() - start < 4


def test_the_token_limit_shows(chat_server, image):
    chat_server.fault = faults('long')
    (answer,) = ask([chat_server.url], request(image))
    assert not answer.complete


def test_wrong_arguments():
    with pytest.raises(ValueError, match='no endpoint'):
        OpenAIEndpoint([], 'm')
    with pytest.raises(ValueError, match='expected an endpoint like http'):
        OpenAIEndpoint(['localhost:8000'], 'm')
    with pytest.raises(ValueError, match='in_flight'):
        OpenAIEndpoint(['http://127.0.0.1:1'], 'm', in_flight=0)


def test_urls_are_shown_without_secrets():
    assert shown_url('https://me:secret@host:81/v1?key=secret') == 'https://host:81/v1'


@pytest.fixture
def transformers_server(tiny_vlm, tmp_path):
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


def wait_for(port, server, log):
    for _ in range(600):
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) == 0:
                return f'http://127.0.0.1:{port}/v1'
        time.sleep(0.1)
    pytest.fail(f'the server did not start: {log.read_text()[-2000:]}')


def test_a_real_server_captions_real_images(transformers_server, tmp_path, short_prompts, caption_tool, caplog):
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
