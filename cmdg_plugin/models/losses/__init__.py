"""Losses: one file each, a pure tensor function beside a thin registered module; `LossTerms` combines them."""

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.losses.batch_hard_triplet_loss import BatchHardTripletLoss, batch_hard_triplet_loss
from cmdg_plugin.models.losses.caption_contrastive_loss import CaptionContrastiveLoss, caption_contrastive_loss
from cmdg_plugin.models.losses.distribution_alignment_loss import (
    DistributionAlignmentLoss,
    distribution_alignment_loss,
)
from cmdg_plugin.models.losses.domain_adversarial_loss import (
    DomainAdversarialLoss,
    domain_adversarial_loss,
    reverse_gradient,
)
from cmdg_plugin.models.losses.identity_memory_loss import IdentityMemoryLoss, blend_hardest, identity_memory_loss
from cmdg_plugin.models.losses.l2_sp_loss import L2SPLoss, l2_sp_loss
from cmdg_plugin.models.losses.multi_positive_caption_loss import (
    MultiPositiveCaptionLoss,
    multi_positive_caption_loss,
)
from cmdg_plugin.models.losses.neighbor_diagnostics import NeighborDiagnostics, describe_neighbors
from cmdg_plugin.models.losses.part_neighbor_loss import PartNeighborLoss, part_neighbor_loss
from cmdg_plugin.models.losses.prompt_classification_loss import PromptClassificationLoss, prompt_classification_loss
from cmdg_plugin.models.losses.prompt_contrastive_loss import PromptContrastiveLoss, prompt_contrastive_loss
from cmdg_plugin.models.losses.prompt_guidance_loss import PromptGuidanceLoss, prompt_guidance_loss
from cmdg_plugin.models.losses.soft_identity_loss import SoftIdentityLoss, soft_identity_loss
from cmdg_plugin.models.losses.term_gradients import TermGradient, measure_terms
from cmdg_plugin.models.losses.terms import LossTerms
from cmdg_plugin.models.losses.text_neighbors import TextNeighborSearch, find_text_neighbors

__all__ = [
    'BatchHardTripletLoss',
    'CaptionContrastiveLoss',
    'DistributionAlignmentLoss',
    'DomainAdversarialLoss',
    'IdentityMemoryLoss',
    'L2SPLoss',
    'LossTerm',
    'LossTerms',
    'MultiPositiveCaptionLoss',
    'NeighborDiagnostics',
    'PartNeighborLoss',
    'PromptClassificationLoss',
    'PromptContrastiveLoss',
    'PromptGuidanceLoss',
    'SoftIdentityLoss',
    'TermGradient',
    'TextNeighborSearch',
    'batch_hard_triplet_loss',
    'blend_hardest',
    'caption_contrastive_loss',
    'describe_neighbors',
    'distribution_alignment_loss',
    'domain_adversarial_loss',
    'find_text_neighbors',
    'identity_memory_loss',
    'l2_sp_loss',
    'measure_terms',
    'multi_positive_caption_loss',
    'part_neighbor_loss',
    'prompt_classification_loss',
    'prompt_contrastive_loss',
    'prompt_guidance_loss',
    'reverse_gradient',
    'soft_identity_loss',
]
