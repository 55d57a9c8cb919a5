"""Families of image towers that regions can be read from."""

from cmdg_plugin.models.backbones.image_towers.base import Config, ImageTower, RegionTokens
from cmdg_plugin.models.backbones.image_towers.modified_resnet import ModifiedResNet
from cmdg_plugin.models.backbones.image_towers.open_clip_vit import OpenClipViT
from cmdg_plugin.models.backbones.image_towers.timm_vit import TimmViT

__all__ = ['ImageTower', 'ModifiedResNet', 'OpenClipViT', 'RegionTokens', 'TimmViT', 'find_family']


def find_family(vision: Config) -> type[ImageTower]:
    """Find the class that reads regions out of a model's image tower.

    Returns:
        The class, whose `problem` says whether the tower can be used after all.
    """
    if vision.get('timm_model_name'):
        return TimmViT
    return ModifiedResNet if isinstance(vision.get('layers', 12), list | tuple) else OpenClipViT
