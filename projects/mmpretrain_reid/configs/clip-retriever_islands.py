"""Our backbone in mmpretrain's `ImageToImageRetriever`, trained with its ArcFace head."""

_base_ = ['./mmpretrain_islands.py']

num_identities = 192
model = dict(
    type='cmdg_plugin.FeatureRetriever',
    model=dict(
        type='ImageToImageRetriever',
        data_preprocessor=dict(type='cmdg_plugin.ReIDDataPreprocessor'),
        image_encoder=dict(
            type='cmdg_plugin.TextAwareCLIP', model_name='cmdg-toy-vit', pretrained='islands', image_size=(96, 48)
        ),
        head=dict(type='ArcFaceClsHead', num_classes=num_identities, in_channels=128 + 96, scale=16.0, margins=0.1),
        prototype=_base_.val_dataloader,
    ),
)
