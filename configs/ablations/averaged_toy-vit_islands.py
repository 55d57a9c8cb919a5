"""CMDG's toy run with the weights of the last third of its bridging averaged.

python tools/train.py configs/ablations/averaged_toy-vit_islands.py
"""

_base_ = ['../cmdg/cmdg_toy-vit_islands.py']

custom_hooks = [*_base_.custom_hooks, dict(type='WeightAveragingHook', stage='bridging', start_epoch=5)]
