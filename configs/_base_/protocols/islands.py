"""Islands: train on four drawn domains, evaluate on two unseen ones; made on first use (about 20 s).

To choose settings without a look at the targets: CMDG_HELD_OUT=station trains on the other three sources and evaluates
on all people of that one.
"""

# From the environment, in one expression: MMEngine lets a config import nothing.
data_root = (__import__('os').environ.get('CMDG_DATA_ROOT') or 'data') + '/islands'
held_out = __import__('os').environ.get('CMDG_HELD_OUT') or 'nothing'
islands = {
    domain: dict(type='IslandsSource', domain=domain, root=data_root)
    for domain in ('harbor', 'market', 'campus', 'station', 'metro', 'alpine')
}
targets = [islands.pop('metro'), islands.pop('alpine')]
if held_out not in ('nothing', *islands):
    raise ValueError(f'CMDG_HELD_OUT must be one of {", ".join(islands)}, got {held_out}')
if held_out != 'nothing':
    targets = [dict(type='HeldOutSource', source=islands.pop(held_out))]
image_size = (48, 96)  # width, height

plain_pipeline = [
    # Pillow refuses truncated files, which OpenCV returns half gray without a word.
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='mmpretrain.Resize', scale=image_size, interpolation='bicubic', backend='pillow'),
    dict(
        type='mmpretrain.PackInputs',
        algorithm_keys=('camera', 'domain', 'image_index', 'captions'),
        meta_keys=('img_path', 'sample_idx'),
    ),
]
train_pipeline = [
    *plain_pipeline[:2],
    dict(type='mmpretrain.RandomCrop', crop_size=image_size[::-1], padding=5),
    dict(type='mmpretrain.RandomFlip', prob=0.4),
    plain_pipeline[-1],
]

train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=False,
    dataset=dict(
        type='CaptionedReIDDataset',
        sources=list(islands.values()),
        pipeline=train_pipeline,
    ),
    sampler=dict(type='IdentitySampler', num_instances=4),
    collate_fn=dict(type='default_collate'),
    drop_last=True,
)
val_dataloader = dict(
    batch_size=128,
    num_workers=1,
    persistent_workers=False,
    dataset=dict(
        type='ReIDEvaluationSet',
        targets=targets,
        pipeline=plain_pipeline,
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ReIDMetric', num_ranked_queries=6, num_worst_queries=2, num_best_queries=2)
test_evaluator = val_evaluator

custom_hooks = [
    dict(type='PromptLearningHook', pipeline=plain_pipeline, batch_size=128, num_workers=1),
    dict(type='DomainBridgingHook', pipeline=plain_pipeline, batch_size=128, num_workers=1),
]
del held_out, islands, targets
