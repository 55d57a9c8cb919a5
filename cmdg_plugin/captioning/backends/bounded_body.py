"""Bodies of HTTP answers that end at a limit, whatever they are compressed with and however slowly they come."""

import importlib
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any

LARGEST_BODY = 1 << 20
"""Bytes of an answer, before and after it is decompressed. A caption takes a thousand."""

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_DECODED_HERE = ('gzip', 'x-gzip', 'deflate')


def http_package(openai: ModuleType) -> ModuleType:
    """The HTTP client under the `openai` package: `httpx`, or `httpx2` under later ones."""
    client = next(kind for kind in openai.DefaultAsyncHttpxClient.__mro__ if kind.__name__ == 'AsyncClient')
    return importlib.import_module(client.__module__.partition('.')[0])


def bound_bodies(openai: ModuleType, timeout: float) -> Callable[[Any], Awaitable[None]]:
    """Make the hook that bounds the body of each answer, errors and redirects included.

    The client's own decoders write out all that a piece of body holds, a gigabyte where it wants to.

    Args:
        openai: The `openai` package. Its base error is raised while a body is read that is too large, takes too long
            or is compressed in a way that was not asked for.
        timeout: Seconds from the first byte of the body to the last.
    """

    class BoundedBody(http_package(openai).AsyncByteStream):  # type: ignore[misc]
        def __init__(self, body: Any, encoding: str) -> None:
            self._body = body
            self._encoding = encoding

        async def __aiter__(self) -> AsyncIterator[bytes]:
            decoder = zlib.decompressobj(_GZIP_OR_ZLIB) if self._encoding else None
            end, came, given = time.monotonic() + timeout, 0, 0
            async for piece in self._body:
                came += len(piece)
                if decoder is not None:
                    try:
                        piece = decoder.decompress(piece, LARGEST_BODY + 1 - given)
                    except zlib.error as error:
                        raise openai.OpenAIError(f'the answer cannot be decompressed ({error})') from None
                given += len(piece)
                if max(came, given) > LARGEST_BODY:
                    raise openai.OpenAIError(f'the answer is larger than {LARGEST_BODY} bytes')
                if time.monotonic() > end:
                    raise openai.OpenAIError(f'the answer was not complete after {timeout:.0f} s')
                yield piece

        async def aclose(self) -> None:
            await self._body.aclose()

    async def bound(response: Any) -> None:
        encoding = response.headers.get('content-encoding', '').strip().lower()
        if encoding in ('', 'identity') or encoding in _DECODED_HERE:
            response.headers.pop('content-encoding', None)
            response.stream = BoundedBody(response.stream, encoding if encoding in _DECODED_HERE else '')
            return
        await response.aclose()
        raise openai.OpenAIError(f'the answer is compressed with {encoding[:40]!r}, which was not asked for')

    return bound
