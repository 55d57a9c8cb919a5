"""Recipe `strong`, protocol 1: all images of Market-1501, CUHK-SYSU, CUHK02, CUHK03 to PRID, GRID, VIPeR, iLIDS.

python tools/train.py configs/cmdg/cmdg-strong_vit-base-p16_p1.py --cfg-options data_root=DIR
"""

_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/cmdg_vit-base-p16_strong.py',
    '../_base_/protocols/p1.py',
    '../_base_/schedules/cmdg_strong.py',
]

train_dataloader = dict(sampler=dict(type='HardIdentitySampler'))
custom_hooks = [*_base_.custom_hooks, _base_.averaging]
