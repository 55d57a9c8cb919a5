"""The whole method around any image tower: the released recipe with bridging that captions guide (see docs/method.md).

The stage `bridging` alone differs: entries of other domains with the most similar captions join the neighbors.
"""

_base_ = ['./cmdg_shared.py']

model = dict(
    losses=dict(
        bridging=[
            dict(
                type='TextNeighborSearch',
                name='text_search',
                num_neighbors=10,
                start_epoch=1,
                inputs=dict(
                    captions='caption_regions',
                    bank_text='bank_text',
                    domains='domains',
                    bank_domains='bank_domains',
                    epoch='epoch',
                    valid='bank_filled',
                    text_norms='bank_text_norms',
                    first_row='bank_first_row',
                ),
                outputs=['text_neighbors'],
            ),
            dict(
                type='PartNeighborLoss',
                name='part',
                weight=0.8,
                num_neighbors=10,
                scale=0.02,
                text_weight=0.5,
                inputs=dict(
                    parts='parts',
                    bank='bank',
                    positions='image_index',
                    valid='bank_filled',
                    bank_norms='bank_norms',
                    first_row='bank_first_row',
                    text_neighbors='text_neighbors',
                ),
                outputs=['neighbors'],
            ),
            dict(
                type='SoftIdentityLoss',
                name='soft_identity',
                weight=2.5 * 1.5,
                smoothing=0.1,
                soft_weight=0.5,
                soft_ratio=0.5,
                text_ratio=0.2,
                inputs=dict(
                    logits='logits_width',
                    targets='labels',
                    neighbors='neighbors',
                    bank_labels='bank_labels',
                    text_neighbors='text_neighbors',
                ),
            ),
            dict(
                type='BatchHardTripletLoss',
                margin=None,
                name='triplet',
                weight=2.5,
                inputs=dict(features='global_shared', labels='labels'),
            ),
            dict(
                type='CaptionContrastiveLoss',
                name='caption',
                weight=1.5,
                temperature=0.1,
                inputs=dict(image_regions='image_regions', text_regions='caption_regions'),
            ),
            dict(
                type='PromptClassificationLoss',
                name='prompt',
                weight=0.8,
                inputs=dict(image='global_shared', prompts='prompt_features', targets='labels'),
            ),
            dict(
                type='DistributionAlignmentLoss',
                name='alignment',
                weight=1.0,
                bandwidth=0.65,
                inputs=dict(image='global_shared', text='caption_global'),
            ),
            dict(
                type='NeighborDiagnostics',
                name='neighbors',
                inputs=dict(
                    neighbors='neighbors',
                    labels='labels',
                    domains='domains',
                    bank_labels='bank_labels',
                    bank_domains='bank_domains',
                    text_neighbors='text_neighbors',
                ),
            ),
        ],
    ),
)
