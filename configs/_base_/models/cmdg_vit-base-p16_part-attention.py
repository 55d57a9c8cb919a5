"""CMDG on CLIP's ViT-B/16 with part tokens that attend to their stripe, in place of stripe means (docs/configs.md)."""

_base_ = ['./cmdg_vit-base-p16.py']

model = dict(backbone=dict(part_attention=True))
