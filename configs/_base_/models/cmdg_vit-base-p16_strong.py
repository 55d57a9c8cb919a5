"""Recipe `strong` on CLIP's ViT-B/16 with OpenAI's weights: one stage, identities and captions."""

_base_ = ['./cmdg_vit-base-p16.py', './cmdg_strong_losses.py']

model = dict(flip_test=True, losses=dict(_delete_=True, bridging=[*_base_.model.losses.warmup, _base_.strong_caption]))
