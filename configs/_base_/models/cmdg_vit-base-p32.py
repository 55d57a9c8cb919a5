"""CMDG on CLIP's ViT-B/32 with OpenAI's weights: features of 768 + 512 numbers, a quarter of the tokens of ViT-B/16."""

_base_ = ['./cmdg_vit-base-p16.py']

model = dict(backbone=dict(model_name='ViT-B-32', pretrained='openai'))
