"""What the protocols on public datasets share: options, pipelines, loaders, hooks. Sources and targets: p1, p2_*, p3_*.

Each option is given by `--cfg-options name=value`, or by the environment variable in its line.
"""


def given(variable, default):
    """Return what the environment says; MMEngine lets a config import nothing."""
    return __import__('os').environ.get(variable) or default


# Folder of all datasets, with the released caption files in captions/.
data_root = given('CMDG_DATA_ROOT', 'data')
# MSMT17_V1 or MSMT17_V2 (faces blurred); labeled or detected boxes (the released captions are of the labeled ones).
msmt17_version = given('CMDG_MSMT17_VERSION', 'MSMT17_V1')
cuhk03_version = given('CMDG_CUHK03_VERSION', 'labeled')
# PRID, GRID, VIPeR, iLIDS: `all` is the mean of ten splits with the released one beside it; `released` is that alone.
split = given('CMDG_SPLIT', 'all')
image_size = given('CMDG_IMAGE_SIZE', '224x224')  # height x width, or one number for a square
num_workers = int(given('CMDG_NUM_WORKERS', 8))

height, width = __import__('cmdg_plugin.image_size').image_size.parse_size(image_size)
plain_pipeline = [
    # Pillow refuses truncated files, which OpenCV returns half gray without a word.
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='mmpretrain.Resize', scale=(width, height), interpolation='bicubic', backend='pillow'),
    dict(
        type='mmpretrain.PackInputs',
        algorithm_keys=('camera', 'domain', 'image_index', 'captions'),
        meta_keys=('img_path',),
    ),
]
train_pipeline = [
    *plain_pipeline[:2],
    # torchvision's transforms draw on Pillow images in RGB, everything else here on arrays in BGR.
    dict(type='mmpretrain.NumpyToPIL', to_rgb=True),
    dict(type='mmpretrain.torchvision/RandomGrayscale', p=0.1),
    dict(type='mmpretrain.torchvision/RandomCrop', size=(height, width), padding=10),
    dict(type='mmpretrain.torchvision/RandomHorizontalFlip', p=0.4),
    dict(
        type='RandomApply',
        prob=0.1,
        transforms=[
            dict(type='mmpretrain.torchvision/ColorJitter', brightness=0.15, contrast=0.1, saturation=0.05, hue=0.05),
        ],
    ),
    dict(type='mmpretrain.PILToNumpy', to_bgr=True),
    dict(type='RandomApply', prob=0.6, transforms=[dict(type='AugMix', width=3, depth=1, severity=1, coefficient=0.1)]),
    # Random erasing is off in the released recipe.
    plain_pipeline[-1],
]

train_dataloader = dict(
    batch_size=64,  # 16 identities with 4 images each, on every GPU
    num_workers=num_workers,
    persistent_workers=False,
    pin_memory=True,
    dataset=dict(type='CaptionedReIDDataset', pipeline=train_pipeline),
    sampler=dict(type='IdentitySampler', num_instances=4),
    collate_fn=dict(type='default_collate'),
    drop_last=True,
)
val_dataloader = dict(
    batch_size=128,
    num_workers=num_workers,
    persistent_workers=False,
    pin_memory=True,
    dataset=dict(type='ReIDEvaluationSet', split=split, pipeline=plain_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ReIDMetric', num_ranked_queries=6, num_worst_queries=2, num_best_queries=2)
test_evaluator = val_evaluator

custom_hooks = [
    dict(type='PromptLearningHook', pipeline=plain_pipeline, batch_size=128, num_workers=num_workers),
    dict(type='DomainBridgingHook', pipeline=plain_pipeline, batch_size=128, num_workers=num_workers),
    # Idle, unless the warm-up's sampler compares identities or a loss term keeps them.
    dict(type='StagePreparationHook', stage='warmup', pipeline=plain_pipeline, batch_size=128, num_workers=num_workers),
]
del height, width
