"""CMDG on the toy CLIP that ships with the plugin: 96x48 pixels, 1.8 million parameters, trains on a CPU."""

_base_ = ['./cmdg_shared.py']

model = dict(
    backbone=dict(type='TextAwareCLIP', model_name='cmdg-toy-vit', pretrained='islands', image_size=(96, 48)),
)
