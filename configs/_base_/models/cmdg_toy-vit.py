"""CMDG on the toy CLIP that ships with the plugin: 96x48 pixels, a few million parameters, trains on a CPU."""

_base_ = ['./cmdg_losses.py']

model = dict(
    type='CMDGReID',
    data_preprocessor=dict(type='ReIDDataPreprocessor', normalization='instance'),
    backbone=dict(type='TextAwareCLIP', model_name='cmdg-toy-vit', pretrained='islands', image_size=(96, 48)),
    head=dict(type='ReIDHead'),
    prompts=dict(type='IdentityPrompt', num_context=4, template='A photo of a {} person.'),
    memory=dict(type='CaptionMemoryBank', momentum=0.3),
    on_nonfinite='raise',
)
