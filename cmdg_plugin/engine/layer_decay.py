"""Learning rates that fall from the image tower's last layer to its first."""

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from cmdg_plugin.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor(DefaultOptimWrapperConstructor):
    """Builds an optimizer whose rates decay layer by layer through the image tower of the model's backbone.

    In a tower of n blocks, what comes after the blocks has the full rate, block i of 1..n the rate times
    `layer_decay_rate ** (n + 1 - i)`, and what comes before them times `layer_decay_rate ** (n + 1)`. All else in
    `paramwise_cfg` works as with MMEngine's own constructor and is multiplied; mmpretrain's constructor of this kind
    takes no `lr_mult`, which the recipes' classifiers need. Other parts of the model are left as they are.

    Source: Clark et al., ELECTRA; for image towers Bao et al., BEiT, whose counting of layers this is.

    Args:
        optim_wrapper_cfg: As MMEngine's constructor takes it.
        paramwise_cfg: The same, with `layer_decay_rate`, above 0 and at most 1.

    Raises:
        ValueError: If there is no such rate.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        rate = self.paramwise_cfg.get('layer_decay_rate')
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= 1:
            raise ValueError(
                'LayerDecayConstructor needs optim_wrapper.paramwise_cfg.layer_decay_rate, above 0 and at most 1; it '
                f'is {rate!r}.'
            )
        self.rate = rate

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '', is_dcn_module: Any = None) -> None:
        """Add a group for each trained parameter; see the base class.

        Raises:
            TypeError: If the model's backbone has no image tower.
        """
        super().add_params(params, module, prefix, is_dcn_module)
        # The base class calls this for every module inside of the model, which alone has no prefix.
        if prefix:
            return
        tower = getattr(getattr(module, 'backbone', None), 'image_tower', None)
        if tower is None:
            raise TypeError(
                f'LayerDecayConstructor needs a model with a TextAwareCLIP as its backbone, not a '
                f'{type(module).__name__}.'
            )
        depths, parameters = tower.depths(), dict(tower.visual.named_parameters())
        top = len(tower.blocks) + 1
        scales = {id(parameters[name]): self.rate ** (top - depth) for name, depth in depths.items()}
        for group in params:
            group['lr'] = group.get('lr', self.base_lr) * scales.get(id(group['params'][0]), 1.0)
        # The log shows the rate of the first group.
        params.sort(key=lambda group: scales.get(id(group['params'][0]), 1.0) < 1)
