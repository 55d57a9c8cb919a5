"""Identities and captions alone on Islands: the identity-only losses throughout, and the caption loss in the bridging.

python tools/train.py configs/ablations/id-captions_toy-vit_islands.py
"""

_base_ = ['../cmdg/cmdg_toy-vit_islands.py']

losses = _base_.model.losses
captions = [term for term in losses.bridging if term.name == 'caption']
model = dict(losses=dict(_delete_=True, warmup=losses.warmup, bridging=losses.warmup + captions))
warmup, prompt, bridging = _base_.train_cfg.stages
train_cfg = dict(stages=[warmup, bridging])
del losses, captions, warmup, prompt, bridging
