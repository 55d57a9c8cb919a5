"""A stranger's checkpoint, given to everything that reads one, runs nothing."""

import copy
import functools
from pathlib import Path
from typing import Any

import mmpretrain.registry
import pytest
import torch
from helpers.tiny_runs import going_on, train
from mmengine.config import Config
from mmengine.registry import MODELS

from cmdg_plugin.apis import init_model
from cmdg_plugin.checkpoints.harmless import _only_calculates, restrict_to_harmless
from cmdg_plugin.checkpoints.stored_config import read_checkpoint_config

REPOSITORY = Path(__file__).parents[2]
MODULE = "import pathlib\npathlib.Path(__file__).with_name('hacked').touch()\n"

ATTACKS: dict[str, dict[str, Any]] = {
    'a function': {'type': 'os.system', 'command': 'touch hacked'},
    'a builtin': {'type': 'builtins.open', 'file': 'hacked', 'mode': 'w'},
    'a process': {'type': 'subprocess.Popen', 'args': ['touch', 'hacked']},
    'a module of the current folder': {'type': 'stranger'},
    'a member of such a module': {'type': 'stranger.Model'},
    'a registry of such a module': {'type': 'CMDGReID', '_scope_': 'stranger'},
    'a function of a known package': {'type': 'mmengine.fileio.io.remove', 'filepath': 'precious'},
    'a name that another registry knows': {'type': 'Adam'},
    'a hub': {'type': 'mmpretrain.AutoModelForCausalLM', 'name_or_path': 'x', 'trust_remote_code': True},
    'another file': {'type': 'mmpretrain.TimmClassifier', 'model_name': 'resnet18', 'checkpoint_path': 'x.pth'},
    'a pickle of answers': {'type': 'mmpretrain.VQAGenerationHead', 'decoder': {}, 'answer_list_path': 'a.pkl'},
    'a dataloader': {'type': 'mmpretrain.ImageToImageRetriever', 'prototype': {'dataset': {'type': 'stranger'}}},
    'weights of a part': {'type': 'mmpretrain.CLIPGenerator', 'tokenizer_path': 'http://127.0.0.1:9/a.pth'},
    'an expression for a type of numbers': {
        'type': 'mmpretrain.torchvision/ConvertImageDtype',
        'dtype': "float if __import__('os').mkdir('hacked') else int",
    },
    'a client of a store': {
        'type': 'LoadImageFromFile',
        'backend_args': {'backend': 'memcached', 'server_list_cfg': '', 'client_cfg': '', 'sys_path': '.'},
    },
    'a client of a store, by its old name': {
        'type': 'LoadImageFromFile',
        'file_client_args': {'prefix': 's3', 'path_mapping': {}},
    },
    'a file of margins': {
        'type': 'mmpretrain.ArcFaceClsHead',
        'num_classes': 1,
        'in_channels': 1,
        'margins': 'http://127.0.0.1:9/a.txt',
    },
    'not a name': {'type': 7},
}
"""Each stands where a part of the model or of the pipeline would."""


def stored(settings: dict[str, Any]) -> str:
    # Not laid out as a style guide wants it, which would take ten times as long.
    return Config(settings, format_python_code=False).pretty_text


@functools.cache
def toy_settings() -> dict[str, Any]:
    config = Config.fromfile(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py').to_dict()
    return {name: config[name] for name in ('default_scope', 'model', 'test_dataloader')}


def good_settings() -> dict[str, Any]:
    return copy.deepcopy(toy_settings())


def poisoned(place: str, attack: dict[str, Any]) -> dict[str, Any]:
    settings = good_settings()
    if place == 'pipeline':
        settings['test_dataloader']['dataset']['pipeline'].append(attack)
    elif place == 'nested transform':
        inner = {'type': 'RandomApply', 'transforms': [attack]}
        settings['test_dataloader']['dataset']['pipeline'].append(inner)
    elif place == 'model':
        settings['model'] = attack
    elif place == 'loss term':
        settings['model']['losses']['warmup'].append(attack)
    else:
        settings['model'][place] = attack
    return settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Current folder with modules that leave a trace when they are imported."""
    for name in ('stranger', 'Adam', 'ResNet'):
        (tmp_path / f'{name}.py').write_text(MODULE)
    (tmp_path / 'stranger').mkdir()
    for name in ('__init__', 'registry'):
        (tmp_path / 'stranger' / f'{name}.py').write_text("import pathlib\npathlib.Path('hacked').touch()\n")
    (tmp_path / 'precious').touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    'place', ['model', 'data_preprocessor', 'backbone', 'head', 'loss term', 'pipeline', 'nested transform']
)
@pytest.mark.parametrize('kind', ATTACKS)
def test_nothing_is_built_from_what_is_not_registered(folder: Path, place: str, kind: str) -> None:
    torch.save({'meta': {'cfg': stored(poisoned(place, ATTACKS[kind]))}, 'state_dict': {}}, 'a.pth')
    with pytest.raises(ValueError, match=r'a\.pth (comes with a config that could run code|wants the scope)') as error:
        init_model(None, 'a.pth')
    assert 'trust=True' in str(error.value)
    assert not (folder / 'hacked').exists()
    assert (folder / 'precious').exists()


def test_the_place_is_named(folder: Path) -> None:
    settings = poisoned('loss term', ATTACKS['a function'])
    number = len(settings['model']['losses']['warmup']) - 1
    with pytest.raises(ValueError, match=rf"model\.losses\.warmup\.{number}\.type is 'os\.system', which is not"):
        restrict_to_harmless(settings, 'a.pth')


def test_modules_that_a_stranger_names_are_not_imported(folder: Path) -> None:
    settings = {**good_settings(), 'custom_imports': {'imports': ['stranger']}}
    torch.save({'meta': {'cfg': stored(settings)}, 'state_dict': {}}, 'a.pth')
    read_checkpoint_config('a.pth')
    assert not (folder / 'hacked').exists()
    read_checkpoint_config('a.pth', trust=True)
    assert (folder / 'hacked').exists()


@pytest.mark.parametrize('scope', ['stranger', 'mmdet', 7])
def test_unknown_scopes_are_refused(folder: Path, scope: object) -> None:
    with pytest.raises(ValueError, match='wants the scope'):
        restrict_to_harmless({**good_settings(), 'default_scope': scope}, 'a.pth')
    assert not (folder / 'hacked').exists()


def test_a_name_counts_where_it_is_built(folder: Path) -> None:
    """The model builds its parts in the plugin's scope, where mmpretrain's `ResNet` would be imported as a module."""
    settings = {**good_settings(), 'default_scope': 'mmpretrain'}
    settings['model'].update(type='cmdg_plugin.CMDGReID', head={'type': 'ResNet'})
    with pytest.raises(ValueError, match=r"model\.head\.type is 'ResNet', which is not registered"):
        restrict_to_harmless(settings, 'a.pth')
    assert not (folder / 'hacked').exists()


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('compile', {'options': {'cpp.cxx': ['touch', 'hacked']}}),
        ('init_cfg', {'type': 'Pretrained', 'checkpoint': 'http://127.0.0.1:9/a.pth'}),
    ],
)
def test_what_the_features_do_not_depend_on_is_left_out(name: str, value: dict[str, Any]) -> None:
    settings = good_settings()
    settings['model']['backbone'][name] = value
    assert name not in restrict_to_harmless(settings, 'a.pth')['model']['backbone']


def test_no_registered_name_is_built_that_was_not_read() -> None:
    """Another version of mmpretrain may register more: it is refused until somebody has looked."""
    MODELS.build({'type': 'mmpretrain.ResNet', 'depth': 18})  # imports all of mmpretrain's models
    for name in ('VQAGenerationHead', 'VQKD', 'LoRAModel', 'TIMMBackbone', 'Llava'):
        assert not _only_calculates(mmpretrain.registry.MODELS.module_dict[name]), name


def test_local_images_and_named_types_of_numbers_pass() -> None:
    settings = good_settings()
    pipeline = settings['test_dataloader']['dataset']['pipeline']
    pipeline[0]['backend_args'] = {'backend': 'local'}
    pipeline.append({'type': 'mmpretrain.torchvision/ConvertImageDtype', 'dtype': 'float32'})
    assert restrict_to_harmless(settings, 'a.pth')['test_dataloader']['dataset']['pipeline'] == pipeline


def test_models_of_mmpretrain_and_its_transforms_pass() -> None:
    model = {
        'type': 'cmdg_plugin.FeatureRetriever',
        'model': {'type': 'ImageClassifier', 'backbone': {'type': 'ResNet', 'depth': 18, 'norm_cfg': {'type': 'BN'}}},
        'data_preprocessor': {'type': 'ClsDataPreprocessor', 'batch_augments': {'augments': [{'type': 'Mixup'}]}},
    }
    pipeline = [{'type': 'LoadImageFromFile'}, {'type': 'torchvision/Resize', 'size': 8}, {'type': 'PackInputs'}]
    loader = {'dataset': {'pipeline': pipeline}}
    kept = restrict_to_harmless({'default_scope': 'mmpretrain', 'model': model, 'test_dataloader': loader}, 'a.pth')
    assert kept == {'default_scope': 'mmpretrain', 'model': model, 'test_dataloader': loader}


def test_resuming_runs_no_text_of_the_checkpoint(
    tiny_config: Config, tiny_checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    """MMEngine executes what stands at meta.config, to compare numbers of GPUs."""
    path = tmp_path / 'epoch_7.pth'
    checkpoint = torch.load(tiny_checkpoint, weights_only=False)
    checkpoint['meta']['config'] = "open('hacked', 'w')"
    torch.save(checkpoint, path)
    assert train(going_on(tiny_config, path), name='resumed').epoch == 7
    assert not (folder / 'hacked').exists()
