"""Sentence to image on the test split of ICFG-PEDES, by any checkpoint of a ViT-B/16 (without one: by CLIP itself).

python tools/test.py configs/text_search/cmdg_vit-base-p16_icfg-pedes.py CHECKPOINT --cfg-options data_root=DIR
"""

_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/cmdg_vit-base-p16.py',
    '../_base_/protocols/text_search.py',
]

test_dataloader = dict(
    dataset=dict(targets=[dict(type='BenchmarkSource', name='icfg-pedes', data_root=_base_.data_root)]),
)
