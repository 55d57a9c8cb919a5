"""Identity-only baseline beside CMDG's toy run: the same tower, data and image epochs, no text and no bridging.

python tools/train.py configs/baselines/id-only_toy-vit_islands.py
"""

_base_ = ['../cmdg/cmdg_toy-vit_islands.py']

model = dict(losses=dict(_delete_=True, warmup=_base_.model.losses.warmup))
warmup, prompt, bridging = _base_.train_cfg.stages
# All 18 image epochs are warm-up epochs: cross-entropy and triplet.
warmup.update(
    epochs=warmup.epochs + bridging.epochs,
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.25, end_factor=1.0, begin=0, end=4),
        dict(type='MultiStepLR', milestones=[15, 17], gamma=0.1),
    ],
)
train_cfg = dict(stages=[warmup])
del warmup, prompt, bridging
