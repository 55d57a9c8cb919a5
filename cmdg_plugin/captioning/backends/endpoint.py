"""One OpenAI-compatible server: asking it, and telling what went wrong."""

import asyncio
import json
import time
from contextlib import suppress
from email.utils import mktime_tz, parsedate_tz
from enum import Enum
from itertools import cycle
from math import ceil, isfinite
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from cmdg_plugin.captioning.backends.base import BackendUnavailable, CaptionAnswer, CaptionRequest, RequestFailed
from cmdg_plugin.captioning.backends.bounded_body import bound_bodies, http_package
from cmdg_plugin.captioning.backends.responses import describe_page, read_completion, shown_url
from cmdg_plugin.captioning.plain_text import one_line

_BUSY = (429, 502, 503, 504)
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_CONNECTIONS = 8
_CHECK = 'Check the key, the URL (it mostly ends in /v1) and the model name'


class Fault(Enum):
    """Whose fault it is that there is no answer."""

    BUSY = 'busy'
    """The server's: it asks for patience."""
    PAGE = 'page'
    """Somebody else's: a page came, as proxies, gateways and logins answer."""
    UNCLEAR = 'unclear'
    """The server's or the request's: an error, a time-out, a broken answer."""


class EndpointTrouble(Exception):
    """A request got no answer that can be used, after the client's own retries.

    Args:
        fault: Whose fault it is.
        message: What happened.
        wait: Seconds that the server asks to be left alone; 0 where it does not say.
    """

    def __init__(self, fault: Fault, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.fault = fault
        self.wait = wait


class Endpoint:
    """A server with its clients, how busy it is and until when it is left alone.

    Args:
        openai: The `openai` package.
        url: Base URL of the API, such as `http://127.0.0.1:8000/v1`; `/v1` is added where the URL has no path.
        model: The model's name there.
        api_key: Key, never shown.
        in_flight: Requests at once.
        timeout: Seconds for one try.
        max_retries: Tries after the first, by the client: with back-off, as long as `Retry-After` asks.
    """

    def __init__(
        self,
        openai: ModuleType,
        url: str,
        model: str,
        api_key: str,
        *,
        in_flight: int,
        timeout: float,
        max_retries: int,
    ) -> None:
        self._openai = openai
        self._model = model
        self.secrets = _secrets(url, api_key)
        self.name = shown_url(url)
        # A connection pool looks at all its connections for each request, so several small ones are faster.
        self._clients = [
            openai.AsyncOpenAI(
                base_url=_with_path(url),
                api_key=api_key,
                timeout=timeout,
                max_retries=max_retries,
                default_headers={'Accept-Encoding': 'identity'},
                http_client=openai.DefaultAsyncHttpxClient(event_hooks={'response': [bound_bodies(openai, timeout)]}),
            )
            for _ in range(ceil(in_flight / _CONNECTIONS))
        ]
        self._response_type = http_package(openai).Response
        self._turn = cycle(self._clients)
        self.in_flight = 0
        self.answered = 0
        self.free_at = 0.0
        self._pause = _FIRST_PAUSE

    async def ask(self, request: CaptionRequest, image_url: str) -> CaptionAnswer:
        """Send one request.

        Raises:
            EndpointTrouble: If there is no usable answer, but there may be one later or elsewhere.
            RequestFailed: If the server rejects this request.
            BackendUnavailable: If it rejects every request: wrong key, model or path.
        """
        self.in_flight += 1
        try:
            response = await self._send(request, image_url)
        finally:
            self.in_flight -= 1
        answer = self._read_answer(response)
        self.answered += 1
        self._pause = _FIRST_PAUSE
        return answer

    async def _send(self, request: CaptionRequest, image_url: str) -> Any:
        openai = self._openai
        content = [{'type': 'image_url', 'image_url': {'url': image_url}}, {'type': 'text', 'text': request.question}]
        body = {
            'model': self._model,
            'messages': [{'role': 'system', 'content': request.system}, {'role': 'user', 'content': content}],
            'temperature': request.temperature,
            'seed': request.seed,
            'max_tokens': request.max_tokens,
        }
        try:
            # The client's plain request: its typed one walks through every message and takes three times as long.
            return await next(self._turn).post('/chat/completions', cast_to=self._response_type, body=body)
        except openai.APIStatusError as error:
            retry_after = error.response.headers.get('retry-after', '')
            said = describe_page(error.response) or error.message
            # The causes are dropped as they hold headers, and so the key.
            raise self._judge(error.status_code, said, retry_after) from None
        except openai.APIConnectionError as error:
            cause = f' ({type(error.__cause__).__name__}: {error.__cause__})' if error.__cause__ else ''
            raise EndpointTrouble(Fault.UNCLEAR, self._clean(f'{error}{cause}')) from None
        except (openai.OpenAIError, ValueError) as error:
            raise EndpointTrouble(Fault.UNCLEAR, self._clean(f'broken answer: {error}')) from None

    def _judge(self, status: int, said: str, retry_after: str = '') -> Exception:
        """What a status code says."""
        message = self._clean(f'{self.name} answered {status}: {said}')
        if status in (401, 403, 404, 405) or 300 <= status < 400:
            return BackendUnavailable(f'{message}. {_CHECK}')
        if status in _BUSY:
            return EndpointTrouble(Fault.BUSY, message, _seconds(retry_after))
        if status >= 500 or status in (408, 409):
            return EndpointTrouble(Fault.UNCLEAR, message)
        return RequestFailed(message)

    def _read_answer(self, response: Any) -> CaptionAnswer:
        """Read a chat completion; anything else may have come."""
        if page := describe_page(response):
            raise EndpointTrouble(Fault.PAGE, self._clean(f'{self.name} answered with {page}', f'. {_CHECK}'))
        try:
            content = json.loads(response.content)
        except (ValueError, RecursionError) as error:
            kind = response.headers.get('content-type', 'no content type')
            said = f'no JSON but {len(response.content)} bytes of {kind} ({type(error).__name__})'
            raise EndpointTrouble(Fault.UNCLEAR, self._clean(f'{self.name} answered with {said}')) from None
        if isinstance(content, dict) and content.get('error') and not content.get('choices'):
            raise self._judge_error(content['error'])
        try:
            return read_completion(content)
        except ValueError as error:
            raise EndpointTrouble(Fault.UNCLEAR, str(error)) from None

    def _judge_error(self, error: object) -> Exception:
        """What an error says that came with the status of a success."""
        code, said = (error.get('code'), error.get('message')) if isinstance(error, dict) else (None, error)
        if isinstance(code, int) and 400 <= code < 600:
            return self._judge(code, str(said))
        return EndpointTrouble(Fault.UNCLEAR, self._clean(f'{self.name} answered with an error: {said}'))

    async def is_alive(self) -> bool:
        """Whether the server answers anything at all but a page, tried on its list of models."""
        client = self._clients[0].with_options(max_retries=0, timeout=10)
        try:
            response = await client.get('/models', cast_to=self._response_type)
        except self._openai.APIStatusError as error:
            return bool(error.status_code < 500)
        except self._openai.APIConnectionError:
            return False
        except (self._openai.OpenAIError, ValueError):
            return True
        return describe_page(response) is None

    def rest(self, wait: float = 0.0) -> None:
        """Leave the server alone for a while, longer each time until it answers again.

        Args:
            wait: The seconds it asks for, at least.
        """
        now = time.monotonic()
        if now >= self.free_at:
            self.free_at = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self.free_at = max(self.free_at, now + wait)

    def _clean(self, message: str, advice: str = '') -> str:
        """Messages come from the server, which may repeat secrets, color them and never end."""
        message = one_line(message, 10_000)
        for secret in self.secrets:
            message = message.replace(secret, '***')
        return one_line(message) + advice

    async def close(self) -> None:
        """Close the connections."""
        # A close that is itself cancelled would leave sockets to the garbage collector.
        await asyncio.shield(asyncio.gather(*(client.close() for client in self._clients)))


def _seconds(retry_after: str) -> float:
    """What a `Retry-After` header asks for: seconds or a date; 0 where it is neither."""
    with suppress(ValueError):
        return max(0.0, float(retry_after)) if isfinite(float(retry_after)) else 0.0
    date = parsedate_tz(retry_after)
    return max(0.0, mktime_tz(date) - time.time()) if date else 0.0


def _with_path(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ('http', 'https') or not parts.hostname:
        raise ValueError(f'expected an endpoint like http://127.0.0.1:8000/v1, got {shown_url(url)!r}.')
    return urlunsplit(parts._replace(path='/v1')) if parts.path in ('', '/') else url


def _secrets(url: str, api_key: str) -> tuple[str, ...]:
    """The key, and what a URL may hold besides: a password, values after the question mark."""
    parts = urlsplit(url)
    return tuple(filter(None, (api_key, parts.password, *(value for _, value in parse_qsl(parts.query)))))
