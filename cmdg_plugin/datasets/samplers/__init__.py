"""Samplers of training images."""

from cmdg_plugin.datasets.samplers.identity_sampler import IdentitySampler

__all__ = ['IdentitySampler']
