"""Our losses and memory bank in a model of your own (`part_bank_reid.py`), by their prefix alone."""

_base_ = ['./mmpretrain_islands.py']

# Your own module; the plugin needs no import.
custom_imports = dict(imports=['part_bank_reid'])
model = dict(
    type='PartBankReID',
    num_images=1567,
    data_preprocessor=dict(type='cmdg_plugin.ReIDDataPreprocessor'),
    backbone=dict(
        type='cmdg_plugin.TextAwareCLIP', model_name='cmdg-toy-vit', pretrained='islands', image_size=(96, 48)
    ),
    losses=[
        dict(type='cmdg_plugin.PartNeighborLoss', name='part', weight=0.8),
        dict(type='cmdg_plugin.BatchHardTripletLoss', name='triplet', inputs=dict(features='global')),
        dict(
            type='cmdg_plugin.CaptionContrastiveLoss',
            name='caption',
            inputs=dict(image_regions='regions', text_regions='captions'),
        ),
    ],
)
