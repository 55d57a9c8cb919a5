"""Recipe `full` on the toy CLIP that ships with the plugin: part tokens in its tower, captions guide the bridging."""

_base_ = ['./cmdg_full_shared.py']

model = dict(
    backbone=dict(
        type='TextAwareCLIP',
        model_name='cmdg-toy-vit',
        pretrained='islands',
        image_size=(96, 48),
        part_attention=True,
    ),
)
