"""Recipe `full` on CLIP's ViT-B/16 with OpenAI's weights: features of 768 + 512 numbers.

Without network, fetch the weights elsewhere: --cfg-options model.backbone.pretrained=FILE (docs/configs.md, weights).
"""

_base_ = ['./cmdg_full_shared.py']

# Height x width or one number, as the protocols' option image_size says.
size = __import__('os').environ.get('CMDG_IMAGE_SIZE') or '224x224'
model = dict(
    backbone=dict(
        type='TextAwareCLIP',
        model_name='ViT-B-16',
        pretrained='openai',
        image_size=__import__('cmdg_plugin.image_size').image_size.parse_size(size),
        text_finetune_layers=0,
        part_attention=True,
    ),
)
del size
