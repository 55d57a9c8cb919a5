import re
import shutil
from pathlib import Path
from types import ModuleType

import check_data
import pytest
from mmengine.config import Config


@pytest.fixture
def incomplete(release_data: Path, tmp_path: Path) -> Path:
    """What protocols 1 to 3 need, but VIPeR and the captions of MSMT17."""
    for folder in release_data.iterdir():
        if folder.name not in ('VIPeR', 'captions'):
            (tmp_path / folder.name).symlink_to(folder)
    shutil.copytree(release_data / 'captions', tmp_path / 'captions')
    (tmp_path / 'captions' / 'msmt17.json').unlink()
    return tmp_path


@pytest.mark.parametrize('protocol', [[], ['--protocol', 'p1'], ['--protocol', 'P3_cuhk03']])
def test_complete_data(release_data: Path, capsys: pytest.CaptureFixture[str], protocol: list) -> None:
    assert check_data.main([str(release_data), *protocol]) == 0
    text = capsys.readouterr().out
    for name in ('market1501', 'msmt17', 'cuhk03', 'cuhk02', 'cuhksysu', 'prid', 'grid', 'viper', 'ilids'):
        assert f'\n{name} ' in text
    assert text.count(': ready\n') == (1 if protocol else 7)
    assert 'not found' not in text


def test_exit_code_is_that_of_the_named_protocol(incomplete: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_data.main([str(incomplete), '--protocol', 'p1']) == 1
    text = capsys.readouterr().out
    assert f'viper: not found. Expected, in the release layout:\n{incomplete}/VIPeR/' in text
    assert text.endswith('p1: not ready\n  - viper: not found\n')
    assert check_data.main([str(incomplete), '--protocol', 'p2_cuhk03']) == 1
    text = capsys.readouterr().out
    assert 'msmt17: 16 of 16 images to train on have no captions' in text
    # VIPeR is missing too, but this protocol does not need it.
    assert 'VIPeR/' not in text
    assert check_data.main([str(incomplete), '--protocol', 'p2_msmt17']) == 0
    assert check_data.main([str(incomplete)]) == 0
    assert 'p1: not ready\n  - viper: not found\n' in capsys.readouterr().out


def test_captions_elsewhere_and_versions(
    incomplete: Path, release_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(incomplete), '--protocol', 'p2_cuhk03']
    assert check_data.main([*arguments, '--captions', str(release_data / 'captions')]) == 0
    assert check_data.main([*arguments, '--msmt17-version', 'MSMT17_V2']) == 1
    assert 'MSMT17_V1 is there, MSMT17_V2 is not' in capsys.readouterr().out


def test_data_for_text_search(miniatures: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in miniatures.TEXT_DATASETS:
        miniatures.write_text_miniature(tmp_path, name)
    assert check_data.main([str(tmp_path)]) == 0
    text = capsys.readouterr().out
    (row,) = [line.split('  ') for line in text.splitlines() if line.startswith('cuhk-pedes ')]
    assert [cell.strip() for cell in row if cell.strip()] == [
        *('cuhk-pedes', 'original', 'train', '2 / 11,003 !', '3 / 34,054 !', '-', '9 of 9 (100%)', '16', '0')
    ]
    config = str(Path(__file__).parents[2] / 'configs/text_search/cmdg_vit-base-p16_rstpreid.py')
    assert check_data.main(['--config', config, '--cfg-options', f'data_root={tmp_path}']) == 0
    assert 'test_dataloader: rstpreid: 6 sentences and 3 gallery images, 3 images' in capsys.readouterr().out
    (tmp_path / 'RSTPReid/imgs/3902_c3_0007.jpg').write_text('no picture')
    assert check_data.main(['--config', config, '--cfg-options', f'data_root={tmp_path}']) == 1
    assert '3902_c3_0007.jpg' in capsys.readouterr().out


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_data.main([str(tmp_path), '--protocol', 'p1']) == 1
    assert capsys.readouterr().out.count('not found. Expected') == 8


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['{root}', '--protocol', 'p4'], "expected one of the protocols p1, p2_market1501, .* got 'p4'"),
        (['{root}/absent'], 'no folder .*absent'),
        (['{root}', '--captions', '{root}/absent'], 'no folder .*absent'),
        (['{root}', '--cuhk03-version', 'drawn'], "labeled, detected.* got 'drawn'"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert check_data.main([argument.format(root=tmp_path) for argument in arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ''
    assert re.search(message, captured.err)


def test_data_of_a_config(
    config_file: Path,
    tiny_config: Config,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    root = tmp_path / 'data'
    sources = tiny_config.train_dataloader.dataset.sources
    shutil.copytree(Path(sources[0].root).parent, root)
    options = [
        f'train_dataloader.dataset.sources.{number}.root={root / name}' for number, name in enumerate(('alpha', 'beta'))
    ]
    arguments = ['--config', str(config_file), '--cfg-options', *options]
    assert check_data.main(arguments) == 0
    assert '48 images opened, captions of 36 images read: no problem found.' in capsys.readouterr().out
    images = sorted((root / 'beta' / 'bounding_box_train').iterdir())[:7]
    for image in images:
        image.write_bytes(b'no image')
    out = tmp_path / 'deep' / 'problems.txt'
    assert check_data.main([*arguments, '--out', str(out)]) == 1
    text = capsys.readouterr().out
    assert '- beta: 7 of 18 images cannot be read\n' in text
    assert '... and 2 more' in text
    assert all(str(image) in out.read_text() for image in images)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--out', 'a.txt'], 'go with --config'),
        (['--config', 'a.py', '--protocol', 'p1'], 'leave out --protocol'),
        (['--config', 'a.py', 'data'], '--cfg-options data_root=data'),
    ],
)
def test_arguments_that_do_not_go_together(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match='2'):
        check_data.main(arguments)
    assert message in capsys.readouterr().err


def test_no_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_data.main(['--config', 'nowhere.py']) == 1
    assert 'No config at nowhere.py' in capsys.readouterr().err
