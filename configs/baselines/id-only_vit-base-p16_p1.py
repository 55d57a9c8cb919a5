"""Identity-only baseline, protocol 1: all images of four datasets to PRID, GRID, VIPeR, iLIDS; no text, no bridging.

Tower, data and image epochs (63) are those of cmdg_vit-base-p16_p1.py; captions are not read. See docs/baselines.md.

python tools/train.py configs/baselines/id-only_vit-base-p16_p1.py --cfg-options data_root=DIR
"""

_base_ = ['../cmdg/cmdg_vit-base-p16_p1.py']

model = dict(losses=dict(_delete_=True, warmup=_base_.model.losses.warmup))
warmup, prompt, bridging = _base_.train_cfg.stages
# All image epochs are warm-up epochs: cross-entropy and triplet.
warmup.update(
    epochs=warmup.epochs + bridging.epochs,
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.19, end_factor=1.0, begin=0, end=10),
        dict(type='MultiStepLR', milestones=[42, 57], gamma=0.1),
    ],
)
train_cfg = dict(stages=[warmup])
del warmup, prompt, bridging
