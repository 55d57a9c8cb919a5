"""Caption to image on the unseen domains of Islands, by a checkpoint of the toy CLIP, or without one by the toy itself.

python tools/test.py configs/text_search/cmdg_toy-vit_islands-captions.py work_dirs/cmdg_toy-vit_islands/epoch_38.pth
"""

_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/cmdg_toy-vit.py',
    '../_base_/protocols/islands_captions.py',
]
