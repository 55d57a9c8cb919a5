"""The identity-only baseline with the weights of the last third of its epochs averaged.

python tools/train.py configs/ablations/averaged_id-only_toy-vit_islands.py
"""

_base_ = ['../baselines/id-only_toy-vit_islands.py']

custom_hooks = [*_base_.custom_hooks, dict(type='WeightAveragingHook', stage='warmup', start_epoch=12)]
