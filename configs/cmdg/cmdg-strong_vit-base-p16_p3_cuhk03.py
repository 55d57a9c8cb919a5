"""Recipe `strong`, protocol 3: all images of Market-1501, MSMT17 and CUHK-SYSU to CUHK03.

python tools/train.py configs/cmdg/cmdg-strong_vit-base-p16_p3_cuhk03.py --cfg-options data_root=DIR
"""

_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/cmdg_vit-base-p16_strong.py',
    '../_base_/protocols/p3_cuhk03.py',
    '../_base_/schedules/cmdg_strong.py',
]

train_dataloader = dict(sampler=dict(type='HardIdentitySampler'))
custom_hooks = [*_base_.custom_hooks, _base_.averaging]
