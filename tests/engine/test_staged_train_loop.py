import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_runs import different, going_on, make_runner, set_epochs, train
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cmdg_plugin.checkpoints.publishing import publish_model
from cmdg_plugin.engine.stages import Stage


def final_weights(runner: Runner) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in runner.model.state_dict().items()}


@pytest.fixture
def kept(tiny_config: Config) -> Config:
    tiny_config.default_hooks.checkpoint.max_keep_ckpts = -1
    # A term that keeps something of its own from step to step.
    tiny_config.model.losses.bridging.append(
        dict(type='IdentityMemoryLoss', name='memory', inputs=dict(features='global_shared'))
    )
    return tiny_config


class WholeRun:
    """What a run that was never interrupted leaves: its folder, weights and scores."""

    def __init__(self, config: Config) -> None:
        recorder = Recorder()
        runner = train(config, recorder)
        self.folder, self.weights, self.scores = Path(runner.work_dir), final_weights(runner), recorder.scores


_whole_runs: list[WholeRun] = []


@pytest.fixture
def whole_run(kept: Config) -> WholeRun:
    """The run of `kept`, trained once; do not write into its folder."""
    if not _whole_runs:
        _whole_runs.append(WholeRun(kept))
    return _whole_runs[0]


def epochs_by_stage(config: Config) -> list[tuple[str, int]]:
    """Stage of every epoch of a run, and the epoch's number in it."""
    return [(stage.name, number) for stage in config.train_cfg.stages for number in range(stage.epochs)]


class Recorder(Hook):
    """Writes down what happens, and the learning rate of every epoch."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.rates: dict[str, list[float]] = {}
        self.trained: dict[str, set[str]] = {}
        self.epochs: list[tuple[str, int]] = []

    def before_stage(self, runner: Runner, stage: Stage) -> None:
        self.events.append(f'before {stage.name}')

    def after_stage(self, runner: Runner, stage: Stage) -> None:
        self.events.append(f'after {stage.name}')

    def before_train_epoch(self, runner: Runner) -> None:
        stage = runner.train_loop.stage.name
        self.epochs.append((stage, runner.model.stage_epoch))
        self.rates.setdefault(stage, []).append(runner.optim_wrapper.param_groups[0]['lr'])
        self.before = final_weights(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        now = runner.model.state_dict()
        changed = {name for name, value in now.items() if not torch.equal(value, self.before[name])}
        self.trained.setdefault(runner.train_loop.stage.name, set()).update(name.split('.')[0] for name in changed)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self.events.append(f'evaluated after {runner.epoch}')
        self.scores = metrics


def test_whole_run_visits_stages_in_order_and_trains_what_they_name(tiny_config: Config) -> None:
    tiny_config.train_cfg.val_before_training = True
    recorder = Recorder()
    runner = train(tiny_config, recorder)
    assert recorder.events == [
        'evaluated after 0',
        'before warmup',
        'after warmup',
        'before prompt',
        'after prompt',
        'before bridging',
        'evaluated after 7',
        'after bridging',
    ]
    assert recorder.trained == {
        'warmup': {'backbone', 'head'},
        'prompt': {'prompts'},
        'bridging': {'backbone', 'head', 'memory'},
    }
    assert runner.model.memory.filled.all()
    assert recorder.epochs == epochs_by_stage(tiny_config)


def test_an_epoch_may_end_early_with_other_batches_each_time(tiny_config: Config) -> None:
    """MMEngine's own way, a shorter dataset, would show samplers the first domain alone, or nothing of it."""

    class Seen(Hook):
        def __init__(self) -> None:
            self.images: list[tuple[str, frozenset[int]]] = []

        def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, **kwargs: Any) -> None:
            rows = data_batch.get('image_index')
            rows = [sample.image_index for sample in data_batch['data_samples']] if rows is None else rows.tolist()
            self.images.append((runner.train_loop.stage.name, frozenset(rows)))

    tiny_config.train_dataloader.num_batch_per_epoch = 1
    tiny_config.merge_from_dict({'train_cfg.stages.1.train_dataloader': {'num_batch_per_epoch': 2, 'batch_size': 4}})
    for stage in tiny_config.train_cfg.stages:
        stage.epochs = 2
    tiny_config.val_cfg = tiny_config.val_dataloader = tiny_config.val_evaluator = None
    runner, seen = make_runner(tiny_config), Seen()
    runner.register_hook(seen)
    runner.train()
    assert [name for name, _ in seen.images] == ['warmup'] * 2 + ['prompt'] * 4 + ['bridging'] * 2
    assert runner.max_iters == runner.iter == 8
    assert len(set(seen.images)) == 8
    tiny_config.train_dataloader.num_batch_per_epoch = 0
    with pytest.raises(ValueError, match='num_batch_per_epoch must be a number of batches, got 0'):
        make_runner(tiny_config, name='none').train()


def test_learning_rates_are_those_of_the_method(tiny_config: Config, golden: dict[str, np.ndarray]) -> None:
    """Three epochs of warm-up, then one each of the others is enough to see that schedules start anew in each stage."""
    tiny_config.optim_wrapper.optimizer.lr = 5e-6
    set_epochs(tiny_config, 3, 120, 2)
    tiny_config.default_hooks.checkpoint.interval = -1
    recorder = Recorder()
    train(tiny_config, recorder)
    assert recorder.rates['warmup'] == pytest.approx(golden['lr_warmup_expected'], rel=1e-9)
    assert recorder.rates['prompt'] == pytest.approx(golden['lr_prompt_expected'], rel=1e-9)
    assert recorder.rates['bridging'] == pytest.approx(golden['lr_bridging_expected'][:2], rel=1e-9)


# Inside and at the end of the warm-up, inside and at the end of the prompt stage, inside the bridging.
@pytest.mark.parametrize('epoch', [1, 2, 4, 5, 6])
def test_resume_from_any_epoch_gives_the_same_bits(kept: Config, whole_run: WholeRun, epoch: int) -> None:
    config = going_on(kept, whole_run.folder / f'epoch_{epoch}.pth')
    recorder = Recorder()
    runner = train(config, recorder, name=f'resumed_{epoch}')
    assert recorder.epochs == epochs_by_stage(kept)[epoch:]
    assert not different(runner.model.state_dict(), whole_run.weights)


def test_augmentation_on_the_device_is_the_same_for_any_workers_and_resumes_exactly(tiny_config: Config) -> None:
    tiny_config.train_cfg.device_augmentation = True
    tiny_config.default_hooks.checkpoint.max_keep_ckpts = -1
    runner = make_runner(tiny_config)
    assert [type(t).__name__ for t in runner.train_loop.dataset.pipeline.transforms] == [
        *('LoadImageFromFile', 'Resize', 'PackInputs')
    ]
    augmentation = runner.model.data_preprocessor.augmentation
    assert {name: step.prob for name, step in augmentation.steps.items()} == {'flip': 0.5}
    runner.train()
    expected = final_weights(runner)
    still = copy.deepcopy(tiny_config)
    still.merge_from_dict({'train_dataloader.dataset.pipeline.2.prob': 0.0})
    workers = copy.deepcopy(tiny_config)
    workers.train_dataloader.num_workers = 2
    resumed = copy.deepcopy(tiny_config)
    resumed.merge_from_dict({'resume': True, 'load_from': f'{runner.work_dir}/epoch_6.pth'})
    for name, config, same in (('still', still, False), ('workers', workers, True), ('resumed', resumed, True)):
        other = train(config, name=name)
        assert same == (not different(other.model.state_dict(), expected)), name


HARD = {'type': 'HardIdentitySampler', 'num_instances': 2, 'text': 'captions'}
GRAPH = {'type': 'GraphIdentitySampler', 'num_instances': 2, 'num_neighbors': 3}


def with_sampler(config: Config, sampler: dict) -> Config:
    """The run with another sampler, and the hook that prepares it in the warm-up."""
    config.train_dataloader.sampler = sampler
    config.custom_hooks.append({**config.custom_hooks[0], 'type': 'StagePreparationHook', 'stage': 'warmup'})
    return config


@pytest.mark.parametrize('sampler', [HARD, GRAPH])
def test_resume_amid_stages_with_batches_of_look_alikes_gives_the_same_bits(kept: Config, sampler: dict) -> None:
    config = with_sampler(kept, sampler)
    runner = train(config)
    expected = final_weights(runner)
    for epoch in (1, 6):
        config.merge_from_dict({'resume': True, 'load_from': f'{config.work_dir}_run/epoch_{epoch}.pth'})
        resumed = train(config, name=f'resumed_{epoch}')
        assert not different(resumed.model.state_dict(), expected)
    assert 'Batches of look-alikes composed in' in next(Path(runner.work_dir).rglob('*.log')).read_text()


class Batches(Hook):
    """Writes down the identities of every image batch."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.drawn: dict[str, list[list[int]]] = {}

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict | None = None) -> None:
        if 'data_samples' in data_batch:
            labels = [int(sample.gt_label) for sample in data_batch['data_samples']]
            self.drawn.setdefault(runner.train_loop.stage.name, []).append(labels)


def test_batches_hold_those_whom_the_model_finds_alike(tiny_config: Config) -> None:
    """Distances by hand, from the model at the epoch's beginning: the batch is somebody with its nearest three."""
    runner = make_runner(with_sampler(tiny_config, {**HARD, 'text': 'prompts', 'text_weight': 1e6}))
    with pytest.raises(ValueError, match=r"HardIdentitySampler of stage 'warmup' compares identities by their prompts"):
        runner.train()
    tiny_config.train_cfg.stages[0].train_dataloader = {'sampler': {'type': 'IdentitySampler', '_delete_': True}}
    batches = Batches()
    runner = train(tiny_config, batches, name='prompts')
    prompts = torch.nn.functional.normalize(runner.model.stages['bridging'].prompt_features, dim=1)
    nearest = torch.cdist(prompts, prompts).fill_diagonal_(9).topk(3, largest=False).indices
    possible = {tuple(sorted([anchor, *row])) for anchor, row in enumerate(nearest.tolist())}
    assert batches.drawn['bridging']
    assert all(tuple(sorted(set(labels))) in possible for labels in batches.drawn['bridging'])


def test_single_stage_runs_alone_from_a_checkpoint(kept: Config, whole_run: WholeRun) -> None:
    config = copy.deepcopy(kept)
    config.load_from = str(whole_run.folder / 'epoch_5.pth')
    config.merge_from_dict({'train_cfg.stages.0.epochs': 0, 'train_cfg.stages.1.epochs': 0})
    recorder = Recorder()
    train(config, recorder, name='alone')
    assert recorder.events == ['before bridging', 'evaluated after 2', 'after bridging']


def test_resume_after_the_last_epoch_still_evaluates(kept: Config, whole_run: WholeRun) -> None:
    config = going_on(kept, whole_run.folder / 'epoch_7.pth')
    recorder = Recorder()
    runner = train(config, recorder, name='evaluated')
    assert recorder.events == ['evaluated after 7']
    assert not different(runner.model.state_dict(), whole_run.weights)
    assert recorder.scores == whole_run.scores


@pytest.mark.parametrize('changes', [{'train_cfg.stages.0.epochs': 1}, {'train_cfg.stages.1.epochs': 6}])
def test_resume_with_another_stage_list_is_refused(kept: Config, whole_run: WholeRun, changes: dict) -> None:
    """A longer stage would have had other learning rates from its first epoch on."""
    config = going_on(kept, whole_run.folder / 'epoch_4.pth')
    config.merge_from_dict(changes)
    with pytest.raises(ValueError, match=r"saved after epoch 2 of stage 'prompt' of a run of 2 warmup \+ 3 prompt"):
        train(config, name='other')


def test_resume_on_sources_in_another_order_is_refused(kept: Config, whole_run: WholeRun) -> None:
    config = going_on(kept, whole_run.folder / 'epoch_2.pth')
    config.train_dataloader.dataset.sources.reverse()
    with pytest.raises(ValueError, match='trained on the sources alpha, beta; this run has beta, alpha'):
        train(config, name='reversed')


def test_stages_that_leave_the_tower_alone_are_not_evaluated(tiny_config: Config) -> None:
    tiny_config.train_cfg.val_interval = 1
    recorder = Recorder()
    train(tiny_config, recorder)
    evaluated = [event for event in recorder.events if event.startswith('evaluated')]
    assert evaluated == [f'evaluated after {epoch}' for epoch in (1, 2, 6, 7)]


@pytest.mark.parametrize('interval', ['often', 0])
def test_an_interval_that_is_not_a_number_of_epochs_is_refused(tiny_config: Config, interval: object) -> None:
    tiny_config.train_cfg.val_interval = interval
    with pytest.raises(ValueError, match='val_interval must be a number of epochs or None'):
        train(tiny_config)


def test_bridging_without_trained_prompts_is_said(tiny_config: Config) -> None:
    tiny_config.merge_from_dict({'train_cfg.stages.1.epochs': 0, 'train_cfg.stages.2.epochs': 1})
    runner = train(tiny_config)
    text = next(Path(runner.work_dir).rglob('*.log')).read_text()
    assert 'No prompt stage came before' in text


def test_checkpoint_of_other_identities_is_refused(kept: Config, whole_run: WholeRun) -> None:
    config = copy.deepcopy(kept)
    config.load_from = str(whole_run.folder / 'epoch_2.pth')
    del config.train_dataloader.dataset.sources[1]
    with pytest.raises(ValueError, match=r'(?s)12.*6|6.*12'):
        train(config, name='fewer')


def test_unknown_stage_is_refused_before_any_data_is_read(tiny_config: Config) -> None:
    tiny_config.train_cfg.stages[1].name = 'prompting'
    tiny_config.train_dataloader.dataset.sources = []
    with pytest.raises(
        ValueError, match=r"'prompting', which the model does not know; it knows warmup, prompt, bridging"
    ):
        train(tiny_config)


def test_trainable_part_that_does_not_exist_is_refused_before_training(tiny_config: Config) -> None:
    tiny_config.train_cfg.stages[2].trainable = ['backbone.visuals']
    with pytest.raises(ValueError, match=r"'bridging' trains 'backbone.visuals'"):
        train(tiny_config)


def test_a_term_that_no_hook_lets_begin_is_refused_before_training(tiny_config: Config) -> None:
    term = {'type': 'IdentityMemoryLoss', 'name': 'memory', 'inputs': {'features': 'global_shared'}}
    tiny_config.model.losses.warmup.append(term)
    with pytest.raises(ValueError, match=r"Stage 'warmup' computes what its batches need .* no hook lets it"):
        train(tiny_config)


def test_a_stage_that_no_hook_prepares_is_refused_before_training(tiny_config: Config) -> None:
    # A hook for the stage, but not one that prepares it.
    tiny_config.custom_hooks[-1] = dict(type='WeightAveragingHook', stage='bridging')
    with pytest.raises(ValueError, match=r"Stage 'bridging' computes what its batches need .* no hook lets it"):
        train(tiny_config)


def test_mistake_in_a_later_optimizer_shows_before_training(tiny_config: Config) -> None:
    tiny_config.train_cfg.stages[2].optim_wrapper = {'optimizer': {'lrate': 1}}
    runner = make_runner(tiny_config)
    with pytest.raises(TypeError, match='lrate'):
        runner.train()
    assert not list(Path(runner.work_dir).glob('*.pth'))


def test_sampler_learns_the_batch_size_and_may_not_contradict_it(tiny_config: Config) -> None:
    tiny_config.train_dataloader.batch_size = 4
    loaders = make_runner(tiny_config).build_train_loop(tiny_config.train_cfg).loaders
    assert loaders['warmup'].sampler.batch_size == 4
    tiny_config.train_dataloader.sampler.batch_size = 8
    with pytest.raises(ValueError, match='batch_size is 4, but its sampler composes batches of 8'):
        train(tiny_config, name='torn')


def test_every_log_line_of_a_stage_names_it(tiny_config: Config) -> None:
    runner = train(tiny_config)
    lines = next(Path(runner.work_dir).rglob('*.log')).read_text().splitlines()
    training = [line for line in lines if 'Epoch(train)' in line or 'Saving checkpoint' in line]
    assert training
    assert all(any(f'[{stage}]' in line for stage in ('warmup', 'prompt', 'bridging')) for line in training)
    scalars = next(Path(runner.work_dir).rglob('scalars.json')).read_text()
    assert '"bridging/loss_part"' in scalars


def test_nan_in_a_loss_stops_the_run(tiny_config: Config) -> None:
    class Poison(Hook):
        def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
            if runner.epoch == 1:
                with torch.no_grad():
                    runner.model.backbone.norm_shared.weight.fill_(float('nan'))

    runner = make_runner(tiny_config)
    runner.register_hook(Poison())
    with pytest.raises(FloatingPointError, match=r"Stage 'warmup': .*loss_id_shared.* is not a finite number"):
        runner.train()
    assert (Path(runner.work_dir) / 'epoch_1.pth').is_file()


def test_a_gradient_that_is_not_finite_is_not_saved(tiny_config: Config) -> None:
    """The loss of an epoch's last step is finite, its gradient is not: the weights must not reach a checkpoint."""

    class Poison(Hook):
        def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
            if runner.epoch == 1 and batch_idx == len(runner.train_loop.dataloader) - 1:
                runner.model.head.classifier_width.weight.register_hook(lambda gradient: gradient * float('nan'))

    runner = make_runner(tiny_config)
    runner.register_hook(Poison())
    with pytest.raises(FloatingPointError, match=r'the gradient of head\.classifier_width\.weight is not'):
        runner.train()
    assert [path.name for path in Path(runner.work_dir).glob('*.pth')] == ['epoch_1.pth']
    assert all(value.isfinite().all() for value in runner.model.state_dict().values())


def test_weights_that_are_not_numbers_are_not_saved(tiny_config: Config) -> None:
    class Poison(Hook):
        priority = 'VERY_HIGH'

        def after_train_epoch(self, runner: Runner) -> None:
            if runner.epoch == 1:
                with torch.no_grad():
                    runner.model.backbone.norm_shared.bias[0] = float('nan')

    runner = make_runner(tiny_config)
    runner.register_hook(Poison())
    with pytest.raises(FloatingPointError, match=r'No checkpoint is written.*backbone\.norm_shared\.bias'):
        runner.train()
    assert [path.name for path in Path(runner.work_dir).glob('*.pth')] == ['epoch_1.pth']


def test_files_that_nothing_can_be_resumed_from_are_refused_in_the_users_words(tiny_config: Config) -> None:
    tiny_config.train_cfg.stages = tiny_config.train_cfg.stages[:1]
    train(tiny_config)
    path = Path(f'{tiny_config.work_dir}_run') / 'epoch_1.pth'
    published = publish_model(path, path.with_name('published.pth'))
    tiny_config.update(resume=True, load_from=str(published))
    with pytest.raises(ValueError, match='it lacks iter, optimizer, message_hub, as published files'):
        train(tiny_config, name='published')
    tiny_config.load_from = str(path)
    tiny_config.optim_wrapper.optimizer = {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9}
    with pytest.raises(ValueError, match='another optimizer'):
        train(tiny_config, name='sgd')


def test_a_resumed_run_says_what_it_changes(tiny_config: Config) -> None:
    tiny_config.train_cfg.stages = tiny_config.train_cfg.stages[:1]
    train(tiny_config)
    tiny_config.update(resume=True, load_from=f'{tiny_config.work_dir}_run/epoch_1.pth')
    tiny_config.optim_wrapper.optimizer.lr = 2e-3
    tiny_config.train_dataloader.batch_size = 4
    runner = train(tiny_config, name='changed')
    log = next(Path(runner.work_dir).rglob('*.log')).read_text()
    assert 'optim_wrapper.optimizer.lr' in log
    assert 'it counts from the next stage' in log
    assert 'train_dataloader.batch_size' in log
    tiny_config.randomness.seed = 5
    with pytest.raises(ValueError, match='what a run draws follows from its seed'):
        train(tiny_config, name='reseeded')


def test_built_dataloader_is_refused(tiny_config: Config) -> None:
    runner = make_runner(tiny_config)
    with pytest.raises(TypeError, match='needs train_dataloader as settings'):
        runner.build_train_loop(dict(type='StagedTrainLoop', dataloader=[1], stages=tiny_config.train_cfg.stages))


def test_a_memory_that_would_start_from_prompts_nobody_learned_is_refused(tiny_config: Config) -> None:
    term = {'type': 'IdentityMemoryLoss', 'name': 'memory', 'inputs': {'features': 'global_shared'}, 'start': 'prompts'}
    tiny_config.model.losses.warmup.append(term)
    with pytest.raises(ValueError, match=r"The term 'memory' of stage 'warmup' compares identities by their prompts"):
        train(tiny_config)
