"""CMDG's full recipe, protocol 3: all images of MSMT17, CUHK-SYSU and CUHK03 to Market-1501.

python tools/train.py configs/cmdg/cmdg-full_vit-base-p16_p3_market1501.py --cfg-options data_root=DIR
"""

_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/cmdg_vit-base-p16_full.py',
    '../_base_/protocols/p3_market1501.py',
    '../_base_/schedules/cmdg_released.py',
]
