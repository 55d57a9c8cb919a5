from pathlib import Path

import pytest
import torch
from helpers.tiny_runs import set_epochs, train
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from cmdg_plugin.engine import mixed_precision
from cmdg_plugin.engine.mixed_precision import CPUBFloat16OptimWrapper, fit_precision_to_device

AMP = {
    'type': 'AmpOptimWrapper',
    'loss_scale': 'dynamic',
    'dtype': 'float16',
    'optimizer': {'type': 'Adam', 'lr': 1.0},
    'clip_grad': {'max_norm': 1},
}


@pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')
def test_full_precision_without_a_gpu_keeps_all_other_settings() -> None:
    settings = fit_precision_to_device(AMP)
    assert settings == {'type': 'OptimWrapper', 'optimizer': AMP['optimizer'], 'clip_grad': AMP['clip_grad']}
    assert AMP['type'] == 'AmpOptimWrapper'


@pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')
@pytest.mark.parametrize(('able', 'wrapper'), [(True, 'cmdg_plugin.CPUBFloat16OptimWrapper'), (False, 'OptimWrapper')])
def test_bfloat16_on_a_cpu_that_has_it(able: bool, wrapper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed_precision, 'has_bfloat16_products', lambda: able)
    settings = fit_precision_to_device({**AMP, 'dtype': 'bfloat16'})
    assert settings == {'type': wrapper, 'optimizer': AMP['optimizer'], 'clip_grad': AMP['clip_grad']}


@pytest.mark.parametrize('device', ['cuda', 'npu'])
def test_mixed_precision_stays_where_it_runs(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('cmdg_plugin.engine.mixed_precision.get_device', lambda: device)
    assert fit_precision_to_device(AMP) == AMP


def test_other_wrappers_are_left_alone() -> None:
    assert fit_precision_to_device({'type': 'OptimWrapper', 'clip_grad': None}) == {
        'type': 'OptimWrapper',
        'clip_grad': None,
    }


@pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')
def test_a_mixed_precision_recipe_trains_on_a_cpu_and_says_so(tiny_config: Config) -> None:
    tiny_config.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    set_epochs(tiny_config, 1, 0, 0)
    runner = train(tiny_config)
    assert type(runner.optim_wrapper) is OptimWrapper
    (log,) = Path(runner.work_dir).rglob('*.log')
    assert log.read_text().count('computing in full precision') == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')
def test_a_tiny_run_in_bfloat16_on_a_cpu(tiny_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed_precision, 'has_bfloat16_products', lambda: True)
    tiny_config.optim_wrapper.update(type='AmpOptimWrapper', dtype='bfloat16')
    set_epochs(tiny_config, 1, 0, 0)
    runner = Runner.from_cfg(tiny_config)
    seen = []
    tower = runner.model.backbone.clip.visual.conv1
    tower.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    runner.train()
    assert type(runner.optim_wrapper) is CPUBFloat16OptimWrapper
    assert torch.bfloat16 in seen
    assert all(parameter.dtype == torch.float32 for parameter in runner.model.parameters())
