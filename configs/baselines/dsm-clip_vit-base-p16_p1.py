"""A baseline in the style of DSM-CLIP, protocol 1: all images of four datasets to PRID, GRID, VIPeR, iLIDS.

Tower, data and image epochs (63) are those of cmdg_vit-base-p16_p1.py; captions are not read. Batches hold 32
identities with 4 images, an epoch 24,320 groups of 4, as in DSM-CLIP's public code. See docs/baselines.md.

python tools/train.py configs/baselines/dsm-clip_vit-base-p16_p1.py --cfg-options data_root=DIR
"""

_base_ = ['./clip-reid_vit-base-p16_p1.py', '../_base_/models/dsm-clip_losses.py']

model = dict(losses=dict(bridging=_base_.dsm_clip_image_terms))
train_dataloader = dict(batch_size=128)
prompt, bridging = _base_.train_cfg.stages
bridging.update(train_dataloader=dict(sampler=dict(type='HardIdentitySampler', text='prompts', num_draws=24320)))
train_cfg = dict(stages=[prompt, bridging])
del prompt, bridging
