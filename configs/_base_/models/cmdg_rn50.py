"""CMDG on CLIP's ResNet-50 with OpenAI's weights: features of 2,048 + 1,024 numbers."""

_base_ = ['./cmdg_vit-base-p16.py']

model = dict(backbone=dict(model_name='RN50', pretrained='openai'))
