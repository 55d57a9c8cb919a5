"""CMDG's toy run whose bridging keeps the warm-up's terms that the released recipe drops.

python tools/train.py configs/ablations/kept-terms_toy-vit_islands.py
"""

_base_ = ['../cmdg/cmdg_toy-vit_islands.py']

losses = _base_.model.losses
dropped = ('id_shared', 'triplet_token', 'triplet_width')
model = dict(losses=dict(bridging=losses.bridging + [term for term in losses.warmup if term.name in dropped]))
del losses, dropped
