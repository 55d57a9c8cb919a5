"""tools/gallery.py as users call it."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def run() -> Callable[..., int]:
    # By its path: the tool is called as its package is.
    spec = importlib.util.spec_from_file_location('gallery_tool', REPOSITORY / 'tools/gallery.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *arguments: module.main([str(argument) for argument in arguments])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / 'images' / 'query' / f'{number // 2:04d}_c{1 + number % 2}_x.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 20, 3), dtype=np.uint8)).save(path)
    return tmp_path / 'images'


def test_a_gallery_from_the_first_image_to_the_last(
    run: Callable[..., int], toy_checkpoint: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery, query = tmp_path / 'gallery', images / 'query' / '0003_c1_x.png'
    assert run('add', gallery, images) == 2
    assert 'give --model CHECKPOINT to make it' in capsys.readouterr().err
    assert run('add', gallery, images, '--model', toy_checkpoint, '--device', 'cpu') == 0
    assert '12 added, 0 replaced, 0 unchanged, 0 unreadable' in capsys.readouterr().out
    (images / 'broken.png').write_bytes(b'no image')
    assert run('add', gallery, images, '--batch-size', 4) == 3
    out = capsys.readouterr().out
    assert '0 added, 0 replaced, 12 unchanged, 1 unreadable' in out
    assert 'broken.png cannot be read (not an image' in out
    (images / 'broken.png').unlink()
    assert (
        run('search', gallery, '--image', query, '--where', 'camera == 1', '--top', 3, '--out', tmp_path / 'r.json')
        == 0
    )
    out = capsys.readouterr().out
    assert f'1     1.0000  3         1       {query}' in out
    assert out.endswith('searched 6 entries\n')
    assert len(json.loads((tmp_path / 'r.json').read_text())['matches']) == 3
    assert run('search', gallery, '--text', 'a man', '--show-dir', tmp_path / 'show') == 0
    assert run('search', gallery, '--image', query, '--report', tmp_path / 'report') == 0
    # A terminal may refuse what is not UTF-8.
    assert run('search', gallery, '--image', query, '--report', tmp_path / 'report\udce9') == 0
    assert rf'report: {tmp_path}/report\udce9/index.html' in capsys.readouterr().out
    assert [path.suffix for path in (tmp_path / 'report').iterdir()] == ['.html']
    assert [path.name for path in (tmp_path / 'show').iterdir()] == ['gallery_01_text.png']
    capsys.readouterr()
    assert run('calibrate', gallery, images, '--false-positives', 0.1, '--unsure', 0.5) == 0
    assert 'image: match from' in capsys.readouterr().out
    assert run('search', gallery, '--image', query) == 0
    assert 'verdict: match' in capsys.readouterr().out
    assert run('info', gallery) == 0
    out = capsys.readouterr().out
    assert 'entries     12' in out
    assert 'calibrated  image: match from' in out
    assert run('reencode', gallery, '--model', toy_checkpoint) == 0
    assert '12 added' in capsys.readouterr().out
    assert run('remove', gallery, '--where', 'identity == "3"') == 0
    assert '2 removed, 10 left' in capsys.readouterr().out
    assert run('remove', gallery, '--paths', images / 'query' / '0001_c1_x.png') == 0
    assert run('verify', gallery, '--files') == 0
    assert '9 entries, 0 faults' in capsys.readouterr().out
    shutil.rmtree(images)
    assert run('verify', gallery, '--files') == 1
    assert 'the image is gone' in capsys.readouterr().out


def test_a_gallery_keeps_as_much_in_memory_as_it_is_told(
    run: Callable[..., int], toy_checkpoint: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery, new = tmp_path / 'gallery', ('--model', toy_checkpoint, '--device', 'cpu', '--memory')
    # Nothing in memory: each search reads all vectors from the file.
    assert run('add', gallery, images, *new, 0) == 0
    assert json.loads((gallery / 'gallery.json').read_text())['options'] == {'memory': 0}
    assert run('search', gallery, '--image', images / 'query' / '0003_c1_x.png', '--top', 1) == 0
    assert '1     1.0000  3 ' in capsys.readouterr().out
    assert run('add', tmp_path / 'larger', images, *new, 0.5) == 0
    assert json.loads((tmp_path / 'larger/gallery.json').read_text())['options'] == {'memory': 1 << 29}
    # The same command goes on.
    assert run('add', gallery, images, '--engine', 'embedded', *new, 0) == 0
    assert '0 added, 0 replaced, 12 unchanged' in capsys.readouterr().out
    assert run('add', gallery, images, *new, 1) == 2
    for size in (-1, 'nan', 'inf', 'all'):
        with pytest.raises(SystemExit):
            run('add', tmp_path / 'wrong', images, *new, size)
        assert f'expected a number of GiB from 0, got {size}' in capsys.readouterr().err
    assert not (tmp_path / 'wrong').exists()


def test_mistakes_are_one_line(
    run: Callable[..., int], toy_checkpoint: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = tmp_path / 'gallery'
    assert run('add', gallery, images, '--model', toy_checkpoint, '--device', 'cpu') == 0
    assert run('add', gallery) == 2
    assert run('add', gallery, images, '--engine', 'milvus') == 2
    assert run('add', gallery, images, '--approximate', 64) == 2
    assert run('add', gallery, images, '--memory', 1) == 2
    capsys.readouterr()
    assert run('add', gallery, images / 'typo.png') == 3
    assert f'{images / "typo.png"} cannot be read (FileNotFoundError: No such file' in capsys.readouterr().out
    for arguments, message in (
        (('search', gallery), 'Say what to search for'),
        (('search', gallery, '--text', ''), 'this one is empty'),
        (('search', gallery, '--text', 'x', '--where', 'age == 3'), "there is no column 'age'"),
        (('search', gallery, '--text', 'x', '--out', 'r.txt'), 'Results are written to'),
        (('search', gallery, '--image', tmp_path / 'no.png'), 'There is no image at'),
        (('search', images, '--text', 'x'), 'is not a gallery'),
        (('add', gallery, images / 'typo'), 'There is no folder at'),
        (
            ('add', tmp_path / 'new', images, '--model', toy_checkpoint, '--approximate', 64),
            "has no setting 'approximate'",
        ),
        (('remove', gallery), 'Say which entries to remove'),
        (('calibrate', gallery, images), 'takes at least 100 queries'),
        (('info', tmp_path / 'nothing'), 'is not a gallery'),
        (
            ('search', gallery, '--image', tmp_path / '\x1b[2J.png'),
            rf'There is no image at {tmp_path}/\x1b[2J.png',
        ),
    ):
        with pytest.raises(SystemExit) as exit:
            run(*arguments)
        line = str(exit.value.code)
        assert message in line
        assert '\n' not in line
    with pytest.raises(ValueError, match='Say which entries'):
        run('remove', gallery, '--debug')
