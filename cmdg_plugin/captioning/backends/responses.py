"""What a server's response is: a chat completion, somebody's page, or something else."""

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from cmdg_plugin.captioning.backends.base import CaptionAnswer

_TITLE = re.compile(r'<title[^>]*>([^<]{1,100})', re.IGNORECASE)


def read_completion(content: Any) -> CaptionAnswer:
    """Read the answer out of a chat completion.

    Raises:
        ValueError: If it is not a chat completion with text.
    """
    try:
        choice = content['choices'][0]
        text = choice['message']['content']
        if text is None:
            text = choice['message'].get('refusal') or ''
        complete = choice.get('finish_reason') != 'length'
    except (AttributeError, IndexError, TypeError, KeyError) as error:
        raise ValueError(f'the answer is not a chat completion ({type(error).__name__})') from None
    if not isinstance(text, str):
        raise ValueError(f'expected text in the answer, got a {type(text).__name__}')
    return CaptionAnswer(text, complete)


def describe_page(response: Any) -> str | None:
    """What a page is called and where it is from; None where it is not a page."""
    start = response.content[:4000].lstrip()
    if not start.startswith(b'<'):
        return None
    title = _TITLE.search(start.decode('utf-8', 'replace'))
    name = f' titled {title.group(1).strip()!r}' if title else ''
    place = f' from {shown_url(str(response.url))}, where it was redirected' if response.history else ''
    return f'a page (HTML){name}{place}, not a chat completion, as a proxy, a gateway or a login does'


def shown_url(url: str) -> str:
    """A URL without what may be secret in it: user, password, query."""
    parts = urlsplit(url)
    host = parts.hostname or ''
    return urlunsplit((parts.scheme, f'{host}:{parts.port}' if parts.port else host, parts.path, '', ''))
