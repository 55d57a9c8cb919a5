"""A staged model with parts that belong to the training identities."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from cmdg_plugin.models.losses import LossTerms
from cmdg_plugin.models.same_model import check_same_model
from cmdg_plugin.models.staged_model import StagedModel, build_part
from cmdg_plugin.models.training_images import TrainingImages
from cmdg_plugin.regions import PARTS

IDENTITY_PARTS = ('head', 'prompts', 'memory')
"""Parts of the model that belong to the training identities."""

TRAINING_PARTS = (*IDENTITY_PARTS, 'losses')
"""Parts of the model that features do without."""


class IdentityModel(StagedModel):
    """Base of models whose head, prompts and memory bank are built once the training identities are known.

    `bind_identities` builds them when training begins. Without it the model extracts features, and leaves those parts
    of a checkpoint aside. A bank is built where a loss term reads it or captions.

    Args:
        backbone: Config of the text-aware backbone.
        parts: Configs of head, prompts and memory, by these names; sizes are filled in.
        losses: For each stage, its loss terms (see `LossTerms`).
        data_preprocessor: Config of the data preprocessor.
        on_nonfinite: `raise` stops at a loss or gradient that is NaN or infinite, `skip` leaves the batch out and
            counts it.
        init_cfg: MMEngine's initialization config.
    """

    # No buffers, though they follow the model to its device: they come and go while the run lasts, and whoever keeps a
    # copy of the model (averaged weights) or walks over its buffers (data parallelism) counts on finding the same ones.
    handed_over: ClassVar[tuple[str, ...]] = ('sample_identities', 'sample_domains', 'identity_domains')
    sample_identities: Tensor | None
    sample_domains: Tensor | None
    identity_domains: Tensor | None

    def __init__(
        self,
        backbone: dict[str, Any],
        parts: dict[str, dict[str, Any]],
        losses: dict[str, list[dict[str, Any]]] | None,
        data_preprocessor: dict[str, Any],
        on_nonfinite: str,
        init_cfg: dict[str, Any] | None,
    ) -> None:
        super().__init__(losses, data_preprocessor, on_nonfinite, init_cfg)
        self.backbone = build_part(backbone)
        self.head: Any = None
        self.prompts: Any = None
        self.memory: Any = None
        self.part_configs = parts
        self._data_sizes: dict[str, int] = {}
        for name in self.handed_over:
            setattr(self, name, None)

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
        if self.sample_identities is not None:
            bound = (self.sample_identities, cast(Tensor, self.sample_domains))
            if not all(torch.equal(old.cpu(), new) for old, new in zip(bound, images, strict=False)):
                raise ValueError(
                    f'The model is bound to {len(self.sample_identities)} images and cannot be bound to '
                    f'{len(images.identities)} others; build a new one.'
                )
            return
        self.sample_identities, self.sample_domains, self.identity_domains = images
        self._data_sizes = {**images.counts, 'width': self.backbone.width, 'embed_dim': self.backbone.embed_dim}
        for part, arguments in self._part_arguments().items():
            setattr(self, part, build_part({**arguments, **self.part_configs[part]}))
        for terms in self.losses.values():
            cast(LossTerms, terms).bind_data(**self._data_sizes)
        self._never_trained = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}

    def _part_arguments(self) -> dict[str, dict[str, Any]]:
        """What the data and the backbone decide about the parts that this model is to have."""
        sizes = self._data_sizes
        arguments: dict[str, dict[str, Any]] = {
            'head': {name: sizes[name] for name in ('num_identities', 'width', 'embed_dim')},
            'prompts': {
                **{name: sizes[name] for name in ('num_identities', 'num_domains')},
                'text_width': self.backbone.text_width,
            },
        }
        reads = [field for terms in self.losses.values() for field in cast(LossTerms, terms).reads]
        if any(field.startswith(('bank', 'caption_')) for field in reads):
            arguments['memory'] = {
                'num_samples': sizes['num_samples'],
                'num_parts': len(PARTS),
                'dim': sizes['embed_dim'],
                # A frozen text tower encodes captions anew on a resume: checkpoints need not hold them. Those of a
                # tower that trains are running averages.
                'save_text': self.trains_text,
            }
        return arguments

    @property
    def trains_text(self) -> bool:
        """Whether blocks of the text tower may train."""
        return getattr(self.backbone, 'text_finetune_layers', 0) > 0

    def check_stage(self, stage: str) -> None:
        """Also let the terms look at the size of the training data."""
        super().check_stage(stage)
        if self._data_sizes and stage in self.losses:
            cast(LossTerms, self.losses[stage]).check_data(**self._data_sizes)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> 'IdentityModel':
        super()._apply(fn, recurse)
        for name in self.handed_over:
            value = getattr(self, name)
            setattr(self, name, None if value is None else fn(value))
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        check_same_model(state_dict, f'{prefix}backbone.', self.backbone)
        # What this model does without is left aside, without a warning for each weight.
        absent = [part for part in IDENTITY_PARTS if getattr(self, part) is None]
        if self.sample_identities is None:
            absent.append('losses')
        for key in [key for key in state_dict if key.startswith(tuple(f'{prefix}{part}.' for part in absent))]:
            del state_dict[key]
        if 'losses' in absent:
            state_dict.update({f'{prefix}losses.{name}': value for name, value in self.losses.state_dict().items()})
        super()._load_from_state_dict(state_dict, prefix, *args)
