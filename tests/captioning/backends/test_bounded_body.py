import asyncio
import gzip
import json
import resource
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from helpers.chat_server import ChatServer
from helpers.endpoint_questions import ask, faults, reply, request

pytest.importorskip('openai')
import openai

from cmdg_plugin.captioning.backends import RequestFailed
from cmdg_plugin.captioning.backends.bounded_body import bound_bodies, http_package


def gzip_bomb() -> bytes:
    """A completion of 256 megabytes in a quarter of one."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(b'{"choices": [{"message": {"content": "')]
    pieces += [packer.compress(b'a ' * 2**20) for _ in range(128)]
    return b''.join([*pieces, packer.flush()])


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
    # Kilobytes: unpacked they would be a gigabyte.
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
