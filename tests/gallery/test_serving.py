import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from helpers.search_gallery import make_gallery

from cmdg_plugin.gallery import Gallery
from cmdg_plugin.gallery.serving import _checker, is_loopback, read_users, serving

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return make_gallery(tmp_path_factory.mktemp('serving'))


@pytest.mark.parametrize(
    ('host', 'expected'),
    [('127.0.0.1', True), ('127.9.9.9', True), ('::1', True), ('localhost', True)]
    + [(host, False) for host in ('0.0.0.0', '::', '10.0.0.5', 'localhost.example', '')],
)
def test_which_addresses_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize('users', [None, {}])
def test_others_need_sign_in(gallery: Gallery, users: dict[str, str] | None) -> None:
    with (
        pytest.raises(ValueError, match=r'others could reach the page: give a file of users .*--sign-in'),
        serving(gallery, '0.0.0.0', users=users),
    ):
        pass


def users_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / 'users.txt'
    path.write_text(text)
    path.chmod(mode)
    return path


def test_users(tmp_path: Path) -> None:
    users = read_users(users_file(tmp_path, 'ann: with:colons \n\nbob:12345678\n'))
    assert users == {'ann': ' with:colons ', 'bob': '12345678'}
    may_enter = _checker(users)
    assert may_enter('bob', '12345678')
    assert not may_enter('bob', '1234567')
    assert not may_enter('ann', '12345678')
    assert not may_enter('carl', '')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'names nobody'),
        ('ann:12345678\nbob\n', 'line 2: expected name:password'),
        ('ann:short', 'line 1'),
        (':12345678', 'line 1'),
        ('ann:12345678\nann:87654321', 'line 2'),
    ],
)
def test_users_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_users(users_file(tmp_path, text))


def test_passwords_that_others_may_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='Others may read the passwords'):
        read_users(users_file(tmp_path, 'ann:12345678', 0o644))
    with pytest.raises(FileNotFoundError, match='There is no file of users'):
        read_users(tmp_path / 'none')


def test_the_command_of_the_docs_serves_until_it_is_interrupted(gallery: Gallery) -> None:
    pytest.importorskip('gradio', reason="the page needs Gradio: pip install -e '.[demo]'")
    page = (REPOSITORY / 'docs/search-page.md').read_text(encoding='utf-8')
    (tool,) = re.findall(r'^python (tools/search_demo\.py) metro_gallery$', page, re.MULTILINE)
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        port = taken.getsockname()[1]
        taken.listen()
        with pytest.raises(ValueError, match=f'Port {port} of 127.0.0.1 cannot be opened'), serving(gallery, port=port):
            pass
    command = [sys.executable, tool, str(gallery.folder), '--port', str(port), '--device', 'cpu']
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith('Open '))
        with urllib.request.urlopen(line.split()[1], timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130)
    finally:
        process.kill()
