"""CLIP-ReID's two stages (Li et al., 2023) beside CMDG's toy run: the same tower, data and image epochs, no captions.

Prompts are learned on the features of CLIP as it comes; then the image tower learns with identity, triplet and
image-to-text losses. Where the weights come from, and what differs from the paper: docs/baselines.md.

python tools/train.py configs/baselines/clip-reid_toy-vit_islands.py
"""

_base_ = ['../cmdg/cmdg_toy-vit_islands.py', '../_base_/models/clip-reid_losses.py']

model = dict(losses=dict(bridging=_base_.clip_reid_image_terms))

warmup, prompt, bridging = _base_.train_cfg.stages
# All 18 image epochs of the toy run follow the prompts.
bridging.update(
    epochs=warmup.epochs + bridging.epochs,
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.25, end_factor=1.0, begin=0, end=4),
        dict(type='MultiStepLR', milestones=[15, 17], gamma=0.1),
    ],
)
train_cfg = dict(stages=[prompt, bridging])
del warmup, prompt, bridging
