import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.tiny_runs import set_epochs
from mmengine.config import Config

from cmdg_plugin.engine import estimating
from cmdg_plugin.engine.estimating import StageEstimate, estimate_stages


def test_every_stage_of_a_run_is_estimated_and_nothing_saved(tiny_config: Config) -> None:
    epochs = {stage.name: stage.epochs for stage in tiny_config.train_cfg.stages}
    estimates = {one.name: one for one in estimate_stages(tiny_config, steps=1)}
    assert {name: one.epochs for name, one in estimates.items()} == epochs
    for one in estimates.values():
        assert one.step > 0
        assert sum(one.shares.values()) == pytest.approx(1)
        assert one.bottleneck in one.shares
        assert one.seconds > one.epochs * one.steps * one.step
    # Each pass that the run makes is accounted for, once.
    assert set(estimates['prompt'].preparation) == {'images'}
    assert set(estimates['bridging'].preparation) == {'captions'}
    # A bank joins the weights in the last stage; prompts need the means of Adam for themselves alone.
    assert estimates['prompt'].checkpoint < estimates['warmup'].checkpoint < estimates['bridging'].checkpoint
    assert not list(Path(tiny_config.work_dir).rglob('*.pth'))


def test_odd_stages_are_estimated(tiny_config: Config) -> None:
    tiny_config.optim_wrapper.accumulative_counts = 3
    tiny_config.train_dataloader.num_batch_per_epoch = 2
    tiny_config.train_cfg.device_augmentation = True
    set_epochs(tiny_config, 4, 0, 0)
    tiny_config.default_hooks.checkpoint = {'type': 'CheckpointHook', 'interval': 3, 'by_epoch': False}
    (plain,) = estimate_stages(copy.deepcopy(tiny_config), steps=7)
    assert (plain.name, plain.epochs, plain.steps, plain.batch) == ('warmup', 4, 2, 8)
    # An average is kept beside the weights, from an epoch on that the shortened stage does not have.
    tiny_config.custom_hooks.append({'type': 'WeightAveragingHook', 'stage': 'warmup', 'start_epoch': 3})
    tiny_config.visualizer.name = tiny_config.experiment_name = f'{tiny_config.experiment_name}_averaged'
    (averaged,) = estimate_stages(tiny_config, steps=1)
    assert averaged.checkpoint > plain.checkpoint + 100_000


def test_seconds_of_a_stage_are_those_of_its_passes_and_epochs() -> None:
    one = StageEstimate('warmup', 3, 100, 64, {'images': 7.0}, epoch_start=2.0, each_epoch=1.0, step=0.5)
    assert one.seconds == 7 + 3 * (2 + 1 + 50)


def test_shares_of_a_step_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        SimpleNamespace(key='aten::mm', self_cpu_time_total=6e6, cpu_time_total=6e6),
        SimpleNamespace(key=estimating.LOSSES, self_cpu_time_total=9e6, cpu_time_total=2e6),
    ]
    shares = estimating._share_out(SimpleNamespace(key_averages=lambda: events), seconds=10.0, rest=0.5)
    assert shares == pytest.approx({'losses and bank': 0.1, 'towers and optimizer': 0.2, 'Python': 0.2})


@pytest.mark.parametrize(
    ('change', 'message'), [({'train_cfg': {'type': 'EpochBasedTrainLoop'}}, 'StagedTrainLoop'), ({}, 'at least 1')]
)
def test_what_cannot_be_estimated_is_refused(tiny_config: Config, change: dict, message: str) -> None:
    tiny_config.update(change)
    with pytest.raises(ValueError, match=message):
        estimate_stages(tiny_config, steps=0)
