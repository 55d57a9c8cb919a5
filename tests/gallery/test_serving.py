from pathlib import Path

import pytest
from helpers.search_gallery import make_gallery

from cmdg_plugin.gallery import serving as module
from cmdg_plugin.gallery.serving import SignIn, is_loopback, read_users, serving


@pytest.mark.parametrize(
    ('host', 'expected'),
    [
        ('127.0.0.1', True),
        ('127.8.0.1', True),
        ('::1', True),
        ('localhost', True),
        ('0.0.0.0', False),
        ('::', False),
        ('192.168.0.7', False),
        ('localhost.example.org', False),
        ('', False),
    ],
)
def test_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def write_users(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / 'users.txt'
    path.write_text(text, encoding='utf-8')
    path.chmod(mode)
    return path


def test_users_are_read(tmp_path: Path) -> None:
    # A password keeps its colons and blanks.
    path = write_users(tmp_path, 'ann: pass:word \n\n  bob :12345678\n')
    assert read_users(path) == {'ann': ' pass:word ', 'bob': '12345678'}


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('ann:12345678\nbob', r'line 2: expected name:password'),
        ('ann:1234567', r'line 1: .* at least 8 characters'),
        (':12345678', r'line 1: expected name:password'),
        ('ann:12345678\n\nann:87654321', r'line 3: .* a new name'),
        ('\n \n', r'names nobody'),
    ],
)
def test_users_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    path = write_users(tmp_path, text)
    with pytest.raises(ValueError, match=message) as error:
        read_users(path)
    assert '1234567' not in str(error.value)  # no password in a message


def test_file_that_is_missing_or_that_others_may_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='no file of users'):
        read_users(tmp_path / 'users.txt')
    for mode in (0o640, 0o604):
        with pytest.raises(ValueError, match='Others may read the passwords'):
            read_users(write_users(tmp_path, 'ann:12345678', mode))


def test_guessing_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, 'monotonic', lambda: now)
    enter = SignIn({'ann': 'long enough', 'bob': 'long, too'})
    assert enter('ann', 'long enough')
    for name in ('', 'nobody', 'Ann'):
        assert not enter(name, 'long enough')
        assert not enter(name, '')
    for _ in range(4):
        assert not enter('ann', 'a guess')
    assert enter('ann', 'long enough')  # who knows it may mistype it
    for guess in ('1', '2', '3', '4', '\ud800'):
        assert not enter('ann', guess)
    assert not enter('ann', 'long enough')
    assert enter('bob', 'long, too')
    now += 59
    assert not enter('ann', 'long enough')
    now += 2
    assert enter('ann', 'long enough')


@pytest.mark.parametrize('users', [None, {}])
def test_others_cannot_be_served_without_sign_in(tmp_path: Path, users: dict[str, str] | None) -> None:
    with (
        make_gallery(tmp_path) as gallery,
        pytest.raises(ValueError, match=r'At 0\.0\.0\.0, others could reach the page'),
        serving(gallery, '0.0.0.0', users=users),
    ):
        pytest.fail('the page is served')
