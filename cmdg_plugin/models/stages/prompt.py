"""Stage 2, identity prompts: each identity learns its own sentence, the towers stand still."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from cmdg_plugin.models.memory import lookup_rows
from cmdg_plugin.models.stages.base import Preparation, TrainingStage
from cmdg_plugin.models.utils import gather_batch
from cmdg_plugin.regions import GLOBAL
from cmdg_plugin.registry import MODELS

if TYPE_CHECKING:
    from cmdg_plugin.models.cmdg_reid import CMDGReID


@dataclass
class PromptFields:
    """What a batch of cached images gives, of the batches of all ranks.

    Attributes:
        labels: Identities, (B,).
        domains: Domains, (B,).
        epoch: Epoch of the stage, from 0.
        global_shared: Cached global features of the images, (B, D).
        prompt_texts: Feature of the prompt of each image's identity, (B, D).
        domain_prompt_texts: The same with the domain in it; None without a template for it.
    """

    labels: Tensor
    domains: Tensor
    epoch: int
    global_shared: Tensor
    prompt_texts: Tensor
    domain_prompt_texts: Tensor | None = None


@MODELS.register_module()
class PromptStage(TrainingStage):
    """Identity-prompt learning (CMDG, intra-ID cross-modal regularization).

    Every training image is encoded once, when the stage begins; its epochs never run the image tower. The features stay
    with the model for the stage that comes next.
    """

    fields: ClassVar = PromptFields
    domain_fields = ('domain_prompt_texts',)
    reads_text = True

    def prepare(self, model: 'CMDGReID', preparation: Preparation) -> None:
        """Encode the images."""
        model.image_features = preparation.image_features(model.kept_rows)

    def compute(self, model: 'CMDGReID', batch: Mapping[str, Any]) -> PromptFields:
        """Encode the prompts of a batch of `image_index`; see the base class."""
        image_index: Tensor = batch['image_index']
        features = needed(model.image_features, 'features of the training images', 'PromptLearningHook')
        identities, domains, _ = model.images
        own, places = _each_once(identities[image_index])
        texts = [each[places] for each in encode_prompts(model, own) if each is not None]
        (everyone,), texts = gather_batch(image_index), list(gather_batch(*texts))
        first_row = None if model.kept_rows is None else model.kept_rows.start
        return PromptFields(
            identities[everyone],
            domains[everyone],
            model.stage_epoch,
            lookup_rows(features[:, GLOBAL], everyone, first_row),
            *texts,
        )


def _each_once(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Identities to encode, and the place of each label among them.

    One that stands several times in the batch is encoded once. On the CPU only: counting them on a GPU would let the
    step wait for it, and batches of one size can be replayed as CUDA graphs.
    """
    if labels.device.type != 'cpu':
        return labels, torch.arange(len(labels), device=labels.device)
    own, places = torch.unique(labels, return_inverse=True)
    return own, places


def encode_prompts(model: 'CMDGReID', identities: Tensor) -> tuple[Tensor, Tensor | None]:
    """Encode identities' prompts, (C, D), and the same with their domains where there is a template for it."""
    prompts = model.prompts
    plain = model.backbone.encode_prompts(prompts(identities), prompts.template)
    if prompts.domain_template is None:
        return plain, None
    filling = prompts.in_domain(identities, model.images.identity_domains[identities])
    return plain, model.backbone.encode_prompts(filling, prompts.domain_template)


def needed(features: Tensor | None, what: str, hook: str) -> Tensor:
    """Refuse to go on without what a stage should have prepared.

    Raises:
        RuntimeError: If it is not there; names the hook that prepares the stage.
    """
    if features is None:
        raise RuntimeError(f'The {what} are missing: add {hook} to custom_hooks, which prepares this stage.')
    return features
