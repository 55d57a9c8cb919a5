"""Recipe `strong` on the toy CLIP that ships with the plugin: one stage, identities and captions."""

_base_ = ['./cmdg_toy-vit.py', './cmdg_strong_losses.py']

model = dict(flip_test=True, losses=dict(_delete_=True, bridging=[*_base_.model.losses.warmup, _base_.strong_caption]))
