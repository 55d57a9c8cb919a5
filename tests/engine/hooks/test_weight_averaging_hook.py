import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_runs import different, going_on, train
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from cmdg_plugin.checkpoints.publishing import strip_checkpoint
from cmdg_plugin.engine.hooks import WeightAveragingHook
from cmdg_plugin.registry import MODELS

STATISTICS = ('running_mean', 'running_var')


def averaging(config: Config, **settings: Any) -> Config:
    config = copy.deepcopy(config)
    config.custom_hooks.append({'type': 'WeightAveragingHook', 'stage': 'bridging', **settings})
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    return config


def checkpoint(runner: Runner, epoch: int = 7) -> dict[str, Any]:
    return torch.load(Path(runner.work_dir) / f'epoch_{epoch}.pth', weights_only=True)


def check_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert not different(one, other)


class Scores(Hook):
    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self.last = dict(metrics or {})


class ByHand(Hook):
    """Keeps the weights after every iteration of the averaged epochs."""

    def __init__(self, stage: str, start_epoch: int) -> None:
        self.stage, self.start_epoch = stage, start_epoch
        self.seen: list[dict[str, Tensor]] = []
        self.trained: set[str] = set()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if runner.model.stage == self.stage and runner.model.stage_epoch >= self.start_epoch:
            self.seen.append({name: value.clone() for name, value in runner.model.state_dict().items()})
            self.trained = {name for name, weight in runner.model.named_parameters() if weight.requires_grad}

    def mean(self, name: str) -> Tensor:
        return torch.stack([weights[name].double() for weights in self.seen]).mean(0).float()

    def running(self, name: str, momentum: float) -> Tensor:
        average = self.seen[0][name]
        for weights in self.seen[1:]:
            average = (1 - momentum) * average + momentum * weights[name]
        return average


@pytest.mark.parametrize('momentum', [None, 0.25])
def test_the_average_is_saved_and_the_weights_as_trained_beside_it(tiny_config: Config, momentum: float | None) -> None:
    average = {'type': 'ExponentialMovingAverage', 'momentum': momentum} if momentum else None
    by_hand = ByHand('bridging', 1)
    runner = train(averaging(tiny_config, start_epoch=1, average=average), by_hand)
    saved = checkpoint(runner)
    assert len(by_hand.seen) == len(runner.train_loop.loaders['bridging']) > 2
    last, averaged = by_hand.seen[-1], saved['state_dict']
    chosen = by_hand.trained | {name for name in last if name.endswith(STATISTICS)}
    assert {'head.neck_width.running_mean', 'backbone.norm_width.weight'} < chosen < set(last)
    assert not [name for name in chosen if name.startswith(('prompts', 'memory', 'backbone.clip.transformer'))]
    for name in chosen:
        expected = by_hand.running(name, momentum) if momentum else by_hand.mean(name)
        torch.testing.assert_close(averaged[name], expected, rtol=1e-5, atol=1e-6, msg=f'{name}: {{}}'.format)
    check_equal(saved['plain_weights'], {name: last[name] for name in saved['plain_weights']})
    assert set(saved['plain_weights']) == chosen
    assert 'interpolation' not in saved['meta']
    check_equal({n: v for n, v in averaged.items() if n not in chosen}, {n: last[n] for n in last.keys() - chosen})
    assert not torch.allclose(averaged['backbone.clip.visual.proj'], last['backbone.clip.visual.proj'], atol=1e-5)
    # What inference gets, and what a program that goes on with the trained model has.
    published = strip_checkpoint(saved)
    assert set(published) == {'meta', 'state_dict'}
    check_equal(published['state_dict'], {n: v for n, v in averaged.items() if n.startswith('backbone.')})
    check_equal(dict(runner.model.state_dict()), averaged)


def test_training_is_as_without_it_and_the_average_is_scored(tiny_config: Config, tiny_checkpoint: Path) -> None:
    scores = Scores()
    averaged = train(averaging(tiny_config), scores, name='averaged')
    saved, expected = checkpoint(averaged), torch.load(tiny_checkpoint, weights_only=True)['state_dict']
    check_equal({**saved['state_dict'], **saved['plain_weights']}, expected)
    # Tested from its checkpoint, by a run with the hook in its config and by one without.
    for config in (averaging(tiny_config), copy.deepcopy(tiny_config)):
        config.load_from = str(Path(averaged.work_dir) / 'epoch_7.pth')
        config.experiment_name += f'_test_{len(config.custom_hooks)}'
        assert Runner.from_cfg(config).test() == pytest.approx(scores.last)


class Scored(Hook):
    """Keeps the weights that are scored."""

    priority = 'LOWEST'

    def before_val_epoch(self, runner: Runner) -> None:
        self.weights = {name: value.clone() for name, value in runner.model.state_dict().items()}


def test_each_validation_sees_the_average_so_far(tiny_config: Config) -> None:
    config = averaging(tiny_config)
    config.train_cfg.val_interval = 1
    scored = Scored()
    check_equal(checkpoint(train(config, scored))['state_dict'], scored.weights)


def test_the_average_lies_between_the_trained_weights_and_the_pretrained_ones(
    tiny_config: Config, tmp_path: Path
) -> None:
    pretrained = pretrain(tiny_config, tmp_path)
    by_hand = ByHand('bridging', 1)
    runner = train(averaging(tiny_config, start_epoch=1, alpha=0.25), by_hand)
    saved = checkpoint(runner)
    found = saved['state_dict']
    # What is published, and moved back by hand, is to know of it.
    assert strip_checkpoint(saved)['meta']['interpolation'] == {'alpha': 0.25}
    known = {f'backbone.{name}' for name in runner.model.backbone.pretrained_names()}
    for name in by_hand.trained:
        expected = by_hand.mean(name)
        if name in known:
            expected = 0.75 * pretrained[name.removeprefix('backbone.clip.')] + 0.25 * expected
        torch.testing.assert_close(found[name], expected, rtol=1e-5, atol=1e-6, msg=f'{name}: {{}}'.format)
    assert known & by_hand.trained
    assert by_hand.trained - known
    # Whoever tests needs the checkpoint alone.
    config = averaging(tiny_config, alpha=0.25)
    config.model.backbone.pretrained, config.load_from = None, str(Path(runner.work_dir) / 'epoch_7.pth')
    config.experiment_name += '_test'
    assert Runner.from_cfg(config).test()


def pretrain(config: Config, folder: Path) -> dict[str, Tensor]:
    """Let a config start from a file of drawn weights, and return these by open_clip's names."""
    torch.manual_seed(5)
    state = MODELS.build({**config.model.backbone, '_scope_': 'cmdg_plugin'}).clip.state_dict()
    weights = {name: torch.randn_like(value) / 8 for name, value in state.items()}
    torch.save(weights, folder / 'pretrained.pt')
    config.model.backbone.pretrained = str(folder / 'pretrained.pt')
    return weights


@pytest.mark.parametrize(('stage', 'alpha'), [('bridging', 1.0), ('warmup', 1.0), ('bridging', 0.25)])
def test_a_resumed_run_goes_on_exactly(tiny_config: Config, stage: str, alpha: float, tmp_path: Path) -> None:
    """From within the average and from its end."""
    if alpha < 1:
        pretrain(tiny_config, tmp_path)
    config = averaging(tiny_config, stage=stage, alpha=alpha)
    whole = train(config, name='whole')
    expected = checkpoint(whole)
    for epoch in {'bridging': (6, 7), 'warmup': (1, 2)}[stage]:
        resumed = train(going_on(config, Path(whole.work_dir) / f'epoch_{epoch}.pth'), name=f'from_{epoch}')
        check_equal(dict(resumed.model.state_dict()), dict(whole.model.state_dict()))
        if epoch < 7:
            found = checkpoint(resumed)
            check_equal(found['state_dict'], expected['state_dict'])
            check_equal(found.get('plain_weights', {}), expected.get('plain_weights', {}))


def test_a_next_stage_begins_with_the_average(tiny_config: Config) -> None:
    class Beginning(Hook):
        def before_stage(self, runner: Runner, stage: Any) -> None:
            if stage.name == 'prompt':
                self.weights = {name: value.clone() for name, value in runner.model.state_dict().items()}

    beginning, by_hand = Beginning(), ByHand('warmup', 0)
    runner = train(averaging(tiny_config, stage='warmup'), beginning, by_hand)
    name = 'backbone.clip.visual.proj'
    torch.testing.assert_close(beginning.weights[name], by_hand.mean(name), rtol=1e-5, atol=1e-6)
    check_equal(beginning.weights, checkpoint(runner, 2)['state_dict'])
    assert 'plain_weights' not in checkpoint(runner, 3)


def test_a_run_that_is_resumed_without_it_goes_on_with_the_weights_as_trained(
    tiny_config: Config, tiny_checkpoint: Path
) -> None:
    averaged = train(averaging(tiny_config), name='averaged')
    again = train(going_on(tiny_config, Path(averaged.work_dir) / 'epoch_6.pth'), name='again')
    expected = torch.load(tiny_checkpoint, weights_only=True)['state_dict']
    check_equal(checkpoint(again)['state_dict'], expected)


@pytest.mark.parametrize(
    'average',
    [
        {'type': 'ExponentialMovingAvrage'},
        {'type': 'ExponentialMovingAverage', 'momentm': 0.1},
        {'type': 'ExponentialMovingAverage', 'momentum': 2.0},
        {'momentum': 0.1},
    ],
)
def test_an_average_that_cannot_be_built_is_named_before_anything_is_trained(average: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match='average must be the config of one of the averaged models of MMEngine'):
        WeightAveragingHook('bridging', average=average)


def test_wrong_settings_are_named(tiny_config: Config) -> None:
    with pytest.raises(ValueError, match='start_epoch must be a whole number from 0, got -1'):
        train(averaging(tiny_config, start_epoch=-1), name='negative')
    with pytest.raises(ValueError, match=r'alpha must lie between 0 and 1, got 1\.5'):
        train(averaging(tiny_config, alpha=1.5), name='share')
    with pytest.raises(ValueError, match=r'alpha 0\.5 moves weights back .* and model\.backbone\.pretrained is None'):
        train(averaging(tiny_config, alpha=0.5), name='random')
    with pytest.raises(ValueError, match="there is no stage 'briding', only warmup, prompt, bridging"):
        train(averaging(tiny_config, stage='briding'), name='unknown')
    twice = averaging(averaging(tiny_config))
    with pytest.raises(ValueError, match="both average 'bridging': leave one of them out"):
        train(twice, name='twice')
    twice.custom_hooks[-1] = {'type': 'EMAHook'}
    with pytest.raises(ValueError, match='EMAHook and WeightAveragingHook both average'):
        train(twice, name='ema')
    late = averaging(tiny_config, start_epoch=2)
    late.train_cfg.stages[0].epochs = late.train_cfg.stages[1].epochs = 1
    runner = train(late, name='late')
    assert 'nothing is averaged. Lower its start_epoch' in Path(runner.logger.log_file).read_text()
    assert 'plain_weights' not in checkpoint(runner, 4)
