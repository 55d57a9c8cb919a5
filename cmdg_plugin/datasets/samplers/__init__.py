"""Samplers of training images."""

from cmdg_plugin.datasets.samplers.batch_size import tell_batch_size
from cmdg_plugin.datasets.samplers.identity_sampler import IdentitySampler

__all__ = ['IdentitySampler', 'tell_batch_size']
