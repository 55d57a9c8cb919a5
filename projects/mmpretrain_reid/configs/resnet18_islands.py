"""Your backbone and head, our data and metric: mmpretrain's ResNet-18 classifier, scored by its features."""

_base_ = ['./mmpretrain_islands.py']

num_identities = 192  # as the log says when the data are read
data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
model = dict(
    type='cmdg_plugin.FeatureRetriever',
    stage='neck',
    model=dict(
        type='ImageClassifier',
        backbone=dict(type='ResNet', depth=18),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=num_identities, in_channels=512),
    ),
)
