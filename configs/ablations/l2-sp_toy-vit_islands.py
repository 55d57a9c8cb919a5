"""CMDG's toy run with its image tower pulled to the pretrained weights, in place of to zero.

python tools/train.py configs/ablations/l2-sp_toy-vit_islands.py
"""

_base_ = ['../cmdg/cmdg_toy-vit_islands.py']

pull = dict(type='L2SPLoss', name='l2_sp', weight=0.01)
losses = _base_.model.losses
model = dict(losses=dict(warmup=[*losses.warmup, pull], bridging=[*losses.bridging, pull]))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.clip.visual': dict(decay_mult=0.0)}))
del pull, losses
