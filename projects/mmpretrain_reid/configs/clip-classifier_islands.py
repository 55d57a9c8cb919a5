"""Our backbone in mmpretrain's `ImageClassifier`."""

_base_ = ['./mmpretrain_islands.py']

num_identities = 192
model = dict(
    type='cmdg_plugin.FeatureRetriever',
    stage='backbone',
    model=dict(
        type='ImageClassifier',
        data_preprocessor=dict(type='cmdg_plugin.ReIDDataPreprocessor'),
        backbone=dict(
            type='cmdg_plugin.TextAwareCLIP', model_name='cmdg-toy-vit', pretrained='islands', image_size=(96, 48)
        ),
        head=dict(type='LinearClsHead', num_classes=num_identities, in_channels=128 + 96),
    ),
)
