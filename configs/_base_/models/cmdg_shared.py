"""CMDG around any image tower: normalization, head, prompts, memory bank, losses."""

_base_ = ['./cmdg_losses.py']

model = dict(
    type='CMDGReID',
    data_preprocessor=dict(type='ReIDDataPreprocessor', normalization='instance'),
    head=dict(type='ReIDHead'),
    prompts=dict(type='IdentityPrompt', num_context=4, template='A photo of a {} person.'),
    memory=dict(type='CaptionMemoryBank', momentum=0.3),
    on_nonfinite='raise',
)
