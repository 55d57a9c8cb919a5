"""CMDG on CLIP's ViT-L/14 with OpenAI's weights: features of 1,024 + 768 numbers."""

_base_ = ['./cmdg_vit-base-p16.py']

model = dict(backbone=dict(model_name='ViT-L-14', pretrained='openai'))
