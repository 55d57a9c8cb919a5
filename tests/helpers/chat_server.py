"""A real chat server on loopback, with faults."""

import asyncio
import base64
import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any

REGIONS = ('global', 'upper', 'middle', 'lower')
COLORS = ('red', 'green', 'blue', 'black', 'white', 'yellow', 'pink', 'gray')
GARMENTS = ('jacket', 'shirt', 'coat', 'sweater', 'dress', 'hoodie', 'vest', 'suit')
THINGS = ('a bag', 'an umbrella', 'a phone', 'a bottle', 'a box', 'a camera', 'a dog', 'a book')


def sentence_for(content: bytes, region: str) -> str:
    """What the test server says about an image: other words for other bytes, and the region's name."""
    digest = hashlib.sha256(content).digest()
    color, garment, thing = COLORS[digest[0] % 8], GARMENTS[digest[1] % 8], THINGS[digest[2] % 8]
    return f'A person in a {color} {garment} with {thing} and the number {digest.hex()[:8]}, {region} view.'


def region_asked(question: str) -> str:
    """Which region a question of the shipped prompts is about."""
    names = {'upper third': 'upper', 'middle third': 'middle', 'lower third': 'lower'}
    return next((region for words, region in names.items() if words in question), 'global')


LOGIN_PAGE = b'<!DOCTYPE html><html><head><title>Sign in - Example</title></head><body>...</body></html>'


class ChatServer:
    """A real HTTP server on loopback that speaks the chat-completions protocol, and breaks it on request.

    `fault(number, body)` names what to do with the n-th request: None or `delay:SECONDS` to answer, `busy` (429 with
    Retry-After), `error` (500, repeating the request's key), `reject` (400), `key` (401), `cut`, `garbage`, `odd`
    (JSON of another shape), `silent` (never answers), `long` (stopped at the token limit), the text to answer with
    after `say:`, or a whole reply: status, body and headers.
    """

    def __init__(self) -> None:
        self.fault: Callable[[int, dict], str | tuple[int, bytes, dict[str, str]] | None] = lambda number, body: None
        self.alive: Callable[[], bool] = lambda: True
        self.requests = 0
        self.bodies: list[dict] = []
        self.keep_bodies = True
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.port}/v1'

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connection, '127.0.0.1', 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    def close(self) -> None:
        def stop() -> None:
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            asyncio.gather(*tasks, return_exceptions=True).add_done_callback(lambda _: self._loop.stop())

        self._loop.call_soon_threadsafe(stop)
        self._thread.join(20)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b'\r\n\r\n'):
                lines = head.decode().split('\r\n')
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(':') for line in lines[1:] if line)}
                body = await reader.readexactly(int(headers.get('content-length', 0)))
                if not await self._answer(lines[0], headers, body, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: str, headers: dict, body: bytes, writer: asyncio.StreamWriter) -> bool:
        if not self.alive():
            return False
        if line.startswith('GET'):
            if 'login' in line:
                return await self._send(writer, 200, LOGIN_PAGE, {'content-type': 'text/html'})
            return await self._send(writer, 200, {'object': 'list', 'data': []})
        number, self.requests = self.requests, self.requests + 1
        request = json.loads(body)
        if self.keep_bodies:
            self.bodies.append(request)
        fault = self.fault(number, request) or ''
        if isinstance(fault, tuple):
            return await self._send(writer, *fault)
        kind, _, detail = fault.partition(':')
        if kind in ('busy', 'error', 'reject', 'key'):
            status = {'busy': 429, 'error': 500, 'reject': 400, 'key': 401}[kind]
            message = f'{kind}; you sent {headers["authorization"]}'
            return await self._send(writer, status, {'error': {'message': message}}, {'Retry-After': detail or '0.05'})
        if kind == 'garbage':
            return await self._send(writer, 200, b'<html>proxy says no</html>')
        if kind == 'odd':
            return await self._send(writer, 200, {'choices': [{'message': {'content': {'deep': 1}}}]})
        if kind == 'silent':
            await asyncio.sleep(30)
            return False
        if kind == 'delay':
            await asyncio.sleep(float(detail))
        image, question = _parts(request)
        text = detail if kind == 'say' else sentence_for(image, region_asked(question))
        finish = 'length' if kind == 'long' else 'stop'
        answer = {'choices': [{'index': 0, 'message': {'role': 'assistant', 'content': text}, 'finish_reason': finish}]}
        if kind == 'cut':
            writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{"choi')
            await writer.drain()
            return False
        return await self._send(writer, 200, answer)

    @staticmethod
    async def _send(writer: asyncio.StreamWriter, status: int, body: Any, headers: dict | None = None) -> bool:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        every = {'content-type': 'application/json', 'content-length': len(content), **(headers or {})}
        extra = ''.join(f'{key}: {value}\r\n' for key, value in every.items())
        head = f'HTTP/1.1 {status} X\r\n{extra}\r\n'
        writer.write(head.encode() + content)
        await writer.drain()
        return True


def _parts(request: dict) -> tuple[bytes, str]:
    image, text = request['messages'][-1]['content']
    return base64.b64decode(image['image_url']['url'].partition(',')[2]), text['text']
