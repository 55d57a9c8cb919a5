"""The CMDG model: composes backbone, head, prompts, memory bank, loss terms and the stages that train them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.nn import functional

from cmdg_plugin.models.backbones import TextAwareCLIP
from cmdg_plugin.models.cached_tensors import CachesTensors
from cmdg_plugin.models.data_preprocessor import ReIDDataPreprocessor
from cmdg_plugin.models.heads import ReIDHead
from cmdg_plugin.models.identity_features import identity_features
from cmdg_plugin.models.identity_parts import IDENTITY_PARTS, size_parts
from cmdg_plugin.models.losses import LossTerms
from cmdg_plugin.models.memory import CaptionMemoryBank
from cmdg_plugin.models.nonfinite import NonFiniteGuard
from cmdg_plugin.models.prompts import IdentityPrompt
from cmdg_plugin.models.same_model import check_same_model
from cmdg_plugin.models.stages import Preparation, TrainingStage
from cmdg_plugin.models.trainable import choose_trained
from cmdg_plugin.models.training_images import DataSizes, TrainingImages
from cmdg_plugin.models.utils import on_device
from cmdg_plugin.regions import GLOBAL
from cmdg_plugin.registry import MODELS

_STAGES = {
    'warmup': {'type': 'WarmupStage'},
    'prompt': {'type': 'PromptStage'},
    'bridging': {'type': 'BridgingStage'},
}


@MODELS.register_module()
class CMDGReID(BaseModel, CachesTensors):
    """Person re-identification across unseen domains (CMDG), trained in stages.

    A stage (`models/stages/`) computes named fields of a batch once; its loss terms, a list in the config, pick what
    they need. What belongs to the training identities is built by `bind_identities` when training begins. Without it
    the model extracts features, and leaves those parts of a checkpoint aside.

    Args:
        backbone: Config of the text-aware backbone.
        losses: For each stage, its loss terms (see `LossTerms`).
        head: Config of the head; sizes are filled in.
        prompts: Config of the identity prompts; sizes are filled in.
        memory: Config of the memory bank; sizes are filled in. There is none where no loss term reads it or captions.
        data_preprocessor: Config of the data preprocessor.
        on_nonfinite: `raise` stops at a loss or gradient that is NaN or infinite, `skip` leaves the batch out and
            counts it.
        init_cfg: MMEngine's initialization config.
        stages: Configs of further stages, by name; `warmup`, `prompt` and `bridging` are there.
        flip_test: Whether features for retrieval are averaged over an image and its mirror image, which takes twice
            the time. Training does not change.

    Raises:
        ValueError: If `losses` names a stage that is not there.
    """

    backbone: TextAwareCLIP
    data_preprocessor: nn.Module
    head: ReIDHead
    prompts: IdentityPrompt
    memory: CaptionMemoryBank
    image_features: Tensor | None
    """Region features (n, R, D) of the training images in `kept_rows`, from one stage to the next."""

    def __init__(
        self,
        backbone: dict[str, Any],
        losses: dict[str, list[dict[str, Any]]] | None = None,
        head: dict[str, Any] | None = None,
        prompts: dict[str, Any] | None = None,
        memory: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
        on_nonfinite: str = 'raise',
        init_cfg: dict[str, Any] | None = None,
        stages: dict[str, dict[str, Any]] | None = None,
        flip_test: bool = False,
    ) -> None:
        super().__init__(build_part(data_preprocessor or {'type': 'ReIDDataPreprocessor'}), init_cfg)
        # Module dicts, typed by what they hold.
        self.stages: Mapping[str, TrainingStage] = cast(Any, _build_stages({**_STAGES, **(stages or {})}))
        losses = losses or {}
        unknown = [name for name in losses if name not in self.stages]
        if unknown:
            raise ValueError(
                f'model.losses names stages {unknown}, but there are {list(self.stages)}: name further ones in '
                "model.stages, such as dict(mine=dict(type='MyStage'))."
            )
        built = {name: build_part({'type': 'LossTerms', 'terms': terms}) for name, terms in losses.items()}
        self.losses: Mapping[str, LossTerms] = cast(Any, nn.ModuleDict(built))
        self.backbone = build_part(backbone)
        self.part_configs = {
            'head': {'type': 'ReIDHead', **(head or {})},
            'prompts': {'type': 'IdentityPrompt', **(prompts or {})},
            'memory': {'type': 'CaptionMemoryBank', **(memory or {})},
        }
        for name in IDENTITY_PARTS:
            self.register_module(name, None)
        self.guard = NonFiniteGuard(on_nonfinite)
        self.flip_test = flip_test
        self.stage: str | None = None
        self.stage_epoch = 0
        self.image_features = None
        self._images: TrainingImages | None = None
        self._sizes: DataSizes | None = None
        self._never_trained: set[str] = set()

    # ------------------------------------------------------------------ the training data

    def bind_identities(
        self, identities: Sequence[int] | np.ndarray, domains: Sequence[int] | np.ndarray | None = None
    ) -> None:
        """Build the parts whose size the training data decides.

        Args:
            identities: Identity of each training image, (N,), numbered from 0 without gaps.
            domains: Domain of each training image, (N,), numbered likewise; None for a single domain.

        Raises:
            ValueError: If they are not numbered so, if an identity stands in two domains, or if the model is already
                bound to other data.
        """
        images = TrainingImages.number(identities, domains)
        if self._images is not None:
            if not all(torch.equal(old.cpu(), new) for old, new in zip(self._images, images, strict=True)):
                raise ValueError(
                    f'The model is bound to {len(self._images.identities)} images and cannot be bound to '
                    f'{len(images.identities)} others; build a new one.'
                )
            return
        self._images = images
        self._sizes = sizes = images.sizes(self.backbone.width, self.backbone.embed_dim)
        reads = {field for terms in self.losses.values() for field in terms.reads}
        sized = size_parts(
            self.part_configs, sizes, text_width=self.backbone.text_width, reads=reads, trains_text=self.trains_text
        )
        for part, config in sized.items():
            setattr(self, part, build_part(config))
        for terms in self.losses.values():
            terms.bind_data(sizes)
            terms.bind_backbone(self.backbone)
        self._never_trained = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}

    @property
    def images(self) -> TrainingImages:
        """Identities and domains of the training images.

        Raises:
            RuntimeError: If there are none yet.
        """
        if self._images is None:
            raise RuntimeError('The model has no training data: call bind_identities, as StagedTrainLoop does.')
        return self._images

    @property
    def kept_rows(self) -> slice | None:
        """Training images whose features this rank keeps: its share of a sharded memory bank, or None for all."""
        return self.memory.held if self.memory is not None and self.memory.sharded else None

    @property
    def trains_text(self) -> bool:
        """Whether blocks of the text tower may train."""
        return getattr(self.backbone, 'text_finetune_layers', 0) > 0

    @property
    def has_domain_prompts(self) -> bool:
        """Whether the config has a template for prompts that name the domain."""
        return self.part_configs['prompts'].get('domain_template') is not None

    # ------------------------------------------------------------------ stages

    @property
    def stage_names(self) -> list[str]:
        """Stages that this model has loss terms for."""
        return list(self.losses)

    @property
    def changes_features(self) -> bool:
        """Whether the current stage trains anything that images' features come from."""
        return any(parameter.requires_grad for parameter in self.backbone.parameters())

    def check_stage(self, stage: str, trainable: Sequence[str], dataset: Any = None) -> None:
        """Refuse a stage that cannot be trained as it is set, before anything is.

        Args:
            stage: Its name.
            trainable: What it trains: `image`, `text`, `head`, `prompts`, or beginnings of parameters' names.
            dataset: The training set; None where there is none yet.

        Raises:
            FileNotFoundError: If it reads texts and the backbone's tokenizer cannot be had.
            ValueError: If it trains what does not exist, or a loss term would find less than it needs.
        """
        trained = self._trained(stage, trainable)
        self.losses[stage].check_fields(self.stages[stage].provides(self))
        if self._sizes is not None:
            self.losses[stage].check_data(self._sizes)
        self.stages[stage].check(self, trained, dataset)
        if self.stages[stage].reads_text:
            # The first texts are read after the warm-up, too late to find out.
            self.backbone.tokenize(['a person'])

    def start_stage(self, stage: str, trainable: Sequence[str]) -> None:
        """Set what is trainable.

        Args:
            stage: The stage whose losses are computed from now on.
            trainable: What it trains, as `check_stage` takes it; all else is frozen.
        """
        self.check_stage(stage, trainable)
        if self.stage is not None and self.changes_features:
            # The stage before this one trained the image tower: what it saw of the images is history.
            self.image_features = None
        self.stage, self.stage_epoch = stage, 0
        trained = self._trained(stage, trainable)
        for name, parameter in self.named_parameters():
            parameter.grad = None
            parameter.requires_grad_(name in trained)

    def prepare_stage(self, preparation: Preparation) -> None:
        """Let the current stage and its loss terms compute what its batches need."""
        stage = self._current()
        # First, as a stage may let go of the images' features once it has prepared itself.
        self.losses[stage.name].begin(partial(identity_features, self, preparation), preparation.resumed)
        stage.prepare(self, preparation)

    def start_epoch(self, epoch: int, seed: int = 0, run_epoch: int = 0) -> None:
        """Say which epoch of the current stage begins, from 0, and the numbers that the device's draws come from.

        Args:
            epoch: The epoch within the stage.
            seed: The run's seed.
            run_epoch: The epoch within the run.
        """
        self.stage_epoch = epoch
        if isinstance(self.data_preprocessor, ReIDDataPreprocessor):
            self.data_preprocessor.start_epoch(seed, run_epoch)

    def stage_state(self) -> dict[str, Any]:
        """What a checkpoint must hold beside weights for the current stage to go on from it."""
        return {} if self.stage is None else self._current().state(self)

    def load_stage_state(self, checkpoint: Mapping[str, Any]) -> None:
        """Take what the stages keep from a checkpoint."""
        for stage in self.stages.values():
            stage.load_state(self, checkpoint)

    def parameter_names(self, side: str) -> frozenset[str]:
        """Names of the parameters of one side of the backbone, `image` or `text`."""
        of_side = self.backbone.image_parameters if side == 'image' else self.backbone.text_parameters
        chosen = {id(parameter) for parameter in of_side()}
        return frozenset(name for name, parameter in self.named_parameters() if id(parameter) in chosen)

    def _trained(self, stage: str, trainable: Sequence[str]) -> frozenset[str]:
        names = [name for name, _ in self.named_parameters() if name not in self._never_trained]
        meanings = {side: self.parameter_names(side) for side in ('image', 'text')}
        return choose_trained(stage, trainable, names, meanings)

    def _current(self) -> TrainingStage:
        if self.stage is None:
            raise RuntimeError('No stage was started: train with StagedTrainLoop, or call start_stage first.')
        return self.stages[self.stage]

    # ------------------------------------------------------------------ features

    def encode_regions(self, batch: dict[str, Any]) -> Tensor:
        """Encode a batch as its dataloader gives it; returns region features (R, B, D)."""
        return self.backbone.encode_image(self.data_preprocessor(batch)['inputs']).shared_regions

    def encode_retrieval(self, batch: dict[str, Any]) -> Tensor:
        """Encode a batch as its dataloader gives it; returns retrieval features (B, W + D) without a mirror image."""
        return self._join_global(*self._encode_global(self.data_preprocessor(batch)['inputs'], mirror=False))

    def encode_sentences(self, sentences: Sequence[str]) -> tuple[Tensor, int]:
        """Encode sentences; returns features (B, D) and how many sentences were cut."""
        tokens, num_cut = self.backbone.tokenize(list(sentences))
        return self.backbone.encode_text(on_device(tokens, self.backbone.norm_shared.weight.device)), num_cut

    def extract_features(self, inputs: Tensor | None) -> Tensor:
        """Return the L2-normalized retrieval features (B, W + D) of normalized images (B, 3, H, W)."""
        return self._join_global(*self._encode_global(inputs, self.flip_test))

    def extract_shared_features(self, inputs: Tensor | None) -> Tensor:
        """Return L2-normalized features (B, D), to be compared with sentences, of normalized images (B, 3, H, W)."""
        return functional.normalize(self._encode_global(inputs, self.flip_test)[1], dim=1)

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Do what `extract_features` does, under the name by which mmpretrain's inferencers ask."""
        return self.extract_features(inputs)

    @staticmethod
    def _join_global(width: Tensor, shared: Tensor) -> Tensor:
        return functional.normalize(torch.cat([width, shared], dim=1), dim=1)

    def _encode_global(self, inputs: Tensor | None, mirror: bool) -> tuple[Tensor, Tensor]:
        """Return global features in both widths, (B, W) and (B, D), averaged with those of mirror images if asked."""
        if inputs is None:
            raise ValueError('Features need images: the batch has no `inputs`.')
        views = [inputs, inputs.flip(-1)] if mirror else [inputs]
        encoded = [self.backbone.encode_image(view) for view in views]
        width = torch.stack([features.width_regions[GLOBAL].float() for features in encoded]).mean(0)
        shared = torch.stack([features.shared_regions[GLOBAL].float() for features in encoded]).mean(0)
        return width, shared

    # ------------------------------------------------------------------ MMEngine's interface

    def forward(
        self,
        inputs: Tensor | None = None,
        data_samples: list[Any] | None = None,
        mode: str = 'tensor',
        image_index: Tensor | None = None,
    ) -> Any:
        """Run the model.

        Args:
            inputs: Normalized images (B, 3, H, W).
            data_samples: Their data samples.
            mode: `tensor` returns retrieval features, `predict` stores them in the data samples, `loss` returns the
                current stage's named losses.
            image_index: Rows of the training set (B,), in place of images in the prompt stage.

        Returns:
            Features (B, W + D), the data samples, or a dict of losses.

        Raises:
            ValueError: If the mode is unknown.
        """
        if mode == 'loss':
            batch = {'inputs': inputs, 'data_samples': data_samples, 'image_index': image_index}
            return self.loss(**{name: value for name, value in batch.items() if value is not None})
        if mode == 'tensor':
            return self.extract_features(inputs)
        if mode == 'predict':
            for sample, feature in zip(data_samples or [], self.extract_features(inputs), strict=True):
                sample.set_field(feature, 'feature')
            return data_samples
        raise ValueError(f"mode must be 'tensor', 'predict' or 'loss', got {mode!r}.")

    def loss(self, **batch: Any) -> dict[str, Tensor]:
        """Return the current stage's weighted losses of a batch by name.

        Raises:
            RuntimeError: If no stage was started.
        """
        stage = self._current()
        fields = vars(stage.compute(self, batch))
        return self.losses[stage.name]({name: value for name, value in fields.items() if value is not None})

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum the losses, and stop (or note the batch as bad) if one is not finite; see the base class.

        Returns:
            The sum, and all numbers for the log, on the CPU.
        """
        total, log = super().parse_losses(losses)
        # All at once: each number that the check or the log asks for by itself makes the step wait for the device.
        numbers = torch.stack([value.detach().to(total.device) for value in log.values()]).cpu()
        self.guard.check(numbers[0], losses, self.stage)
        return total, dict(zip(log, numbers, strict=True))

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Train on a batch, unless it is bad and `on_nonfinite` is `skip`: then nothing is updated."""
        with self.guard.step(self, optim_wrapper.optimizer, self.stage):
            with optim_wrapper.optim_context(self):
                losses = self(**self.data_preprocessor(data, True), mode='loss')
            total, log = self.parse_losses(losses)
            if not self.guard.batch_is_bad:
                optim_wrapper.update_params(total)
        return log

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        check_same_model(state_dict, f'{prefix}backbone.', self.backbone)
        absent = [part for part in IDENTITY_PARTS if getattr(self, part) is None]
        if self._images is None:
            absent.append('losses')
        # Dropped, so that nobody is warned of each of them.
        beginnings = tuple(f'{prefix}{part}.' for part in absent)
        for key in [key for key in state_dict if key.startswith(beginnings)]:
            del state_dict[key]
        if 'losses' in absent:
            own = cast(nn.ModuleDict, self.losses).state_dict(prefix=f'{prefix}losses.')
            state_dict.update(own)
        super()._load_from_state_dict(state_dict, prefix, *args)


def build_part(config: dict[str, Any]) -> Any:
    """Build a part of this model: names without prefix are ours, also inside another project's config."""
    with MODELS.switch_scope_and_registry('cmdg_plugin') as registry:
        return registry.build(dict(config))


def _build_stages(configs: Mapping[str, dict[str, Any]]) -> nn.ModuleDict:
    stages = nn.ModuleDict()
    for name, config in configs.items():
        stage = build_part(config)
        if not isinstance(stage, TrainingStage):
            raise ValueError(f'model.stages.{name}: {config["type"]} is not a TrainingStage.')
        stage.name = name
        stages[name] = stage
    return stages
