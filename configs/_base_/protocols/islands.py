"""Islands: train on four drawn domains, evaluate on two unseen ones; made on first use (about 20 s).

To choose settings without a look at the targets: CMDG_HELD_OUT=station trains on the other three sources and evaluates
on all people of that one. For studies: CMDG_ISLANDS=large looks for five times as many people, in three unseen domains;
CMDG_NUM_SOURCES=2 trains on the first two of the sources that are left.
"""

# From the environment, in one expression: MMEngine lets a config import nothing.
size = __import__('os').environ.get('CMDG_ISLANDS') or 'small'
if size not in ('small', 'large'):
    raise ValueError(f'CMDG_ISLANDS must be small or large, got {size}.')
folder = dict(small='/islands', large='/islands-large')[size]
data_root = (__import__('os').environ.get('CMDG_DATA_ROOT') or 'data') + folder
held_out = __import__('os').environ.get('CMDG_HELD_OUT') or 'nothing'
islands = {
    domain: dict(type='IslandsSource', domain=domain, root=data_root, size=size)
    for domain in ('harbor', 'market', 'campus', 'station', 'metro', 'alpine', 'arcade')
}
targets = [islands.pop(domain) for domain in ('metro', 'alpine', 'arcade')]
if size == 'small':
    targets.pop()
if held_out not in ('nothing', *islands):
    raise ValueError(f'CMDG_HELD_OUT must be one of {", ".join(islands)}, got {held_out}.')
if held_out != 'nothing':
    targets = [dict(type='HeldOutSource', source=islands.pop(held_out))]
sources = list(islands.values())
num_sources = __import__('os').environ.get('CMDG_NUM_SOURCES') or str(len(sources))
if num_sources not in [str(number) for number in range(1, len(sources) + 1)]:
    raise ValueError(f'CMDG_NUM_SOURCES must be from 1 to {len(sources)}, got {num_sources}.')
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
        sources=sources[: int(num_sources)],
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
    # Idle, unless the warm-up's sampler compares identities or a loss term keeps them.
    dict(type='StagePreparationHook', stage='warmup', pipeline=plain_pipeline, batch_size=128, num_workers=1),
]
del folder, held_out, islands, num_sources, size, sources, targets
