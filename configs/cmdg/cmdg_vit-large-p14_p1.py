"""CMDG's released recipe on ViT-L/14, protocol 1 (see cmdg_vit-base-p16_p1.py).

python tools/train.py configs/cmdg/cmdg_vit-large-p14_p1.py --cfg-options data_root=DIR
"""

_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/cmdg_vit-large-p14.py',
    '../_base_/protocols/p1.py',
    '../_base_/schedules/cmdg_released.py',
]
