"""The worked example: our pieces in configs of mmpretrain's scope, each trained for an epoch on tiny data."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmpretrain
import pytest
from helpers.tiny_runs import caption_source
from helpers.tools import run_tool
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS as THEIRS

from cmdg_plugin import registry as ours

REPOSITORY = Path(__file__).parents[2]
PROJECT = REPOSITORY / 'projects/mmpretrain_reid'
CONFIGS = sorted(path.stem for path in (PROJECT / 'configs').glob('*_islands.py') if path.stem != 'mmpretrain_islands')
TRAIN = Path(mmpretrain.__file__).parent / '.mim/tools/train.py'


def on_tiny_data(settings: Any, tiny_data: Path) -> Any:
    """Put the tiny domains in place of Islands, wherever a config lists sources or targets."""
    names = {'sources': ('alpha', 'beta'), 'targets': ('target',)}
    if isinstance(settings, dict):
        for key, value in settings.items():
            settings[key] = (
                [caption_source(name, tiny_data) for name in names[key]]
                if key in names
                else on_tiny_data(value, tiny_data)
            )
        if 'dataset' in settings:
            settings['num_workers'] = 0
    return settings


@pytest.fixture
def load(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    monkeypatch.syspath_prepend(str(PROJECT))
    # Each test meets the user's module anew, as a process does.
    monkeypatch.delitem(sys.modules, 'part_bank_reid', raising=False)
    THEIRS.module_dict.pop('PartBankReID', None)
    # A runner's scope outlives it; other tests shall not stand in mmpretrain's.
    monkeypatch.setattr(DefaultScope, '_instance_dict', DefaultScope._instance_dict.copy())

    def do(name: str) -> Config:
        config = Config.fromfile(PROJECT / 'configs' / f'{name}.py')
        on_tiny_data(config._cfg_dict, tiny_data)
        config.merge_from_dict(
            {
                'work_dir': str(tmp_path / 'work'),
                'experiment_name': tmp_path.name,
                'visualizer': {'type': 'Visualizer', 'name': tmp_path.name},
                'train_cfg': {'max_epochs': 1, 'val_interval': 1},
                'train_dataloader': {'batch_size': 16, 'sampler': {'batch_size': 16, 'num_instances': 2}},
            }
        )
        return config

    return do


@pytest.mark.parametrize('name', CONFIGS)
def test_config_trains_and_is_scored(load: Callable[..., Config], name: str) -> None:
    runner = Runner.from_cfg(load(name))
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    runner.train()
    scores = {key: runner.message_hub.get_scalar(f'val/{key}').current() for key in ('target/mAP', 'average/R1')}
    assert all(0 < score <= 100 for score in scores.values())
    assert any(not value.equal(before[key]) for key, value in runner.model.state_dict().items())


def test_there_are_examples() -> None:
    assert CONFIGS == [
        'clip-classifier_islands',
        'clip-retriever_islands',
        'part-bank-imported_islands',
        'part-bank_islands',
        'resnet18_islands',
    ]


def train_with_mmpretrain(config: Config, tmp_path: Path, *paths: Path) -> str:
    """Run mmpretrain's own tool in a process that knows of the plugin by its prefix alone."""
    (tmp_path / 'dumped.py').write_text(config.pretty_text)
    environment = {'PYTHONPATH': ':'.join(map(str, (REPOSITORY, *paths))), 'PATH': ''}
    run = run_tool(TRAIN, tmp_path / 'dumped.py', '--no-persistent-workers', env=environment)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout + run.stderr


def test_model_of_a_user_under_mmpretrains_tool(load: Callable[..., Config], tmp_path: Path) -> None:
    config = load('part-bank_islands')
    assert config.custom_imports == {'imports': ['part_bank_reid']}
    assert 'target/mAP' in train_with_mmpretrain(config, tmp_path, PROJECT)


def with_prefixes(settings: Any) -> Any:
    """Name this plugin's types as a config of another scope must."""
    registries = [registry for registry in vars(ours).values() if isinstance(registry, type(MODELS))]
    own: set[str] = set()
    for registry in registries:
        if registry.scope == 'cmdg_plugin' and registry is not ours.SOURCES:
            registry.import_from_location()
            own.update(registry.module_dict)
    if isinstance(settings, dict):
        renamed = {key: with_prefixes(value) for key, value in settings.items()}
        if renamed.get('type') in own:
            renamed['type'] = f'cmdg_plugin.{renamed["type"]}'
        return renamed
    return [with_prefixes(value) for value in settings] if isinstance(settings, list | tuple) else settings


def test_whole_method_in_mmpretrains_scope(tiny_config: Config, tiny_clip_file: Path, tmp_path: Path) -> None:
    tiny_config.default_hooks.results = {'type': 'ResultsHook'}
    settings = with_prefixes(tiny_config.to_dict())
    assert settings['model']['type'] == 'cmdg_plugin.CMDGReID'
    settings['default_scope'] = 'mmpretrain'
    (tmp_path / 'my_clip.py').write_text(f'import open_clip\nopen_clip.add_model_config({str(tiny_clip_file)!r})\n')
    settings['custom_imports'] = {'imports': ['my_clip']}
    output = train_with_mmpretrain(Config(settings), tmp_path, tmp_path)
    for stage in ('warmup', 'prompt', 'bridging'):
        assert f'[{stage}] Epoch(train)' in output
    assert (tmp_path / 'work' / 'results.md').is_file()
    assert 'Failed to search registry' not in output
