"""The search page in a real browser (Chromium of the system's packages), and from outside by requests."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.search_gallery import HOSTILE, HOSTILE_NAME, make_gallery

from cmdg_plugin.gallery import Gallery
from cmdg_plugin.gallery.answers import RESPONSIBLE_USE, VERDICTS
from cmdg_plugin.gallery.report import SearchQuery, write_report
from cmdg_plugin.gallery.serving import serving

pytest.importorskip('gradio', reason="the page needs Gradio: pip install -e '.[demo-test]'")
playwright = pytest.importorskip('playwright.sync_api', reason="Playwright is missing: pip install -e '.[demo-test]'")
httpx = pytest.importorskip('httpx')
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
if CHROMIUM is None:
    pytest.skip('there is no chromium: apt-get install chromium', allow_module_level=True)

USER, PASSWORD = 'warden', 'quiet river 7'
_reached: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note every host that this process connects to, or asks the address of."""
    if event == 'socket.getaddrinfo':
        _reached.append(str(arguments[0]))
    if event == 'socket.connect' and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
        _reached.append(arguments[1][0])


sys.addaudithook(_watch)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('page')


@pytest.fixture(scope='module')
def gallery(folder: Path) -> Gallery:
    return make_gallery(folder)


@pytest.fixture(scope='module')
def address(gallery: Gallery) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    with serving(gallery, port=port, users={USER: PASSWORD}) as (served, _):
        yield served.rstrip('/')


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        arguments = ['--no-sandbox'] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope='module')
def requested() -> list[str]:
    """Addresses that the browser asked for."""
    return []


@pytest.fixture(scope='module')
def signed_in(browser: Any, address: str, requested: list[str]) -> Any:
    """A browser window after a wrong password, which is refused, and the right one."""
    window = browser.new_page()
    window.set_default_timeout(20_000)
    window.on('request', lambda request: requested.append(request.url))
    window.goto(address)
    for password in ('wrong river 8', PASSWORD):
        assert window.get_by_label('Description', exact=True).count() == 0
        window.get_by_label('username').fill(USER)
        window.get_by_label('password').fill(password)
        window.get_by_role('button', name='Login').click()
        if password != PASSWORD:
            window.get_by_text('Incorrect').wait_for()
    window.get_by_label('Description', exact=True).wait_for()
    return window


@pytest.fixture
def window(signed_in: Any) -> Any:
    """The page as it is at first."""
    signed_in.reload()
    signed_in.get_by_label('Description', exact=True).wait_for()
    return signed_in


def search(window: Any, **fields: str) -> None:
    """Fill in fields by their labels, and wait for the answer."""
    for label, text in fields.items():
        name = label.replace('_', ' ')
        window.get_by_label(name, exact=name == 'Description').fill(text)
    window.get_by_role('button', name='Search', exact=True).click()
    window.locator('#answer .verdict').wait_for()


def upload(window: Any, *files: Path) -> None:
    with window.expect_response(lambda response: '/upload' in response.url):
        window.locator('#pictures input[type=file]').set_input_files([str(file) for file in files])
    window.locator('#pictures').get_by_text(files[-1].stem).first.wait_for()


def found(window: Any) -> list[str]:
    return window.locator('#answer .card .path').all_inner_texts()


def test_a_sentence(window: Any, gallery: Gallery) -> None:
    search(window, Description='a person in blue')
    expected = gallery.search(text='a person in blue').matches
    assert found(window) == [Path(match.path).name for match in expected]
    first = window.locator('#answer .card').first.inner_text()
    for text in (f'{expected[0].score:.3f}', str(expected[0].identity), str(expected[0].time)):
        assert text in first
    assert window.locator('#answer .verdict').inner_text() == VERDICTS[None]
    assert window.get_by_text(RESPONSIBLE_USE).is_visible()


def test_a_picture_and_one_with_a_sentence(window: Any, gallery: Gallery, folder: Path) -> None:
    red = folder / 'images/red.png'
    upload(window, red)
    search(window)
    assert found(window)[0] == 'red.png'
    assert window.locator('#answer .score').first.inner_text().strip() == '1.000'
    expected = gallery.search(image=red, text='a person in green', text_weight=0.5)
    search(window, Description='a person in green')
    window.get_by_text('with weight 0.50').wait_for()
    assert found(window) == [Path(match.path).name for match in expected.matches]


def test_several_pictures_are_one_query(window: Any, gallery: Gallery, folder: Path) -> None:
    images = [folder / 'images/red.png', folder / 'images/blue.png']
    upload(window, *images)
    search(window)
    assert window.locator('#answer .asked img').count() == 2
    assert found(window) == [Path(match.path).name for match in gallery.search(image=images).matches]


def test_filters(window: Any) -> None:
    search(window, Description='a person', Cameras='1, 2', Latest_time='2026-05-01')
    assert set(found(window)) == {'red.png', 'crimson.png'}
    window.get_by_label('Condition on any column').fill('floor == 0')
    search(window)
    window.get_by_text('1 entry searched').wait_for()
    assert found(window) == ['crimson.png']


def test_a_click_goes_on_with_that_entry(window: Any, folder: Path) -> None:
    search(window, Description='a person in blue', Cameras='1, 2')
    number = found(window).index('crimson.png') + 1
    window.get_by_role('button', name=f'Search on with result {number}').click()
    window.get_by_alt_text('picture 1 of the query').wait_for()
    assert found(window)[:2] == ['crimson.png', 'red.png']
    assert len(found(window)) == 3  # the filter stays
    assert window.get_by_label('Description', exact=True).input_value() == ''
    # What is uploaded then takes its place.
    upload(window, folder / 'images/blue.png')
    search(window)
    window.wait_for_function("document.querySelector('#answer .card .path')?.innerText === 'blue.png'")
    window.get_by_role('button', name='Start over').click()
    window.locator('#answer .verdict').wait_for(state='detached')
    assert window.get_by_label('Cameras').input_value() == ''


def test_nothing_found(window: Any) -> None:
    search(window, Description='a person', Cameras='99')
    assert window.locator('#answer .verdict').inner_text().startswith('Nothing found: no entry of the gallery passes')
    assert found(window) == []


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({}, 'Say what to search for: upload a picture, describe the person, or both.'),
        ({'Description': 'x', 'Cameras': 'north'}, 'Cameras are whole numbers such as 3, 7'),
        ({'Description': 'x', 'Earliest_time': 'noon'}, 'The earliest time cannot be read'),
        ({'Description': 'x', 'Condition_on_any_column': 'hat == 1'}, 'there is no column'),
    ],
)
def test_what_cannot_be_searched_for(window: Any, fields: dict[str, str], message: str) -> None:
    search(window, **fields)
    assert message in window.get_by_role('alert').inner_text()


def test_a_wrong_file(window: Any, tmp_path: Path) -> None:
    wrong = tmp_path / 'notes.png'
    wrong.write_text('not a picture')
    upload(window, wrong)
    search(window)
    assert window.get_by_role('alert').inner_text().startswith('The image notes.png cannot be read')


def test_hostile_names_and_captions_are_text(window: Any) -> None:
    search(window, Description=HOSTILE, Cameras='4')
    assert found(window) == [HOSTILE_NAME]
    assert window.locator('#answer .caption').inner_text() == HOSTILE
    assert HOSTILE in window.locator('#answer .asked').inner_text()
    assert window.evaluate('window.hurt') is None


def test_a_report_opens_from_a_file(browser: Any, gallery: Gallery, tmp_path: Path) -> None:
    result = gallery.search(text=HOSTILE)
    page = write_report(result, gallery, tmp_path, SearchQuery(text=HOSTILE))
    window = browser.new_page()
    asked: list[str] = []
    window.on('request', lambda request: asked.append(request.url))
    window.goto(page.as_uri())
    assert window.evaluate('window.hurt') is None
    assert window.locator('.card img').evaluate_all('images => images.map(image => image.naturalWidth)') == [48] * 5
    assert HOSTILE in window.locator('.caption').all_inner_texts()
    assert {address.partition(':')[0] for address in asked} <= {'file', 'data'}
    window.close()


@pytest.fixture(scope='module')
def client(address: str) -> Iterator[Any]:
    """Requests of a user who has signed in."""
    with httpx.Client(base_url=address, trust_env=False) as client:
        answer = client.post('/login', data={'username': USER, 'password': PASSWORD})
        assert answer.status_code == 200
        yield client


def test_no_file_of_the_machine_is_served(client: Any, gallery: Gallery, folder: Path) -> None:
    secrets = ['/etc/passwd', str(folder / 'model.pth'), str(folder / 'images/red.png'), 'README.md', 'setup.cfg']
    secrets += [str(path) for path in gallery.folder.iterdir() if path.is_file()]
    for secret in secrets:
        assert client.get(f'/gradio_api/file={secret}').status_code in (403, 404), secret
    for path in ('../' * 12 + 'etc/passwd', '%2e%2e%2f' * 12 + 'etc/passwd', '..%2f' * 12 + 'etc%2fpasswd'):
        for place in ('/gradio_api/file=', '/static/', '/assets/', '/theme/', '/gradio_api/file=./'):
            answer = client.get(place + path)
            assert 'root:' not in answer.text, place + path
    # An upload that claims to lie elsewhere.
    components = client.get('/config').json()
    number = next(each['id'] for each in components['dependencies'] if len(each['inputs']) == 9)
    sent = {'path': '/etc/passwd', 'meta': {'_type': 'gradio.FileData'}}
    data = [[sent], None, '', 0.5, '', '', '', '', 20]
    session = {'fn_index': number, 'session_hash': 'abcdefgh', 'data': data}
    assert client.post('/gradio_api/queue/join', json=session).status_code == 200
    events = client.get('/gradio_api/queue/data', params={'session_hash': 'abcdefgh'}, timeout=20).text
    assert 'process_completed' in events
    assert '"success":false' in events.replace(' ', '')
    assert 'root:' not in events


def test_nothing_without_sign_in(address: str) -> None:
    with httpx.Client(base_url=address, trust_env=False) as stranger:
        assert stranger.get('/config').status_code == 401
        assert stranger.post('/gradio_api/queue/join', json={'fn_index': 0, 'data': []}).status_code == 401
        assert stranger.post('/gradio_api/upload', files={'files': b'x'}).status_code == 401
        wrong = stranger.post('/login', data={'username': 'nobody', 'password': PASSWORD})
        assert wrong.status_code == 400


def test_another_sites_name_is_refused(client: Any) -> None:
    assert client.get('/', headers={'host': 'elsewhere.example'}).status_code == 400
    assert "default-src 'self'" in client.get('/').headers['content-security-policy']


def test_nothing_left_this_machine(window: Any, requested: list[str], address: str) -> None:
    """Runs last: neither the browser nor the server has asked anybody else."""
    search(window, Description='a person')
    assert requested
    assert [url for url in requested if not url.startswith((address + '/', 'data:', 'blob:'))] == []
    assert set(_reached) <= {'127.0.0.1', '::1', 'localhost'}
