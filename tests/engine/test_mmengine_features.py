"""MMEngine's own features on a staged run: averaging, accumulation, clipping, early stopping, profiling, back ends."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_runs import train
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import VISBACKENDS
from mmengine.runner import Runner
from mmengine.visualization import BaseVisBackend
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cmdg_plugin.engine.stages import Stage

STAGES = ('warmup', 'prompt', 'bridging')


def averaged(config: Config, **settings: Any) -> Config:
    config.custom_hooks.append({'type': 'EMAHook', 'momentum': 0.25, **settings})
    return config


class ByHand(Hook):
    """Averages all weights as the hook should."""

    def __init__(self) -> None:
        self.average: dict[str, torch.Tensor] = {}

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        for name, weight in runner.model.named_parameters():
            old = self.average.get(name)
            self.average[name] = weight.detach().clone() if old is None else 0.75 * old + 0.25 * weight.detach()


@pytest.mark.parametrize('update_buffers', [False, True])
def test_averaged_weights_are_scored_and_saved(tiny_config: Config, update_buffers: bool) -> None:
    config = averaged(tiny_config, update_buffers=update_buffers)
    by_hand = ByHand()
    runner = train(config, by_hand)
    saved = torch.load(Path(runner.work_dir) / 'epoch_7.pth', weights_only=True)['state_dict']
    for name, weight in by_hand.average.items():
        assert torch.allclose(saved[name], weight, atol=1e-6), name
    assert update_buffers or saved['memory.filled'].all()


def test_averaged_run_resumes_where_it_was(tiny_config: Config) -> None:
    config = averaged(tiny_config)
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    whole = train(config)
    expected = torch.load(Path(whole.work_dir) / 'epoch_7.pth', weights_only=True)
    for epoch in (3, 6):
        config.resume, config.load_from = True, str(Path(whole.work_dir) / f'epoch_{epoch}.pth')
        resumed = train(config, name=f'resumed_{epoch}')
        found = torch.load(Path(resumed.work_dir) / 'epoch_7.pth', weights_only=True)
        for part in ('state_dict', 'ema_state_dict'):
            different = [k for k, value in expected[part].items() if not torch.equal(value, found[part][k])]
            assert not different, (epoch, part)


class Steps(Hook):
    """Counts the optimizer's steps of each stage."""

    def __init__(self) -> None:
        self.steps: dict[str, int] = {}

    def before_stage(self, runner: Runner, stage: Stage) -> None:
        self.steps[stage.name] = 0
        optimizer = runner.optim_wrapper.optimizer
        optimizer.register_step_post_hook(lambda *_: self.steps.update({stage.name: self.steps[stage.name] + 1}))


def test_gradients_are_accumulated_within_a_stage(tiny_config: Config) -> None:
    """Three batches to a step; the last step of a stage takes what is left."""
    tiny_config.optim_wrapper.accumulative_counts = 3
    steps = Steps()
    runner = train(tiny_config, steps)
    sizes = {
        stage.name: stage.epochs * len(runner.train_loop.loaders[stage.name]) for stage in runner.train_loop.stages
    }
    assert steps.steps == {name: -(-size // 3) for name, size in sizes.items()}


def test_gradients_are_clipped_and_their_norm_logged(tiny_config: Config) -> None:
    tiny_config.optim_wrapper.clip_grad = {'max_norm': 1e-3}
    tiny_config.default_hooks.logger.interval = 1
    norms: list[float] = []

    class Norms(Hook):
        def before_stage(self, runner: Runner, stage: Stage) -> None:
            weights = [w for group in runner.optim_wrapper.param_groups for w in group['params']]
            runner.optim_wrapper.optimizer.register_step_pre_hook(
                lambda *_: norms.append(
                    torch.stack([w.grad.norm() for w in weights if w.grad is not None]).norm().item()
                )
            )

    runner = train(tiny_config, Norms())
    assert norms
    assert max(norms) < 1.001e-3
    logged = _tags(runner)
    assert {f'{stage}/grad_norm' for stage in STAGES} <= logged


def _tags(runner: Runner) -> set[str]:
    lines = next(Path(runner.work_dir).rglob('scalars.json')).read_text().splitlines()
    return {key for line in lines for key in json.loads(line)}


def test_tensorboard_shows_a_curve_per_stage(tiny_config: Config) -> None:
    tiny_config.default_hooks.logger.interval = 1
    tiny_config.visualizer.vis_backends = [{'type': 'LocalVisBackend'}, {'type': 'TensorboardVisBackend'}]
    runner = train(tiny_config)
    events = EventAccumulator(str(next(Path(runner.work_dir).rglob('events.*')).parent)).Reload()
    tags = set(events.Tags()['scalars'])
    assert {f'{stage}/{name}' for stage in STAGES for name in ('loss', 'lr')} | {'target/mAP'} <= tags
    assert 'loss' not in tags
    assert len(events.Scalars('prompt/loss')) == 3 * len(runner.train_loop.loaders['prompt'])


def test_any_back_end_gets_the_curves(tiny_config: Config) -> None:
    @VISBACKENDS.register_module(force=True)
    class NotebookBackend(BaseVisBackend):
        pages: list[dict] = []  # noqa: RUF012

        def _init_env(self) -> None:
            pass

        @property
        def experiment(self) -> 'NotebookBackend':
            return self

        def add_config(self, config: Config, **kwargs: Any) -> None:
            self.pages.append({'config': config})

        def add_scalars(self, scalar_dict: dict, step: int = 0, file_path: str | None = None, **kwargs: Any) -> None:
            self.pages.append(scalar_dict)

    tiny_config.default_hooks.logger.interval = 1
    tiny_config.visualizer.vis_backends = [{'type': 'mmengine.NotebookBackend', 'save_dir': 'unused'}]
    tiny_config.default_hooks.results = {'type': 'ResultsHook'}
    runner = train(tiny_config)
    seen = {key for page in NotebookBackend.pages for key in page}
    assert {'config', 'warmup/loss', 'prompt/loss', 'bridging/loss', 'target/R1'} <= seen
    assert not (Path(runner.work_dir) / 'curves.png').exists()


def test_rates_are_scaled_in_every_stage(tiny_config: Config) -> None:
    tiny_config.auto_scale_lr = {'enable': True, 'base_batch_size': 32}
    rates: dict[str, float] = {}

    class Rates(Hook):
        def before_stage(self, runner: Runner, stage: Stage) -> None:
            rates[stage.name] = runner.optim_wrapper.param_groups[0]['initial_lr']

    train(tiny_config, Rates())
    assert rates == pytest.approx({'warmup': 1e-3 / 4, 'prompt': 3.5e-4 / 4, 'bridging': 1e-3 / 4})


def test_early_stopping_ends_the_run_and_its_results_are_written(tiny_config: Config) -> None:
    tiny_config.train_cfg.val_interval = 1
    hook = {'type': 'EarlyStoppingHook', 'monitor': 'target/mAP', 'min_delta': 200, 'patience': 2, 'rule': 'greater'}
    tiny_config.custom_hooks.append(hook)
    tiny_config.default_hooks.results = {'type': 'ResultsHook'}
    runner = train(tiny_config)
    # A best score in the first epoch, then two without a better one; the prompt stage has none of its own.
    assert runner.epoch == 6
    assert (Path(runner.work_dir) / 'results.md').is_file()


def test_profiler_sees_the_steps(tiny_config: Config, capsys: pytest.CaptureFixture) -> None:
    settings = {'by_epoch': False, 'profile_times': 6, 'on_trace_ready': {'type': 'log_trace', 'sort_by': 'cpu_time'}}
    tiny_config.custom_hooks.append({'type': 'ProfilerHook', **settings})
    train(tiny_config)
    assert 'aten::' in capsys.readouterr().out
