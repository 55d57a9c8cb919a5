"""A baseline in the style of DSM-CLIP beside CMDG's toy run: prompts, batches of look-alikes, a memory of identities.

The stages are CLIP-ReID's. Batches are an anchor with its nearest identities, by images and prompts (lambda 1); they
hold 64 images of 16 identities as all toy runs, a twelfth of the 192 people, where DSM-CLIP's hold 128 of 32. No
captions. Where the weights come from, and what differs: docs/baselines.md.

python tools/train.py configs/baselines/dsm-clip_toy-vit_islands.py
"""

_base_ = ['./clip-reid_toy-vit_islands.py', '../_base_/models/dsm-clip_losses.py']

model = dict(losses=dict(bridging=_base_.dsm_clip_image_terms))
prompt, bridging = _base_.train_cfg.stages
bridging.update(train_dataloader=dict(sampler=dict(type='HardIdentitySampler', text='prompts')))
train_cfg = dict(stages=[prompt, bridging])
del prompt, bridging
