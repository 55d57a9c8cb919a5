"""The CMDG model: wires backbone, head, prompts, memory bank and the loss terms of each stage."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.identity_model import IdentityModel
from cmdg_plugin.models.memory import lookup_rows
from cmdg_plugin.models.staged_model import begins, gives
from cmdg_plugin.models.utils import gather_batch
from cmdg_plugin.regions import PARTS, REGIONS
from cmdg_plugin.registry import MODELS

_GLOBAL = REGIONS.index('global')

_IMAGE_FIELDS = (
    *('labels', 'domains', 'image_index', 'epoch', 'last_block_token', 'global_width', 'global_shared'),
    *('image_regions', 'logits_width', 'logits_shared'),
)
_PROMPT_FIELDS = ('labels', 'domains', 'epoch', 'global_shared', 'prompt_texts', 'domain_prompt_texts')
_TEXT_FIELDS = ('prompt_features', 'domain_prompt_features', 'caption_regions', 'caption_global')
_BANK_FIELDS = (
    *('bank', 'bank_norms', 'bank_text', 'bank_text_norms', 'bank_filled', 'bank_first_row'),
    *('bank_labels', 'bank_domains'),
)


@MODELS.register_module()
class CMDGReID(IdentityModel):
    """Person re-identification across unseen domains (CMDG), trained in stages, one `<stage>_fields` method each.

    A stage's method computes named tensors once; the stage's loss terms, a list in the config, pick what they need.
    What belongs to the training identities is the base class's.

    Args:
        backbone: Config of the text-aware backbone.
        losses: For each stage, its loss terms (see `LossTerms`).
        head: Config of the head; sizes are filled in.
        prompts: Config of the identity prompts; sizes are filled in.
        memory: Config of the memory bank; sizes are filled in.
        data_preprocessor: Config of the data preprocessor.
        on_nonfinite: `raise` stops at a loss or gradient that is NaN or infinite, `skip` leaves the batch out and
            counts it.
        init_cfg: MMEngine's initialization config.

    Raises:
        ValueError: If `losses` names a stage without a `<stage>_fields` method.
    """

    handed_over: ClassVar[tuple[str, ...]] = (
        *IdentityModel.handed_over,
        *('image_regions', 'caption_global', 'prompt_features', 'domain_prompt_features'),
    )
    image_regions: Tensor | None
    caption_global: Tensor | None
    prompt_features: Tensor | None
    domain_prompt_features: Tensor | None

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
    ) -> None:
        parts = {
            'head': {'type': 'ReIDHead', **(head or {})},
            'prompts': {'type': 'IdentityPrompt', **(prompts or {})},
            'memory': {'type': 'CaptionMemoryBank', **(memory or {})},
        }
        preprocessor = data_preprocessor or {'type': 'ReIDDataPreprocessor'}
        super().__init__(backbone, parts, losses, preprocessor, on_nonfinite, init_cfg)

    # ------------------------------------------------------------------ stages

    def check_trainable(self, stage: str, beginnings: Sequence[str]) -> None:
        """Also raise a FileNotFoundError if a stage reads texts, and the backbone's tokenizer cannot be had.

        And a ValueError if text blocks are to be trained and the bridging stage trains none.
        """
        super().check_trainable(stage, beginnings)
        if stage == 'bridging' and self.trains_text and not self._reaches_text(beginnings):
            raise ValueError(
                f'backbone.text_finetune_layers is {self.backbone.text_finetune_layers}, but this stage trains nothing '
                "of the text tower: add its modules, such as 'backbone.clip.transformer', to the stage's `trainable`."
            )
        if stage != 'warmup':
            # The first texts are read after the warm-up, too late to find out.
            self.backbone.tokenize(['a person'])

    def _reaches_text(self, beginnings: Sequence[str]) -> bool:
        tower = {id(parameter) for parameter in self.backbone.text_parameters()}
        names = {name for name, parameter in self.named_parameters() if id(parameter) in tower} - self._never_trained
        return any(begins(name, beginning) for name in names for beginning in beginnings)

    def fields_given(self, stage: str) -> tuple[str, ...] | None:
        """Names of the fields of a stage; those of prompts with domains are there if a template asks for them."""
        given = super().fields_given(stage)
        if given is None or self.part_configs['prompts'].get('domain_template') is not None:
            return given
        return tuple(name for name in given if not name.startswith('domain_prompt'))

    def start_stage(self, stage: str, trainable: Sequence[str]) -> None:
        """Set what is trainable; see the base class."""
        if self.stage is not None and self.changes_features:
            # The stage before this one trained the image tower: what it saw of the images is history.
            self.image_regions = None
        super().start_stage(stage, trainable)

    @property
    def changes_features(self) -> bool:
        """Whether the current stage trains anything that images' features come from."""
        return any(parameter.requires_grad for parameter in self.backbone.parameters())

    # ------------------------------------------------------------------ what hooks hand over

    def encode_regions(self, batch: dict[str, Any]) -> Tensor:
        """Encode a batch as its dataloader gives it; returns region features (R, B, D)."""
        return self.backbone.encode_image(self.data_preprocessor(batch)['inputs']).shared_regions

    def encode_sentences(self, sentences: Sequence[str]) -> tuple[Tensor, int]:
        """Encode sentences; returns features (B, D) and how many sentences were cut."""
        tokens, num_cut = self.backbone.tokenize(list(sentences))
        return self.backbone.encode_text(tokens.to(self.backbone.norm_shared.weight.device)), num_cut

    @property
    def share(self) -> slice | None:
        """Training images whose features this rank keeps: its share where the memory bank is sharded, None for all."""
        return self.memory.held if self.memory is not None and self.memory.sharded else None

    @property
    def needs_bank(self) -> bool:
        """Whether a loss term of the current stage reads the memory bank."""
        return any(field.startswith('bank') for field in self.fields_read)

    @property
    def needs_captions(self) -> bool:
        """Whether the current stage reads caption features; the memory bank keeps those of the parts."""
        return self.needs_bank or any(field.startswith('caption_') for field in self.fields_read)

    def remember_images(self, image_regions: Tensor) -> None:
        """Keep the region features (n, R, D) of this rank's `share` for prompt learning and the bank's first fill."""
        self.image_regions = image_regions

    @torch.no_grad()
    def start_bridging(
        self,
        caption_regions: Tensor | None,
        fill_memory: bool = True,
        prompts: Sequence[Tensor | None] | None = None,
    ) -> None:
        """Encode the identity prompts, and fill the memory bank from the remembered images.

        Args:
            caption_regions: Caption features (n, R, D) of this rank's `share`; None where no term reads captions.
            fill_memory: Whether to fill the bank; not when it comes from a checkpoint.
            prompts: The `moving_prompts` of the run that goes on; encoded here if None.
        """
        if caption_regions is not None:
            if fill_memory or not self.trains_text:
                self.memory.set_text(caption_regions[:, : len(PARTS)])
            # A copy: a view would keep the part features alive, too.
            self.caption_global = caption_regions[:, _GLOBAL].to(self.memory.text.dtype, copy=True)
        everyone = torch.arange(self.prompts.num_identities, device=self.prompts.context.device)
        self.prompt_features, self.domain_prompt_features = prompts or self._encode_prompts(everyone)
        if fill_memory:
            images = _needed(self.image_regions, 'image features of the memory bank', 'DomainBridgingHook')
            rows = torch.arange(self.memory.held.start, self.memory.held.stop, device=images.device)
            self.memory.fill(rows, images[:, : len(PARTS)].transpose(0, 1))
        # From here on the image tower changes, and with it what the features would be.
        self.image_regions = None

    @property
    def moving_prompts(self) -> tuple[Tensor | None, Tensor | None] | None:
        """Features of the prompts, and of those with domains, if a resumed run could not encode the same ones again.

        The stage keeps those that it began with, which a text tower that trains leaves behind.
        """
        moves = self.trains_text and self.prompt_features is not None
        return (self.prompt_features, self.domain_prompt_features) if moves else None

    # ------------------------------------------------------------------ the stages

    @gives(*_IMAGE_FIELDS)
    def warmup_fields(self, inputs: Tensor, data_samples: list[Any]) -> dict[str, Any]:
        """Named tensors of the image warm-up (CMDG, stage 1), of the batches of all ranks."""
        features = self.backbone.encode_image(inputs)
        labels = torch.cat([sample.gt_label for sample in data_samples])
        token, width, regions = gather_batch(
            features.last_block_token, features.width_regions[_GLOBAL], features.shared_regions.transpose(0, 1)
        )
        logits_width, logits_shared = self.head(width, regions[:, _GLOBAL])
        labels, index = gather_batch(labels, _image_index(data_samples, labels.device))
        return {
            'labels': labels,
            'domains': cast(Tensor, self.sample_domains)[index],
            'image_index': index,
            'epoch': self.stage_epoch,
            'last_block_token': token,
            'global_width': width,
            'global_shared': regions[:, _GLOBAL],
            'image_regions': regions.transpose(0, 1),
            'logits_width': logits_width,
            'logits_shared': logits_shared,
        }

    @gives(*_PROMPT_FIELDS)
    def prompt_fields(self, image_index: Tensor) -> dict[str, Any]:
        """Named tensors of identity-prompt learning (CMDG, intra-ID cross-modal regularization), of all ranks."""
        images = _needed(self.image_regions, 'features of the training images', 'PromptLearningHook')
        identities = cast(Tensor, self.sample_identities)
        # An identity that stands several times in the batch is encoded once.
        own, places = torch.unique(identities[image_index], return_inverse=True)
        texts = [each[places] for each in self._encode_prompts(own) if each is not None]
        (everyone,), texts = gather_batch(image_index), list(gather_batch(*texts))
        images = lookup_rows(images[:, _GLOBAL], everyone, None if self.share is None else self.share.start)
        return {
            'labels': identities[everyone],
            'domains': cast(Tensor, self.sample_domains)[everyone],
            'epoch': self.stage_epoch,
            'global_shared': images,
            'prompt_texts': texts[0],
        } | ({'domain_prompt_texts': texts[1]} if len(texts) > 1 else {})

    def _encode_prompts(self, identities: Tensor) -> tuple[Tensor, Tensor | None]:
        """Encode identities' prompts, (C, D), and the same with their domains where there is a template for it."""
        plain = self.backbone.encode_prompts(self.prompts(identities), self.prompts.template)
        if self.prompts.domain_template is None:
            return plain, None
        filling = self.prompts.in_domain(identities, cast(Tensor, self.identity_domains)[identities])
        return plain, self.backbone.encode_prompts(filling, self.prompts.domain_template)

    @gives(*_IMAGE_FIELDS, 'parts', *_TEXT_FIELDS, *_BANK_FIELDS)
    def bridging_fields(self, inputs: Tensor, data_samples: list[Any]) -> dict[str, Any]:
        """Named tensors of inter-ID domain bridging (CMDG, stage 3), of all ranks; updates the memory bank first.

        Captions and bank are left alone where no term reads them.
        """
        prompts = _needed(self.prompt_features, 'features of the identity prompts', 'DomainBridgingHook')
        fields = self.warmup_fields(inputs, data_samples) | {'prompt_features': prompts}
        if self.domain_prompt_features is not None:
            fields['domain_prompt_features'] = self.domain_prompt_features
        parts = fields['parts'] = fields['image_regions'][: len(PARTS)]
        if not self.needs_captions:
            return fields
        captions = _needed(self.caption_global, 'features of the captions', 'DomainBridgingHook')
        index = fields['image_index']
        if self.trains_text:
            (texts,) = gather_batch(self._encode_captions(data_samples))
            new_text = texts[:, : len(PARTS)].transpose(0, 1).detach()
        else:
            rows = [lookup_rows(table, index, self.memory.first_row) for table in (self.memory.text, captions)]
            texts, new_text = torch.cat([rows[0], rows[1][:, None]], dim=1), None
        fields |= {'caption_regions': texts.transpose(0, 1), 'caption_global': texts[:, _GLOBAL]}
        if not self.needs_bank:
            return fields
        if self.guard.undoes:
            self.guard.undo_with(self.memory.keep_rows(index))
        self.memory.update(index, parts.detach(), new_text)
        bank = self.memory.searched
        return fields | {
            'bank': bank.image,
            'bank_norms': bank.norms,
            'bank_text': bank.text,
            'bank_text_norms': bank.text_norms,
            'bank_filled': bank.filled,
            'bank_first_row': bank.first_row,
            'bank_labels': self.sample_identities,
            'bank_domains': self.sample_domains,
        }

    def _encode_captions(self, data_samples: list[Any]) -> Tensor:
        """Encode the captions of a batch at the length of its longest, with gradients; (B, R, D)."""
        missing = [sample for sample in data_samples if sample.get('captions') is None]
        if missing:
            raise ValueError(
                "Training the text tower takes the captions of the batch: add 'captions' to PackInputs' algorithm_keys."
            )
        features, _ = self.encode_sentences([text for sample in data_samples for text in sample.captions])
        return features.unflatten(0, (len(data_samples), len(REGIONS))).to(self.backbone.norm_shared.weight.dtype)

    # ------------------------------------------------------------------ MMEngine's interface

    def extract_features(self, inputs: Tensor | None) -> Tensor:
        """Return the L2-normalized retrieval features (B, W + D) of normalized images (B, 3, H, W)."""
        if inputs is None:
            raise ValueError('Features need images: the batch has no `inputs`.')
        features = self.backbone.encode_image(inputs)
        joined = torch.cat([features.width_regions[_GLOBAL], features.shared_regions[_GLOBAL]], dim=1)
        return functional.normalize(joined.float(), dim=1)

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Do what `extract_features` does, under the name by which mmpretrain's inferencers ask."""
        return self.extract_features(inputs)


def _image_index(data_samples: Sequence[Any], device: torch.device) -> Tensor:
    if any('image_index' not in sample for sample in data_samples):
        raise ValueError("Training takes the images' positions: add 'image_index' to PackInputs' algorithm_keys.")
    return torch.tensor([sample.image_index for sample in data_samples], device=device)


def _needed(features: Tensor | None, what: str, hook: str) -> Tensor:
    if features is None:
        raise RuntimeError(f'The {what} are missing: add {hook} to custom_hooks, which prepares this stage.')
    return features
