import json
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from cmdg_plugin.datasets.sources.caption_join import join_captions


def write(folder: Path, content: list[dict]) -> Path:
    path = folder / 'captions.json'
    path.write_text(json.dumps(content))
    return path


def record(path: str, sentence: str = 'a') -> dict:
    return {'file_path': path, 'id': 1, 'captions': [sentence] * 4}


def name_of(path: str) -> str | None:
    name = path.rpartition('/')[2]
    return name if name.endswith('.jpg') else None


def test_records_of_other_images_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    MMLogger.get_current_instance().addHandler(caplog.handler)
    path = write(tmp_path, [record('x/a.jpg'), record('x/b.jpg'), record('x/c.png')])
    found = join_captions(path, name_of, {'a.jpg', 'z.jpg', None})
    assert set(found) == {'a.jpg', 'b.jpg'}
    assert 'captions.json: 2 of 3 records are of images not used here' in caplog.text


def test_two_descriptions_of_one_image(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    MMLogger.get_current_instance().addHandler(caplog.handler)
    path = write(tmp_path, [record('x/a.jpg'), record('y/a.jpg')])
    assert set(join_captions(path, name_of, {'a.jpg'})) == {'a.jpg'}
    path = write(tmp_path, [record('x/a.jpg'), record('y/a.jpg', 'another')])
    with pytest.raises(ValueError, match=r'captions.json: x/a.jpg and y/a.jpg are one image .* different captions'):
        join_captions(path, name_of, {'a.jpg'})
    splits = [{'train': [record('x/a.jpg', text)], 'query': [], 'gallery': []} for text in ('first', 'last')]
    assert join_captions(write(tmp_path, splits), name_of, {'a.jpg'})['a.jpg'].captions == ('last',) * 4
    assert 'captions.json: 1 images have other captions in another split' in caplog.text
