"""PAT-style baseline (Ni et al., 2023), protocol 1: all images of four datasets to PRID, GRID, VIPeR, iLIDS.

Tower, data and image epochs (63) are those of cmdg_vit-base-p16_p1.py; captions are not read. See docs/baselines.md.

python tools/train.py configs/baselines/pat_vit-base-p16_p1.py --cfg-options data_root=DIR
"""

_base_ = ['../cmdg/cmdg_vit-base-p16_p1.py', '../_base_/models/pat_losses.py']

model = dict(
    backbone=dict(part_attention=True),
    memory=dict(momentum=0.1),
    losses=dict(_delete_=True, bridging=_base_.pat_image_terms),
)

warmup, prompt, bridging = _base_.train_cfg.stages
bridging.update(
    epochs=warmup.epochs + bridging.epochs,
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.19, end_factor=1.0, begin=0, end=10),
        dict(type='MultiStepLR', milestones=[42, 57], gamma=0.1),
    ],
)
train_cfg = dict(stages=[bridging])
del warmup, prompt, bridging
