"""Data, sampler and metric of this plugin in mmpretrain's scope; every piece is found by its prefix."""

default_scope = 'mmpretrain'
# From the environment, in one expression: MMEngine lets a config import nothing.
data_root = (__import__('os').environ.get('CMDG_DATA_ROOT') or 'data') + '/islands'
image_size = (48, 96)  # width, height

test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_size, interpolation='bicubic', backend='pillow'),
    dict(type='PackInputs', algorithm_keys=('image_index', 'captions')),
]
train_pipeline = [
    *test_pipeline[:2],
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    test_pipeline[-1],
]

train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    dataset=dict(
        type='cmdg_plugin.CaptionedReIDDataset',
        sources=[
            dict(type='IslandsSource', domain=domain, root=data_root)
            for domain in ('harbor', 'market', 'campus', 'station')
        ],
        pipeline=train_pipeline,
    ),
    sampler=dict(type='cmdg_plugin.IdentitySampler', batch_size=64, num_instances=4),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=1,
    dataset=dict(
        type='cmdg_plugin.ReIDEvaluationSet',
        targets=[dict(type='IslandsSource', domain=domain, root=data_root) for domain in ('metro', 'alpine')],
        pipeline=test_pipeline,
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='cmdg_plugin.ReIDMetric')
test_evaluator = val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=10, val_interval=10)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=6e-5, weight_decay=1e-4))
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=10), checkpoint=dict(type='CheckpointHook', max_keep_ckpts=1)
)
randomness = dict(seed=0)
auto_scale_lr = dict(base_batch_size=64)
