"""The grids of ablations: every row has its config, and what rows add reaches the training."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_runs import on_tiny_data, train
from mmengine.config import Config
from safetensors.torch import save_file

from cmdg_plugin.ablation.grid import read_grid
from cmdg_plugin.ablation.planning import plan_runs
from cmdg_plugin.registry import MODELS

REPOSITORY = Path(__file__).parents[2]
ABLATIONS = REPOSITORY / 'configs/ablations'
TOY = 'configs/cmdg/cmdg_toy-vit_islands.py'


@pytest.mark.parametrize('file', sorted(ABLATIONS.glob('islands_*.py')), ids=lambda file: file.stem)
def test_every_row_can_be_planned_from_the_config_of_its_command(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(REPOSITORY)
    (config,) = re.findall(r'tools/ablate\.py (\S+)', file.read_text())
    grid = read_grid(file)
    runs = {run.name: run for run in plan_runs(config, grid, 1, tmp_path, {})}
    assert len(runs) == len(grid.rows) > 1
    if file.stem == 'islands_parts':
        # Averaging the bridging needs no beginning of its own.
        assert runs['released, averaged'].beginning == runs['released'].beginning is not None
        decayed = runs['released, layer-wise decay'].config.optim_wrapper
        assert decayed.constructor == 'LayerDecayConstructor'
        assert decayed.paramwise_cfg == {'custom_keys': {'classifier': {'lr_mult': 10}}, 'layer_decay_rate': 0.75}


LAYER_DECAY = {'constructor': 'LayerDecayConstructor', 'paramwise_cfg': {'layer_decay_rate': 0.75}}


@pytest.mark.parametrize(
    ('path', 'options', 'logged'),
    [
        (ABLATIONS / 'look-alikes_toy-vit_islands.py', {}, 'loss_caption'),
        (ABLATIONS / 'averaged_toy-vit_islands.py', {}, 'loss_part'),
        (ABLATIONS / 'averaged_id-only_toy-vit_islands.py', {}, 'loss_id_width'),
        (ABLATIONS / 'l2-sp_toy-vit_islands.py', {}, 'loss_l2_sp'),
        (ABLATIONS / 'l2-sp_id-only_toy-vit_islands.py', {}, 'loss_l2_sp'),
        (REPOSITORY / TOY, {'optim_wrapper': LAYER_DECAY}, 'loss_part'),
    ],
    ids=lambda value: getattr(value, 'stem', None),
)
def test_rows_about_weights_and_captions_train(
    path: Path, options: dict[str, Any], logged: str, tiny_config: Config, tmp_path: Path
) -> None:
    hooks = [hook for hook in Config.fromfile(path).custom_hooks if hook.type == 'WeightAveragingHook']
    config = on_tiny_data(Config.fromfile(path), tiny_config)
    config.merge_from_dict(options)
    config.custom_hooks += [{**hook, 'start_epoch': 0} for hook in hooks]
    backbone = {**config.model.backbone, 'type': 'TextAwareCLIP'}
    file = config.model.backbone.pretrained = str(tmp_path / 'clip.safetensors')
    save_file(MODELS.build(backbone).clip.state_dict(), file, {'quick_gelu': 'false'})
    runner = train(config)
    losses = runner.message_hub.log_scalars
    assert np.isfinite(losses[f'train/{logged}'].current())
    checkpoint = torch.load(Path(runner.work_dir) / f'epoch_{runner.epoch}.pth', weights_only=True)
    assert ('plain_weights' in checkpoint) == bool(hooks)
