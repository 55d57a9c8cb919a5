"""One run through several stages, each with its own trainable parts, optimizer, schedule and data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import Compose
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader, Dataset

from cmdg_plugin.datasets.samplers import HardIdentitySampler, tell_batch_size
from cmdg_plugin.engine.encoding import plain_model
from cmdg_plugin.engine.first_batches import FirstBatches
from cmdg_plugin.engine.hooks.stage_preparation_hook import StagePreparationHook
from cmdg_plugin.engine.hooks.stage_resume_hook import StageResumeHook
from cmdg_plugin.engine.identity_sources import check_source
from cmdg_plugin.engine.log_filters import stage_name_in_log, without_lines_per_parameter
from cmdg_plugin.engine.mixed_precision import fit_precision_to_device
from cmdg_plugin.engine.resuming import (
    begun_stages,
    check_optimizer,
    check_resume,
    compute_as_now,
    describe_position,
    say_changes,
)
from cmdg_plugin.engine.seeding import seed_epoch
from cmdg_plugin.engine.stage_logging import forget_losses
from cmdg_plugin.engine.stages import Stage, overlay, parse_stages
from cmdg_plugin.models import CMDGReID
from cmdg_plugin.models.augmentation import split_pipeline
from cmdg_plugin.models.data_preprocessor import ReIDDataPreprocessor
from cmdg_plugin.models.stages import PromptStage, TrainingStage
from cmdg_plugin.registry import DATASETS, LOOPS
from cmdg_plugin.saying import say, warn


@LOOPS.register_module()
class StagedTrainLoop(EpochBasedTrainLoop):
    """Epoch-based loop over stages (CMDG: image warm-up, identity prompts, domain bridging).

    The training set is built once and shared by all stages; its identity counts are given to the model before any
    optimizer is built. Entering a stage sets what is trainable, builds the stage's optimizer and schedules, swaps the
    dataloader and calls the hooks' `before_stage(runner, stage)`; leaving it calls `after_stage(runner, stage)`.
    Every epoch is seeded from the run's seed and its number, so a run resumed at any epoch continues bit by bit.

    Args:
        runner: The runner.
        dataloader: Settings shared by the stages' dataloaders. With `num_batch_per_epoch` an epoch ends after so many
            of its batches, which are others in each epoch.
        stages: One dict a stage: `name`, `epochs`, `trainable`, and optionally `optim_wrapper` and `train_dataloader`
            (laid over the run's own) and `param_scheduler`. A stage with 0 epochs is skipped.
        val_interval: Evaluate every so many epochs; `None` evaluates after the last one only.
        val_before_training: Whether to evaluate once before the first epoch.
        device_augmentation: Whether the random transforms of the training pipeline are done on the model's device, a
            batch at a time, rather than in the loader's workers, an image at a time.

    Attributes:
        loaders: Dataloader of each stage, by its name.
        resumed_run: Name of the run whose checkpoint was loaded, as that says.

    Raises:
        ValueError: If a stage is unknown to the model, or trains parameters that do not exist, or the interval is not
            a number of epochs.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: dict[str, Any],
        stages: Sequence[dict[str, Any]],
        val_interval: int | None = None,
        val_before_training: bool = False,
        device_augmentation: bool = False,
    ) -> None:
        if val_interval is not None and (not isinstance(val_interval, int) or val_interval < 1):
            raise ValueError(f'train_cfg.val_interval must be a number of epochs or None, got {val_interval!r}.')
        self.stages = parse_stages(stages, plain_model(runner.model).stage_names)
        self.dataset: Any = _build_dataset(dataloader)
        if device_augmentation:
            _augment_on_device(runner, self.dataset)
        _give_data_to_model(runner, self.dataset)
        self.loaders = {stage.name: self._build_loader(runner, dataloader, stage) for stage in self.stages}
        super().__init__(
            runner, self.loaders[self.stages[0].name], self.stages[-1].end, val_interval=val_interval or 10**9
        )
        self._max_iters = sum(stage.epochs * len(self.loaders[stage.name]) for stage in self.stages)
        self.val_before_training = val_before_training
        # Kept because the runner replaces its own settings by the built objects, which it does after this.
        self._optim_wrapper_cfg = fit_precision_to_device(runner.cfg.optim_wrapper.to_dict())
        runner.optim_wrapper = self._optim_wrapper_cfg
        self._prepared: Stage | None = None
        self._loaded_position: dict[str, Any] | None = None
        self.resumed_run: str | None = None
        self._check_stages()
        runner.register_hook(StageResumeHook())

    # ------------------------------------------------------------------ where the run stands

    @property
    def stage(self) -> Stage:
        """The stage that the next epoch belongs to, or the last one when all epochs are done."""
        return next((stage for stage in self.stages if self._epoch < stage.end), self.stages[-1])

    @property
    def resumed_within_stage(self) -> bool:
        """Whether the current stage goes on from a checkpoint that was saved inside it."""
        return self._loaded_position is not None and self._epoch > self.stage.start

    @property
    def resumed_from(self) -> Path:
        """Folder of the checkpoint that a resumed run goes on from."""
        checkpoint = self.runner.cfg.get('load_from')
        return Path(checkpoint).parent if checkpoint else Path(self.runner.work_dir)

    @property
    def stages_done(self) -> list[str]:
        """Names of the stages that this run, or the one that the weights come from, has trained to their end."""
        done = [stage.name for stage in self.stages if stage.end <= self._epoch]
        return [*begun_stages(self._loaded_position), *done]

    def prepare_to_load(self, checkpoint: dict[str, Any]) -> None:
        """Get ready for a checkpoint's optimizer state: build the optimizer of the stage it was saved in.

        Raises:
            ValueError: If the run is to be resumed and cannot go on from there.
        """
        resumes = bool(self.runner.cfg.get('resume'))
        if resumes:
            check_resume(checkpoint, self.stages, self.dataset.metainfo.get('fingerprints', {}))
            say_changes(checkpoint, self.runner.cfg.to_dict(), self.runner.cfg.get('load_from'))
        meta = checkpoint.get('meta', {})
        self._loaded_position = meta.get('stage_position')
        self.resumed_run = meta.get('experiment_name')
        epochs_done = meta.get('epoch', 0)
        if 0 < epochs_done <= self._max_epochs:
            saved_in = describe_position(self.stages, epochs_done)['stage']
            self._prepare(next(stage for stage in self.stages if stage.name == saved_in))
            if resumes:
                check_optimizer(checkpoint['optimizer'], self.runner.optim_wrapper)
                compute_as_now(checkpoint['optimizer'], self.runner.optim_wrapper)

    # ------------------------------------------------------------------ running

    def run(self) -> torch.nn.Module:
        """Train through all stages from where the run stands."""
        if self._epoch >= self._max_epochs:
            say(f'All {self._max_epochs} epochs are already done: nothing left to train.')
        self.runner.call_hook('before_train')
        if self._epoch >= self._max_epochs:
            # The last checkpoint is older than the last scores: a run that ended in between still owes them.
            self._validate_if_due()
        if self.val_before_training and self._epoch == 0 and self.runner.val_loop is not None:
            self.runner.val_loop.run()
        with stage_name_in_log(self.runner.logger, lambda: self.stage.name):
            while self._epoch < self._max_epochs and not self.stop_training:
                self._run_stage(self.stage)
        self.runner.call_hook('after_train')
        return self.runner.model

    def _run_stage(self, stage: Stage) -> None:
        if self._prepared is not stage:
            self._prepare(stage)
        if self._epoch == stage.start:
            forget_losses(self.runner.message_hub)
        # Epochs may be continued inside a stage: gradient accumulation counts this stage's iterations alone.
        done = (self._epoch - stage.start) * len(self.dataloader)
        self.runner.optim_wrapper.initialize_count_status(self.runner.model, done, stage.epochs * len(self.dataloader))
        self.runner.call_hook('before_stage', stage=stage)
        while self._epoch < stage.end and not self.stop_training:
            seed_epoch(self.runner.seed, self._epoch)
            plain_model(self.runner.model).start_epoch(self._epoch - stage.start, self.runner.seed, self._epoch)
            self.run_epoch()
            self._validate_if_due()
        self.runner.call_hook('after_stage', stage=stage)
        self._loaded_position = None

    def _validate_if_due(self) -> None:
        last = self._epoch == self._max_epochs
        # A stage that leaves the image tower alone has the scores of the one before it.
        due = self._epoch % self.val_interval == 0 and plain_model(self.runner.model).changes_features
        if self.runner.val_loop is not None and (last or due):
            self.runner.val_loop.run()

    def _prepare(self, stage: Stage) -> None:
        runner = self.runner
        model = plain_model(runner.model)
        model.start_stage(stage.name, stage.trainable)
        if runner.distributed:
            # DistributedDataParallel fixes at construction which parameters it synchronizes.
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
        runner.optim_wrapper = self._build_optimizer(stage)
        # The runner refuses to scale the rates while schedules of the previous stage are in place.
        runner.param_schedulers = None
        runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
        self.dataloader = self.loaders[stage.name]
        schedules = [{'end': stage.epochs, **s} if s.get('by_epoch', True) else s for s in stage.param_scheduler]
        runner.param_schedulers = runner.build_param_scheduler(schedules)
        self._prepared = stage
        say(
            f"Stage '{stage.name}': epochs {stage.start + 1} to {stage.end}, {len(self.dataloader)} iterations each, "
            f'{sum(p.numel() for p in model.parameters() if p.requires_grad):,} trainable parameters'
        )

    # ------------------------------------------------------------------ checks before any work

    def _check_stages(self) -> None:
        # A mistake in the last stage's settings must not show after hours of the first.
        model = plain_model(self.runner.model)
        for stage in self.stages:
            model.check_stage(stage.name, stage.trainable, self.dataset)
            self._check_preparation(stage, model)
            for term in model.losses[stage.name].starting_after(stage.epochs):
                warn(
                    f"Stage '{stage.name}' has {stage.epochs} epochs, and its term '{term}' starts after the last of "
                    'them: it never does. Lower its start_epoch, or train longer.'
                )
            self._build_optimizer(stage)

    def _check_preparation(self, stage: Stage, model: CMDGReID) -> None:
        sampler: Any = self.loaders[stage.name].sampler
        hard = isinstance(sampler, HardIdentitySampler)
        if hard and sampler.text is not None:
            self._check_source(sampler.text, type(sampler).__name__, stage, model)
        sources = model.losses[stage.name].identity_sources()
        for term, source in sources:
            self._check_source(source, f"The term '{term}'", stage, model)
        prepares = type(model.stages[stage.name]).prepare is not TrainingStage.prepare
        prepared = {hook.stage for hook in self.runner.hooks if isinstance(hook, StagePreparationHook)}
        if (prepares or hard or sources) and stage.name not in prepared:
            raise ValueError(
                f"Stage '{stage.name}' computes what its batches need when it begins, and no hook lets it: add "
                f"dict(type='StagePreparationHook', stage={stage.name!r}, pipeline=...) to custom_hooks. A list in a "
                'config or option replaces the one before, with the hooks in it.'
            )

    def _check_source(self, source: str, owner: str, stage: Stage, model: CMDGReID) -> None:
        before = [model.stages[each.name] for each in self.stages if each.end <= stage.start]
        # Weights that a run begins with may hold prompts.
        learned = any(isinstance(each, PromptStage) for each in before) or bool(self.runner.cfg.get('load_from'))
        check_source(source, owner, stage.name, self.dataset, learned or bool(self.runner.cfg.get('resume')))

    def _build_optimizer(self, stage: Stage) -> OptimWrapper:
        with without_lines_per_parameter(self.runner.logger):
            return self.runner.build_optim_wrapper(overlay(self._optim_wrapper_cfg, stage.optim_wrapper))

    def _build_loader(self, runner: Runner, shared: dict[str, Any], stage: Stage) -> DataLoader | FirstBatches:
        settings = {key: value for key, value in dict(shared).items() if key != 'dataset'}
        settings = overlay(settings, {k: v for k, v in stage.train_dataloader.items() if k != 'dataset'})
        view = stage.train_dataloader.get('dataset')
        dataset = DATASETS.build(dict(view), default_args={'dataset': self.dataset}) if view else self.dataset
        # Workers that outlive an epoch would carry their random state past its seed.
        settings['persistent_workers'] = False
        settings.setdefault('worker_init_fn', {'type': 'cmdg_plugin.seed_worker'})
        settings['sampler'] = tell_batch_size(settings['sampler'], settings['batch_size'])
        # MMEngine would cut the dataset short, which samplers of identities, who know all images, do not see.
        number = settings.pop('num_batch_per_epoch', None)
        if number is not None and (not isinstance(number, int) or number < 1):
            raise ValueError(f'train_dataloader.num_batch_per_epoch must be a number of batches, got {number!r}.')
        # The runner deep-copies the settings; a function is left alone, so the index is not copied.
        loader = runner.build_dataloader({**settings, 'dataset': {'type': lambda: dataset}}, seed=runner.seed)
        return loader if number is None else FirstBatches(loader, min(number, len(loader)))


def _build_dataset(dataloader: dict[str, Any]) -> Dataset:
    if not isinstance(dataloader, dict):
        raise TypeError(
            f'StagedTrainLoop needs train_dataloader as settings (a dict), because each stage changes them; '
            f'it got a {type(dataloader).__name__}.'
        )
    dataset = dataloader['dataset']
    if isinstance(dataset, dict):
        dataset = DATASETS.build(dataset)
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    return dataset


def _augment_on_device(runner: Runner, dataset: Any) -> None:
    """Move the random transforms of the pipeline into the model's data preprocessor."""
    preprocessor = plain_model(runner.model).data_preprocessor
    if not isinstance(preprocessor, ReIDDataPreprocessor):
        raise ValueError(f'device_augmentation needs a ReIDDataPreprocessor, not a {type(preprocessor).__name__}.')
    stay, steps = split_pipeline(dataset.pipeline.transforms)
    preprocessor.set_augmentation({'type': 'BatchAugmentation', 'steps': steps})
    dataset.pipeline = Compose(stay)
    say(f'On the device, a batch at a time: {", ".join(steps)}')


def _give_data_to_model(runner: Runner, dataset: Any) -> None:
    """Size the identity-specific parts of the model, and place them where the rest is."""
    model = plain_model(runner.model)
    model.bind_identities(dataset.identities, dataset.domains)
    if runner.distributed:
        runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
    else:
        model.to(get_device())
