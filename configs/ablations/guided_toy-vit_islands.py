"""CMDG's toy run whose bridging is guided by captions, with stripe means for parts: `full` without part attention.

python tools/train.py configs/ablations/guided_toy-vit_islands.py
"""

_base_ = ['../cmdg/cmdg-full_toy-vit_islands.py']

# Taken out, not set to False: settings that are written alike let an ablation train the first stages once for both.
backbone = {key: value for key, value in _base_.model.backbone.items() if key != 'part_attention'}
model = dict(backbone=dict(_delete_=True, **backbone))
del backbone
