"""CMDG's toy run of the full recipe whose bridging keeps the warm-up's terms.

python tools/train.py configs/ablations/kept-terms_full_toy-vit_islands.py
"""

_base_ = ['../cmdg/cmdg-full_toy-vit_islands.py']

losses = _base_.model.losses
dropped = ('id_shared', 'triplet_token', 'triplet_width')
model = dict(losses=dict(bridging=losses.bridging + [term for term in losses.warmup if term.name in dropped]))
del losses, dropped
