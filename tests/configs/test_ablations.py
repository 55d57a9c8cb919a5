"""The grids of ablations: every row has its config, and what rows add reaches the training."""

from pathlib import Path

import pytest
from helpers.tiny_runs import on_tiny_data
from mmengine.config import Config
from mmengine.runner import Runner

from cmdg_plugin.ablation.grid import read_grid
from cmdg_plugin.ablation.planning import plan_runs

REPOSITORY = Path(__file__).parents[2]
ABLATIONS = REPOSITORY / 'configs/ablations'
TOY = 'configs/cmdg/cmdg_toy-vit_islands.py'


@pytest.mark.parametrize('name', ['islands_parts', 'islands_terms'])
def test_every_row_can_be_planned(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(REPOSITORY)
    runs = {run.name: run for run in plan_runs(TOY, read_grid(ABLATIONS / f'{name}.py'), 1, tmp_path, {})}
    assert len(runs) > 20
    if name == 'islands_parts':
        # Averaging the bridging needs no beginning of its own.
        assert runs['released, averaged'].beginning == runs['released'].beginning is not None
        decayed = runs['released, layer-wise decay'].config.optim_wrapper
        assert decayed.constructor == 'LayerDecayConstructor'
        assert decayed.paramwise_cfg == {'custom_keys': {'classifier': {'lr_mult': 10}}, 'layer_decay_rate': 0.75}


def test_look_alikes_come_from_the_part_loss(tiny_config: Config) -> None:
    config = on_tiny_data(Config.fromfile(ABLATIONS / 'look-alikes_toy-vit_islands.py'), tiny_config)
    config.default_hooks.checkpoint = None
    del config.default_hooks.results
    losses = {}
    for ratio in (0.0, 0.5):
        config.model.losses.bridging[3].look_alike_ratio = ratio
        config.experiment_name += str(ratio)
        runner = Runner.from_cfg(config)
        runner.train()
        losses[ratio] = runner.message_hub.get_scalar('train/loss_caption').data[0][-1]
    assert losses[0.0] != losses[0.5]
