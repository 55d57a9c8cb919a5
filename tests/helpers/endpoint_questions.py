"""Questions to a chat server, and what it can be told to answer."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cmdg_plugin.captioning.backends import CaptionRequest, OpenAIEndpoint

KEY = 'sk-very-secret-0123456789'
HTML = {'content-type': 'text/html'}


def request(image: Path, question: str = 'Describe.', **changes: Any) -> CaptionRequest:
    """A question about an image."""
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


def reply(content: bytes | dict[str, str], **headers: Any) -> tuple[int, bytes, dict]:
    """JSON, or bytes as they are, sent with status 200."""
    return 200, content if isinstance(content, bytes) else json.dumps(content).encode(), headers
