"""CMDG's released recipe, protocol 1, on images as tall as people are: 256 x 128 pixels in place of 224 x 224.

python tools/train.py configs/cmdg/cmdg_vit-base-p16_256x128_p1.py --cfg-options data_root=DIR
"""

_base_ = ['./cmdg_vit-base-p16_p1.py']

# From the environment, in one expression: MMEngine lets a config import nothing.
image_size = __import__('os').environ.get('CMDG_IMAGE_SIZE') or '256x128'
height, width = __import__('cmdg_plugin.image_size').image_size.parse_size(image_size)
train_pipeline, plain_pipeline = _base_.train_pipeline, _base_.plain_pipeline
train_pipeline[1].scale = plain_pipeline[1].scale = (width, height)
train_pipeline[4].size = (height, width)

model = dict(backbone=dict(image_size=[height, width]))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=plain_pipeline))
test_dataloader = val_dataloader
custom_hooks = [dict(hook, pipeline=plain_pipeline) for hook in _base_.custom_hooks]
del height, width
