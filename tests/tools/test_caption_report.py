"""The report tool, as a user calls it; what its page says: tests/captioning/test_report.py."""

import json
from pathlib import Path

import caption_report
import pytest


def write_captions(path: Path, paths: list[str], caption: str = 'A man in a red coat.') -> Path:
    path.write_text(json.dumps([{'file_path': each, 'captions': [caption] * 4, 'identity': 1} for each in paths]))
    return path


def test_released_files_side_by_side(tmp_path: Path) -> None:
    record = {'id': 2, 'camid': 0, 'captions': ['The man is wearing a suit.'] * 4}
    split = {'train': [{**record, 'file_path': '/a.png'}], 'query': [], 'gallery': [{**record, 'file_path': '/b.png'}]}
    (tmp_path / 'prid.json').write_text(json.dumps([split]))
    ours = write_captions(tmp_path / 'ours.json', ['a.png'])
    assert caption_report.main([str(tmp_path / 'prid.json'), str(ours), '--out', str(tmp_path / 'r.html')]) == 0
    numbers = json.loads((tmp_path / 'r.json').read_text())
    assert [(each['file'], each['images']) for each in numbers] == [('prid.json', 2), ('ours.json', 1)]
    page = (tmp_path / 'r.html').read_text()
    assert 'prid.json' in page
    assert 'ours.json' in page


@pytest.mark.parametrize(
    'arguments',
    [
        ('missing.json',),
        ('c.json', '--images', 'nowhere'),
        ('c.json', '--out', 'r.txt'),
        ('c.json', '--images', '.', '.'),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_captions(tmp_path / 'c.json', ['a.png'])
    assert caption_report.main(list(arguments)) == 1
    assert not list(tmp_path.glob('r.*'))
