import re
import time
from pathlib import Path

import pytest
from helpers.chat_server import LOGIN_PAGE, ChatServer
from helpers.endpoint_questions import HTML, KEY, ask, faults, reply, request

pytest.importorskip('openai')
from cmdg_plugin.captioning.backends import BackendUnavailable, RequestFailed


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
