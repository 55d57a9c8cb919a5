"""Serving the search page: on this machine alone, or with sign-in; nothing is sent elsewhere."""

import hmac
import ipaddress
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cmdg_plugin.gallery.gallery import Gallery
from cmdg_plugin.saying import warn

_SHORTEST_PASSWORD = 8
_MOST_GUESSES = 5
_REFUSED_FOR = 60
# What Gradio would otherwise take from the environment of whoever starts the page.
_SETTINGS = {'GRADIO_ANALYTICS_ENABLED': 'False', 'GRADIO_ALLOWED_PATHS': '', 'GRADIO_SHARE': 'False'}
# Gradio's own scripts are inline and compile templates; nothing may come from, or go to, another host.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)


@contextmanager
def serving(
    gallery: Gallery, host: str = '127.0.0.1', port: int = 7860, users: Mapping[str, str] | None = None
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Context in which the page of a gallery is served.

    Args:
        gallery: What is searched.
        host: Address to listen on.
        port: Port to listen on.
        users: Who may sign in, and their passwords; None asks nobody, which only this machine's own address allows.

    Yields:
        The page's address, and a function that waits until the program is interrupted.

    Raises:
        ValueError: If others could reach the page without sign-in, or the port cannot be opened.
        FileNotFoundError: If the gallery's model is no longer there.
    """
    if not is_loopback(host) and not users:
        raise ValueError(
            f'At {host}, others could reach the page: give a file of users who may sign in (--sign-in), or serve it on '
            'this machine alone (127.0.0.1).'
        )
    gallery.search(text='a person', top=1)  # a model that is gone or another one is said now, not to visitors
    with tempfile.TemporaryDirectory(prefix='search-page-') as uploads, _fetching_nothing():
        # Before Gradio is imported, which reads some of them then.
        os.environ.update(_SETTINGS, GRADIO_TEMP_DIR=uploads)
        from cmdg_plugin.gallery.page import STYLE, build_page, make_theme

        page = build_page(gallery)
        try:
            try:
                _, address, _ = page.launch(
                    server_name=host,
                    server_port=port,
                    auth=None if users is None else SignIn(users),
                    app_kwargs={'middleware': _middleware(host)},
                    css=STYLE,
                    theme=make_theme(),
                    share=False,
                    quiet=True,
                    prevent_thread_lock=True,
                    max_file_size='20mb',
                    footer_links=[],
                    run_history=False,
                    enable_monitoring=False,
                    ssr_mode=False,
                    mcp_server=False,
                    pwa=False,
                )
            except OSError as error:
                raise ValueError(
                    f'Port {port} of {host} cannot be opened ({error}); give another one (--port).'
                ) from error
            yield address, page.block_thread
        finally:
            page.close(verbose=False)


@contextmanager
def _fetching_nothing() -> Iterator[None]:
    """Context in which Gradio fetches nothing from other hosts.

    It would fetch whatever a visitor names by its address, in the place of an upload or of a file to be served. All of
    that asks one function first whether a host may be reached.
    """
    import safehttpx

    async def refuse(host: str) -> str:
        raise ValueError(f'{host} is another host; nothing is fetched from there')

    asked = safehttpx.async_validate_url
    safehttpx.async_validate_url = refuse
    try:
        yield
    finally:
        safehttpx.async_validate_url = asked


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def read_users(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read who may sign in.

    Args:
        path: A file of lines `name:password`, which nobody but its owner may read.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If others may read it, or a line is not as described.
    """
    file = Path(os.path.expanduser(path))
    if not file.is_file():
        raise FileNotFoundError(f'There is no file of users at {file}.')
    if os.name == 'posix' and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f'Others may read the passwords in {file}: chmod 600 {file}.')
    users: dict[str, str] = {}
    for number, line in enumerate(file.read_text(encoding='utf-8').splitlines(), start=1):
        if not line.strip():
            continue
        name, _, password = line.partition(':')
        name = name.strip()
        if not name or len(password) < _SHORTEST_PASSWORD or name in users:
            raise ValueError(
                f'{file}, line {number}: expected name:password, a new name and a password of at least '
                f'{_SHORTEST_PASSWORD} characters.'
            )
        users[name] = password
    if not users:
        raise ValueError(f'{file} names nobody; write lines of name:password.')
    return users


class SignIn:
    """Says who may enter. After five wrong passwords in a row, a name is refused for a minute.

    Args:
        users: Names and their passwords.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        self.users = users
        self._wrong = dict.fromkeys(users, 0)
        self._refused_until = dict.fromkeys(users, 0.0)
        # Gradio asks from several threads, so that guesses could be made side by side.
        self._lock = threading.Lock()

    def __call__(self, name: str, password: str) -> bool:
        """Whether a password is that of a name."""
        with self._lock:
            now = time.monotonic()
            # Compared for unknown names, too, so that the time taken does not say which names there are.
            right = hmac.compare_digest(self.users.get(name, '').encode(), password.encode(errors='replace'))
            if name not in self.users or now < self._refused_until[name]:
                return False
            self._wrong[name] = 0 if right else self._wrong[name] + 1
            if self._wrong[name] == _MOST_GUESSES:
                self._wrong[name], self._refused_until[name] = 0, now + _REFUSED_FOR
                warn(f'{_MOST_GUESSES} wrong passwords for {name}: the name is refused for {_REFUSED_FOR} seconds.')
            return right


def _middleware(host: str) -> list[Any]:
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    layers = [Middleware(_Headers)]
    if is_loopback(host):
        # Another site cannot have its own name point here and read the answers.
        names = {host, 'localhost', '127.0.0.1', '[::1]'}
        layers.append(Middleware(TrustedHostMiddleware, allowed_hosts=sorted(names)))
    return layers


class _Headers:
    """Adds headers that keep browsers from sending anything elsewhere."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, and add them to its response."""

        async def send_with_headers(message: Any) -> None:
            if message['type'] == 'http.response.start':
                message['headers'] = [
                    *message.get('headers', ()),
                    (b'content-security-policy', _POLICY.encode()),
                    (b'referrer-policy', b'no-referrer'),
                    (b'x-content-type-options', b'nosniff'),
                ]
            await send(message)

        await self.app(scope, receive, send_with_headers)
