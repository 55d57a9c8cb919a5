"""Stage 3, inter-ID domain bridging: a memory bank finds look-alikes across identities, captions tie them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from cmdg_plugin.models.memory import BankRows, lookup_rows
from cmdg_plugin.models.stages.base import Preparation
from cmdg_plugin.models.stages.prompt import PromptStage, encode_prompts, needed
from cmdg_plugin.models.stages.warmup import ImageFields, WarmupStage
from cmdg_plugin.models.utils import gather_batch, on_device
from cmdg_plugin.regions import GLOBAL, PARTS, REGIONS
from cmdg_plugin.registry import MODELS
from cmdg_plugin.saying import warn

if TYPE_CHECKING:
    from cmdg_plugin.models.cmdg_reid import CMDGReID

_SAVED_PROMPTS = 'prompt_features'


@dataclass
class BridgingFields(ImageFields):
    """What an image batch gives beside the warm-up's fields; what no loss term reads is None.

    Attributes:
        parts: Part features, (P, B, D).
        prompt_features: Prompt feature of every identity, (C, D).
        domain_prompt_features: The same with the identity's domain in it.
        caption_regions: Caption features, (R, B, D); zeros for an image without captions.
        caption_global: Features of the global captions, (B, D).
        bank: The memory bank, with this batch blended in.
    """

    parts: Tensor
    prompt_features: Tensor | None = None
    domain_prompt_features: Tensor | None = None
    caption_regions: Tensor | None = None
    caption_global: Tensor | None = None
    bank: BankRows | None = None


@MODELS.register_module()
class BridgingStage(WarmupStage):
    """Inter-ID domain bridging (CMDG, stage 3).

    When it begins, captions and identity prompts are encoded once, and the bank is filled with the features that the
    prompt stage left, or with new ones; a run that goes on inside the stage keeps the bank of its checkpoint. What no
    loss term reads is not prepared.
    """

    fields: ClassVar = BridgingFields
    domain_fields = ('domain_prompt_features',)
    reads_text = True
    caption_global: Tensor | None
    prompt_features: Tensor | None
    domain_prompt_features: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.caption_global = self.prompt_features = self.domain_prompt_features = None
        self._saved_prompts: list[Tensor | None] | None = None

    def check(self, model: 'CMDGReID', trained: frozenset[str], dataset: Any) -> None:
        """Check that a text tower which may train does, and that captions which guide are there; see the base class."""
        if model.trains_text and not trained & model.parameter_names('text'):
            raise ValueError(
                f'backbone.text_finetune_layers is {model.backbone.text_finetune_layers}, but this stage trains '
                "nothing of the text tower: add 'text' to the stage's `trainable`."
            )
        captions = getattr(dataset, 'captions', None)
        if captions is None or not self._needs_captions(model):
            return
        if not model.losses[self.name].reads_bank_captions:
            bare = sum(not any(sentences) for sentences in captions)
            if bare:
                warn(
                    f'{bare:,} of {len(captions):,} training images have no captions: the caption terms of '
                    f"'{self.name}' leave them out."
                )
            return
        bare = sum(not any(sentences[: len(PARTS)]) for sentences in captions)
        if bare:
            raise ValueError(
                f'{bare:,} of {len(captions):,} training images have no part captions, but the captions guide '
                f"'{self.name}': they would be tied to each other for that. Caption them, leave them out with "
                "on_missing='skip', or train with a recipe without TextNeighborSearch, such as the released one."
            )

    def prepare(self, model: 'CMDGReID', preparation: Preparation) -> None:
        """Encode captions and prompts, and fill the bank.

        Raises:
            ValueError: If the run goes on inside the stage without the bank that its terms read.
        """
        needs_bank, resumed = self._needs_bank(model), preparation.resumed
        if resumed and needs_bank:
            self._restore_bank(model, preparation)
        if self._needs_captions(model):
            self._keep_captions(model, preparation.caption_features(model.kept_rows), resumed)
        if self._needs_prompts(model):
            self._keep_prompts(model, preparation)
        if needs_bank and not resumed:
            if model.image_features is None:
                model.image_features = preparation.image_features(model.kept_rows)
            rows = torch.arange(model.memory.held.start, model.memory.held.stop, device=model.image_features.device)
            model.memory.fill(rows, model.image_features[:, : len(PARTS)].transpose(0, 1))
        # From here on the image tower changes, and with it what the features would be.
        model.image_features = None

    def _restore_bank(self, model: 'CMDGReID', preparation: Preparation) -> None:
        if model.kept_rows is not None:
            preparation.restore_bank(model.memory)
        if not model.memory.filled.all():
            raise ValueError(
                f"The checkpoint was saved inside '{self.name}', but holds no memory bank: its run kept a sharded one "
                'on several processes, or had no term that reads one. Resume with the settings and the number of '
                'processes of that run.'
            )

    def _keep_captions(self, model: 'CMDGReID', captions: Tensor, resumed: bool) -> None:
        # Those of a text tower that trains are running averages, which a resumed run has from its checkpoint.
        if not (resumed and model.trains_text):
            model.memory.set_text(captions[:, : len(PARTS)])
        # A copy: a view would keep the part features alive, too.
        self.caption_global = captions[:, GLOBAL].to(model.memory.text.dtype, copy=True)

    def _keep_prompts(self, model: 'CMDGReID', preparation: Preparation) -> None:
        if not any(isinstance(model.stages[name], PromptStage) for name in preparation.stages_done):
            warn(
                'No prompt stage came before: the identity prompts are random, and so is what L_prompt teaches. Run '
                "the stage 'prompt', or start from its checkpoint with load_from."
            )
        everyone = torch.arange(model.prompts.num_identities, device=model.prompts.context.device)
        with torch.no_grad():
            saved = self._saved_prompts if preparation.resumed else None
            self.prompt_features, self.domain_prompt_features = saved or encode_prompts(model, everyone)

    def _needs_bank(self, model: 'CMDGReID') -> bool:
        return 'bank' in model.losses[self.name].reads

    def _needs_captions(self, model: 'CMDGReID') -> bool:
        losses = model.losses[self.name]
        # The bank keeps those of the parts.
        return losses.reads_bank_captions or not losses.reads.isdisjoint(('caption_regions', 'caption_global'))

    def _needs_prompts(self, model: 'CMDGReID') -> bool:
        return not model.losses[self.name].reads.isdisjoint(('prompt_features', 'domain_prompt_features'))

    def compute(self, model: 'CMDGReID', batch: Mapping[str, Any]) -> BridgingFields:
        """Encode and classify a batch of images, and blend it into the bank; see the base class."""
        prompts = self.prompt_features
        if self._needs_prompts(model):
            prompts = needed(prompts, 'features of the identity prompts', 'DomainBridgingHook')
        image = super().compute(model, batch)
        fields = BridgingFields(
            **vars(image),
            parts=image.image_regions[: len(PARTS)],
            prompt_features=prompts,
            domain_prompt_features=self.domain_prompt_features,
        )
        if self._needs_captions(model):
            texts = self._captions_of(model, fields.image_index, batch['data_samples'])
            fields.caption_regions, fields.caption_global = texts.transpose(0, 1), texts[:, GLOBAL]
        if self._needs_bank(model):
            fields.bank = self._blend_in(model, fields)
        return fields

    def _captions_of(self, model: 'CMDGReID', index: Tensor, data_samples: list[Any]) -> Tensor:
        """Caption features of the batches of all ranks, (B, R, D): cached, or with gradients where the tower trains."""
        if model.trains_text:
            (texts,) = gather_batch(_encode_captions(model, data_samples))
            return texts
        captions = needed(self.caption_global, 'features of the captions', 'DomainBridgingHook')
        parts, whole = (lookup_rows(rows, index, model.memory.first_row) for rows in (model.memory.text, captions))
        return torch.cat([parts, whole[:, None]], dim=1)

    def _blend_in(self, model: 'CMDGReID', fields: BridgingFields) -> BankRows:
        if model.guard.undoes:
            model.guard.undo_with(model.memory.keep_rows(fields.image_index))
        moving = fields.caption_regions if model.trains_text else None
        texts = None if moving is None else moving[: len(PARTS)].detach()
        model.memory.update(fields.image_index, fields.parts.detach(), texts)
        return model.memory.rows_to_search(model.images.identities, model.images.domains)

    def state(self, model: 'CMDGReID') -> dict[str, Any]:
        """Keep the prompts' features where the text tower that they come from trains: it leaves them behind."""
        if not model.trains_text or self.prompt_features is None:
            return {}
        return {_SAVED_PROMPTS: [self.prompt_features, self.domain_prompt_features]}

    def load_state(self, model: 'CMDGReID', checkpoint: Mapping[str, Any]) -> None:
        """Take the prompts' features that the stage began with; see the base class."""
        device = next(model.parameters()).device
        saved = checkpoint.get(_SAVED_PROMPTS)
        self._saved_prompts = saved and [one if one is None else one.to(device) for one in saved]


def _encode_captions(model: 'CMDGReID', data_samples: list[Any]) -> Tensor:
    """Encode the captions of a batch at the length of its longest, with gradients; (B, R, D), zeros for empty ones."""
    if any(sample.get('captions') is None for sample in data_samples):
        raise ValueError(
            "Training the text tower takes the captions of the batch: add 'captions' to PackInputs' algorithm_keys."
        )
    sentences = [text for sample in data_samples for text in sample.captions]
    features, _ = model.encode_sentences(sentences)
    if not all(sentences):
        features = features * on_device([[bool(sentence)] for sentence in sentences], features.device)
    return features.unflatten(0, (len(data_samples), len(REGIONS))).to(model.backbone.norm_shared.weight.dtype)
