"""Losses: one file each, a pure tensor function beside a thin registered module; `LossTerms` combines them."""

from cmdg_plugin.models.losses.batch_hard_triplet_loss import BatchHardTripletLoss, batch_hard_triplet_loss
from cmdg_plugin.models.losses.caption_contrastive_loss import CaptionContrastiveLoss, caption_contrastive_loss
from cmdg_plugin.models.losses.distribution_alignment_loss import (
    DistributionAlignmentLoss,
    distribution_alignment_loss,
)
from cmdg_plugin.models.losses.part_neighbor_loss import PartNeighborLoss, part_neighbor_loss
from cmdg_plugin.models.losses.prompt_classification_loss import PromptClassificationLoss, prompt_classification_loss
from cmdg_plugin.models.losses.prompt_contrastive_loss import PromptContrastiveLoss, prompt_contrastive_loss
from cmdg_plugin.models.losses.soft_identity_loss import SoftIdentityLoss, soft_identity_loss
from cmdg_plugin.models.losses.terms import LossTerms

__all__ = [
    'BatchHardTripletLoss',
    'CaptionContrastiveLoss',
    'DistributionAlignmentLoss',
    'LossTerms',
    'PartNeighborLoss',
    'PromptClassificationLoss',
    'PromptContrastiveLoss',
    'SoftIdentityLoss',
    'batch_hard_triplet_loss',
    'caption_contrastive_loss',
    'distribution_alignment_loss',
    'part_neighbor_loss',
    'prompt_classification_loss',
    'prompt_contrastive_loss',
    'soft_identity_loss',
]
