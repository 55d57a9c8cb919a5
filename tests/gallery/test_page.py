"""The search page as its visitors meet it: in a real browser, and by plain requests."""

import importlib.util
import json
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import pytest
from helpers.search_gallery import HOSTILE, PEOPLE, make_gallery
from helpers.tools import find_port

from cmdg_plugin.gallery import Gallery
from cmdg_plugin.gallery.report import write_report
from cmdg_plugin.gallery.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CHROMIUM = shutil.which('chromium')
for package in ('gradio', 'playwright'):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f'the package {package} is not installed', allow_module_level=True)
if CHROMIUM is None:
    pytest.skip('there is no browser: apt-get install chromium', allow_module_level=True)

USERS = {'ann': 'a long password'}
HERE = {'127.0.0.1', '::1', 'localhost'}
_contacted: set[str] = set()


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note every host that this process connects to, or asks the address of."""
    if event == 'socket.getaddrinfo':
        _contacted.add(str(arguments[0]))
    elif event == 'socket.connect' and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
        _contacted.add(str(arguments[1][0]))


sys.addaudithook(_watch)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('page')


@pytest.fixture(scope='module')
def gallery(folder: Path) -> Iterator[Gallery]:
    with make_gallery(folder) as gallery:
        yield gallery


@pytest.fixture(scope='module')
def address(gallery: Gallery) -> Iterator[str]:
    with serving(gallery, port=find_port()) as (address, _):
        yield address


@pytest.fixture(scope='module')
def browser() -> 'Iterator[Browser]':
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield browser
        browser.close()


@contextmanager
def visiting(browser: 'Browser', address: str) -> 'Iterator[Page]':
    """A new visitor's page. Nothing that it asks for may be on another host, and no script may fail."""
    with browser.new_context(viewport={'width': 1280, 'height': 900}) as context:
        page = context.new_page()
        page.set_default_timeout(20_000)
        asked: list[str] = []
        failed: list[str] = []
        page.on('request', lambda request: asked.append(request.url))
        page.on('websocket', lambda websocket: asked.append(websocket.url))
        page.on('pageerror', lambda error: failed.append(str(error)))
        page.goto(address)
        yield page
        assert asked
        elsewhere = [url for url in asked if urlsplit(url).scheme not in ('data', 'blob')]
        assert {urlsplit(url).netloc for url in elsewhere} == {urlsplit(address).netloc}
        assert not failed


@pytest.fixture
def page(browser: 'Browser', address: str) -> 'Iterator[Page]':
    with visiting(browser, address) as page:
        page.get_by_role('button', name='Search', exact=True).wait_for()
        yield page


def ask(page: 'Page') -> 'Locator':
    page.get_by_role('button', name='Search', exact=True).click()
    return page.locator('#answer')


def upload(page: 'Page', *paths: Path) -> None:
    page.locator('#pictures input[type=file]').set_input_files(paths)
    page.locator('#pictures').get_by_text(paths[-1].stem).first.wait_for()


def found(page: 'Page', count: int) -> list[str]:
    """Names of the results, once there are as many."""
    from playwright.sync_api import expect

    expect(page.locator('#answer .card')).to_have_count(count)
    return page.locator('#answer .card .path').all_inner_texts()


def test_search_by_picture_then_on_from_a_result(page: 'Page', gallery: Gallery, folder: Path) -> None:
    from playwright.sync_api import expect

    upload(page, folder / 'images/blue.png')
    answer = ask(page)
    expected = gallery.search(image=folder / 'images/blue.png')
    assert found(page, len(PEOPLE)) == [Path(match.path).name for match in expected.matches]
    assert expected.matches[0].path.endswith('blue.png')
    expect(answer.locator('.card').first.locator('.score')).to_contain_text('1.000')
    expect(answer).to_contain_text('5 entries searched')
    assert str(folder) not in page.content()  # a visitor need not know where the images lie

    second = Path(expected.matches[1].path)
    answer.get_by_role('button', name='Search on with result 2').click()
    expect(page.get_by_text('Going on with')).to_be_visible()
    expect(page.locator('#answer .card .path').first).to_have_text(second.name)
    again = gallery.search(image=gallery.read_image(expected.matches[1].path))
    assert found(page, len(PEOPLE)) == [Path(match.path).name for match in again.matches]

    page.get_by_role('button', name='Start over').click()
    expect(page.locator('#answer .card')).to_have_count(0)
    expect(page.get_by_text('Going on with')).to_have_count(0)


def test_sentence_and_camera(page: 'Page', gallery: Gallery) -> None:
    page.get_by_label('Description').fill('a person in green')
    page.get_by_label('Cameras').fill('1, 3')
    ask(page)
    expected = gallery.search(text='a person in green', where='camera in (1, 3)')
    assert found(page, 3) == [Path(match.path).name for match in expected.matches]


def test_times_and_any_column(page: 'Page') -> None:
    page.get_by_label('Description').fill('a person')
    page.get_by_label('Latest time').fill('2026-05-01')
    ask(page)
    assert set(found(page, 2)) == {'red.png', 'crimson.png'}
    page.get_by_label('Condition on any column').fill('floor == 0')
    ask(page)
    assert found(page, 1) == ['crimson.png']


def test_several_pictures_with_a_sentence(page: 'Page', gallery: Gallery, folder: Path) -> None:
    from playwright.sync_api import expect

    images = [folder / 'images/red.png', folder / 'images/blue.png']
    upload(page, *images)
    page.get_by_label('Description').fill('a person in green')
    answer = ask(page)
    expected = gallery.search(image=images, text='a person in green')
    assert found(page, len(PEOPLE)) == [Path(match.path).name for match in expected.matches]
    expect(answer.locator('.asked img')).to_have_count(2)
    expect(answer).to_contain_text('with weight 0.50')


def test_nothing_found_and_what_cannot_be_used(page: 'Page', tmp_path: Path) -> None:
    from playwright.sync_api import expect

    answer = ask(page)
    expect(answer.get_by_role('alert')).to_contain_text('Say what to search for')
    page.get_by_label('Description').fill('a person')
    page.get_by_label('Cameras').fill('99')
    ask(page)
    expect(answer.get_by_role('status')).to_have_text('Nothing found: no entry of the gallery passes the filter.')
    page.get_by_label('Cameras').fill('the first')
    ask(page)
    expect(answer.get_by_role('alert')).to_contain_text('Cameras are whole numbers')
    page.get_by_label('Cameras').fill('')
    (tmp_path / 'notes.png').write_text('not a picture')
    upload(page, tmp_path / 'notes.png')
    ask(page)
    expect(answer.get_by_role('alert')).to_contain_text('The image notes.png cannot be read')
    assert str(tmp_path) not in page.content()


def test_texts_from_outside_are_shown_and_do_not_run(page: 'Page') -> None:
    from playwright.sync_api import expect

    page.get_by_label('Description').fill(HOSTILE)
    page.get_by_label('Cameras').fill('4')
    answer = ask(page)
    expect(answer.locator('.card .caption')).to_have_text(HOSTILE)
    expect(answer).to_contain_text(HOSTILE)
    assert page.evaluate('window.hurt') is None


def test_sign_in(browser: 'Browser', gallery: Gallery) -> None:
    from playwright.sync_api import expect

    with serving(gallery, port=find_port(), users=USERS) as (address, _):
        for path in ('/config', '/gradio_api/info'):
            assert get(address, path)[0] == 401
        with visiting(browser, address) as page:
            for password in ('a wrong password', USERS['ann']):
                expect(page.get_by_role('button', name='Search', exact=True)).to_have_count(0)
                page.get_by_label('username').fill('ann')
                page.get_by_label('password').fill(password)
                page.get_by_role('button', name='Login').click()
                if password != USERS['ann']:
                    expect(page.get_by_text('Incorrect Credentials')).to_be_visible()
            page.get_by_label('Description').fill('a person')
            ask(page)
            found(page, len(PEOPLE))


def get(address: str, path: str, host: str | None = None) -> tuple[int, bytes]:
    """Ask for a path exactly as it stands, which browsers and libraries would tidy up."""
    parts = urlsplit(address)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    try:
        connection.request('GET', path, headers={} if host is None else {'Host': host})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_files_cannot_be_read(address: str, folder: Path) -> None:
    secret = folder / 'secret.txt'
    secret.write_text('not for visitors')
    steps = '/'.join(['..'] * 12)
    files = [secret, folder / 'images/red.png', folder / 'images/index.json', folder / 'model.pth', Path(__file__)]
    files += [path for path in (folder / 'people').rglob('*') if path.is_file() and path.stat().st_size]
    assert len(files) > 5
    for file in files:
        content = file.read_bytes()
        for path in (quote(str(file)), quote(f'{steps}{file}'), quote(f'{steps}{file}', safe='')):
            for road in ('/gradio_api/file=', '/file=', '/static/', '/assets/', '/gradio_api/file/', '/'):
                status, body = get(address, road + path)
                assert status >= 400, road + path
                assert content not in body


def post(address: str, path: str, content: dict[str, Any]) -> tuple[int, bytes]:
    """Send something as a program would."""
    parts = urlsplit(address)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    try:
        connection.request('POST', path, json.dumps(content), {'Content-Type': 'application/json'})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def fill_in(address: str, file: str | None = None, chosen: Path | None = None, text: str = '') -> dict[str, Any]:
    """The form as a program sends it that writes what it likes into every field."""
    files = None if file is None else [{'path': file, 'meta': {'_type': 'gradio.FileData'}}]
    data = [files, None if chosen is None else str(chosen), text, 0.5, '', '', '', '', 20]
    asked = json.loads(get(address, '/config')[1])['dependencies']
    number = next(each['id'] for each in asked if len(each['inputs']) == len(data))
    return {'fn_index': number, 'data': data, 'session_hash': secrets.token_hex(8)}


def submit(address: str, form: dict[str, Any]) -> str | None:
    """Send a form, wait, and return the answer's HTML; None where an error is the answer."""
    status, _ = post(address, '/gradio_api/queue/join', form)
    assert status == 200
    with urlopen(f'{address}gradio_api/queue/data?session_hash={form["session_hash"]}', timeout=20) as messages:
        for line in messages:
            message = json.loads(line.removeprefix(b'data: ') or 'null') if line.strip() else {}
            if message.get('msg') == 'process_completed':
                return str(message['output']['data'][0]) if message['success'] else None
    raise AssertionError('the server said nothing of the end')


def test_forged_paths_are_not_read(address: str, folder: Path) -> None:
    assert 'red.png' in str(submit(address, fill_in(address, text='a person')))
    # What nobody uploaded is not an upload, and what is gone on with is the server's to know.
    for path in (folder / 'images/red.png', folder / 'model.pth'):
        assert submit(address, fill_in(address, file=str(path))) is None
        assert 'Say what to search for' in str(submit(address, fill_in(address, chosen=path)))


def test_nothing_is_fetched_from_an_address_that_a_visitor_names(address: str) -> None:
    elsewhere = 'http://192.0.2.1/person.png'
    assert submit(address, fill_in(address, file=elsewhere)) is None
    for road in ('/gradio_api/file=', '/gradio_api/proxy='):
        assert get(address, road + elsewhere)[0] in (400, 403)
    assert _contacted <= HERE


def test_no_search_goes_past_the_queue(address: str) -> None:
    for road in ('run', 'api'):
        assert post(address, f'/gradio_api/{road}/search', fill_in(address, text='a person'))[0] == 404


def test_what_is_gone_is_said_without_its_folder(tmp_path: Path) -> None:
    from cmdg_plugin.gallery.page import SearchPage

    with make_gallery(tmp_path) as gallery:
        actions, empty = SearchPage(gallery), ['', 0.5, '', '', '', '', 20]
        gone = tmp_path / 'images/red.png'
        gone.unlink()
        answer, paths = actions.search(None, str(gone), *empty)
        assert 'The image red.png can no longer be read.' in answer
        gallery.folder.rename(tmp_path / 'elsewhere')
        said, _ = actions.search(None, None, 'a person', *empty[1:])
        assert 'The gallery cannot be searched now.' in said
        assert (paths, str(tmp_path) in answer + said) == ((), False)


def test_another_name_for_this_machine_is_refused(address: str) -> None:
    assert get(address, '/config')[0] == 200
    assert get(address, '/config', host='elsewhere.example')[0] == 400


def test_report_opens_from_a_file(browser: 'Browser', gallery: Gallery, tmp_path: Path) -> None:
    report = write_report(gallery.search(text=HOSTILE), gallery, tmp_path, text=HOSTILE)
    with browser.new_context() as context:
        page = context.new_page()
        asked: list[str] = []
        page.on('request', lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        assert page.locator('.card img').evaluate_all('images => images.map(image => image.naturalWidth)') == [48] * 5
        assert HOSTILE in page.locator('.caption').all_inner_texts()
        assert page.evaluate('window.hurt') is None
        assert {urlsplit(url).scheme for url in asked} <= {'file', 'data'}


def test_server_contacts_nobody(address: str) -> None:
    """Last: over all searches before, the server neither reached another host nor asked for its address."""
    assert submit(address, fill_in(address, text='a person')) is not None
    assert '127.0.0.1' in _contacted
    assert _contacted <= HERE
