"""CMDG's toy run whose caption loss takes the captions of identity and look-alikes for positives.

python tools/train.py configs/ablations/look-alikes_toy-vit_islands.py
"""

_base_ = ['../cmdg/cmdg_toy-vit_islands.py']

caption = dict(type='MultiPositiveCaptionLoss', look_alike_ratio=0.2)
inputs = dict(neighbors='neighbors', bank='bank', image_index='image_index')
terms = [
    dict(term, **caption, inputs=dict(term.inputs, **inputs)) if term.name == 'caption' else term
    for term in _base_.model.losses.bridging
]
model = dict(losses=dict(bridging=terms))
del caption, inputs, terms
