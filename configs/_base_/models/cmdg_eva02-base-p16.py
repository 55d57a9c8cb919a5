"""CMDG on EVA-CLIP's EVA02-B/16: features of 768 + 512 numbers."""

_base_ = ['./cmdg_vit-base-p16.py']

model = dict(backbone=dict(model_name='EVA02-B-16', pretrained='merged2b_s8b_b131k'))
