import json
from collections.abc import Callable
from pathlib import Path

from helpers.html_pages import Page

EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)"> & \'quoted\' {{ 7 * 7 }} </style>'


def write_captions(path: Path, paths: list[str], caption: str = 'A man in a red coat.') -> Path:
    path.write_text(json.dumps([{'file_path': each, 'captions': [caption] * 4, 'identity': 1} for each in paths]))
    return path


def test_everything_is_escaped(
    tmp_path: Path, make_images: Callable[..., Path], report_tool: Callable[..., int]
) -> None:
    root = make_images(4)
    paths = sorted(str(path.relative_to(root)) for path in root.glob('*/*.png'))
    evil_name = 'a"><b>.png'
    (root / evil_name).write_bytes((root / paths[0]).read_bytes())
    captions = write_captions(tmp_path / 'evil<u>.json', [*paths[:2], evil_name], EVIL)
    out = tmp_path / 'pages' / 'report.html'
    assert report_tool(captions, '--images', root, '--out', out) == 0
    page = Page(out.read_text())
    assert not {'script', 'b>', 'u'} & set(page.tags)
    assert ('http-equiv', 'Content-Security-Policy') in page.attributes
    assert not [name for name, _ in page.attributes if name.startswith('on')]
    sources = [value for name, value in page.attributes if name == 'src']
    assert len(sources) == 3
    assert all(source.startswith('data:image/jpeg;base64,') for source in sources)
    assert EVIL in page.text
    assert evil_name in page.text
    assert '{{ 7 * 7 }}' in page.text


def test_numbers_and_coverage(
    tmp_path: Path, make_images: Callable[..., Path], report_tool: Callable[..., int]
) -> None:
    root = make_images(4)
    paths = sorted(str(path.relative_to(root)) for path in root.glob('*/*.png'))
    captions = write_captions(tmp_path / 'c.json', [*paths[:3], 'gone.png'])
    assert report_tool(captions, '--images', root, '--out', tmp_path / 'r.html', '--examples', 2) == 0
    (numbers,) = json.loads((tmp_path / 'r.json').read_text())
    assert numbers['coverage'] == {'images': 4, 'captioned': 3, 'missing': [paths[3]], 'strangers': 1}
    assert numbers['images'] == 4
    page = Page((tmp_path / 'r.html').read_text())
    assert '3 of 4' in page.text
    assert paths[3] in page.text
