"""CMDG on the toy CLIP with part tokens that attend to their stripe, in place of stripe means (see docs/configs.md)."""

_base_ = ['./cmdg_toy-vit.py']

model = dict(backbone=dict(part_attention=True))
