"""Samplers of training images."""

from cmdg_plugin.datasets.samplers.batch_size import tell_batch_size
from cmdg_plugin.datasets.samplers.graph_identity_sampler import GraphIdentitySampler
from cmdg_plugin.datasets.samplers.hard_identity_sampler import HardIdentitySampler, IdentityEncoding
from cmdg_plugin.datasets.samplers.identity_sampler import IdentitySampler

__all__ = [
    'GraphIdentitySampler',
    'HardIdentitySampler',
    'IdentityEncoding',
    'IdentitySampler',
    'tell_batch_size',
]
