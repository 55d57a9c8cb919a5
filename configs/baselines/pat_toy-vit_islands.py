"""A baseline in the style of PAT (Ni et al., 2023) beside CMDG's toy run: parts alone, no text, no captions.

PAT's are the three part tokens, the part loss over a bank of all images and soft identity targets of the parts'
neighbors, in one stage. The tower, its features and their triplets, data and image epochs are CMDG's. Where the weights
come from, and what else differs from the paper: docs/baselines.md.

python tools/train.py configs/baselines/pat_toy-vit_islands.py
"""

_base_ = ['../cmdg/cmdg_toy-vit_islands.py', '../_base_/models/pat_losses.py']

part, *others = _base_.pat_image_terms
# Squared distances grow with the width: the same share of them as in the 512 numbers of a ViT-B/16.
part.update(scale=0.02 * 512 / 96)
model = dict(
    backbone=dict(part_attention=True),
    memory=dict(momentum=0.1),
    losses=dict(_delete_=True, bridging=[part, *others]),
)

warmup, prompt, bridging = _base_.train_cfg.stages
bridging.update(
    epochs=warmup.epochs + bridging.epochs,
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.25, end_factor=1.0, begin=0, end=4),
        dict(type='MultiStepLR', milestones=[15, 17], gamma=0.1),
    ],
)
train_cfg = dict(stages=[bridging])
del part, others, warmup, prompt, bridging
