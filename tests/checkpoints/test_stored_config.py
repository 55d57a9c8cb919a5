import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from cmdg_plugin.checkpoints.stored_config import parse_literal_config, read_checkpoint_config

REPOSITORY = Path(__file__).parents[2]


def save(path: Path, text: object) -> Path:
    torch.save({'meta': {'cfg': text}, 'state_dict': {}}, path)
    return path


@pytest.mark.parametrize('name', sorted(path.name for path in REPOSITORY.glob('configs/*/*.py')))
def test_every_config_survives_being_stored(tmp_path: Path, name: str) -> None:
    config = Config.fromfile(next(REPOSITORY.glob(f'configs/*/{name}')))
    if name != 'cmdg-strong_vit-base-p16_p1.py':
        # Laying text out as a style guide wants it takes ten times the rest: of one config, that will do.
        config = Config(config.to_dict(), format_python_code=False)
    path = save(tmp_path / 'a.pth', config.pretty_text)
    assert read_checkpoint_config(path, trust=True).to_dict() == config.to_dict()
    if 'model' in config:
        stored = read_checkpoint_config(path).to_dict()
        assert stored.keys() == {'default_scope', 'model', 'test_dataloader'}
        assert stored['model'] == config.model.to_dict()
        assert stored['test_dataloader']['dataset']['pipeline'] == config.test_dataloader.dataset.pipeline


def test_configs_of_literals_are_read() -> None:
    text = "a = dict(b=[1, -2.5], c=('x', None), d={'e f': {1, 2}})\ng = True\n"
    assert parse_literal_config(text) == {'a': {'b': [1, -2.5], 'c': ('x', None), 'd': {'e f': {1, 2}}}, 'g': True}


@pytest.mark.parametrize(
    'text',
    [
        "a = __import__('os').system('touch hacked')",
        "import os\nos.system('touch hacked')",
        "a = dict(b=open('hacked', 'w'))",
        "a = [exec('1') for _ in (1,)]",
        'a = (',
    ],
)
def test_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r'cannot be read .* give the config as a file'):
        read_checkpoint_config(save(tmp_path / 'a.pth', text))
    assert not (tmp_path / 'hacked').exists()


def test_own_modules_are_imported_for_those_who_trust_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'my_own_models.py').touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    path = save(tmp_path / 'a.pth', "custom_imports = dict(imports=['my_own_models'])\nmodel = dict(type='CMDGReID')")
    read_checkpoint_config(path)
    assert 'my_own_models' not in sys.modules
    read_checkpoint_config(path, trust=True)
    assert 'my_own_models' in sys.modules


def test_a_config_nested_without_end_is_refused(tmp_path: Path) -> None:
    for text in ('a = ' + '[' * 5000 + ']' * 5000, 'a = ' + '-' * 100_000 + '1'):
        with pytest.raises(ValueError, match='give the config as a file'):
            read_checkpoint_config(save(tmp_path / 'a.pth', text))


def test_checkpoint_without_config(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='carries no config'):
        read_checkpoint_config(save(tmp_path / 'a.pth', None))
