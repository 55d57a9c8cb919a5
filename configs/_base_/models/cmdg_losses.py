"""Loss terms of the released recipe, stage by stage, with every weight (CMDG; see docs/method.md).

`inputs` says which of the stage's named tensors each argument of a loss gets; a term's `outputs` may feed later terms.
"""

cross_entropy = dict(type='SoftIdentityLoss', smoothing=0.1)
triplet = dict(type='BatchHardTripletLoss', margin=None)

model = dict(
    losses=dict(
        warmup=[
            dict(**cross_entropy, name='id_width', inputs=dict(logits='logits_width', targets='labels')),
            dict(**cross_entropy, name='id_shared', inputs=dict(logits='logits_shared', targets='labels')),
            dict(**triplet, name='triplet_token', inputs=dict(features='last_block_token', labels='labels')),
            dict(**triplet, name='triplet_width', inputs=dict(features='global_width', labels='labels')),
            dict(**triplet, name='triplet_shared', inputs=dict(features='global_shared', labels='labels')),
        ],
        prompt=[
            dict(
                type='PromptContrastiveLoss',
                name='prompt',
                temperature=1.0,
                inputs=dict(image='global_shared', text='prompt_texts', labels='labels'),
            ),
        ],
        bridging=[
            dict(
                type='PartNeighborLoss',
                name='part',
                weight=0.8,
                num_neighbors=10,
                scale=0.02,
                inputs=dict(
                    parts='parts',
                    bank='bank',
                    positions='image_index',
                    valid='bank_filled',
                    bank_norms='bank_norms',
                    first_row='bank_first_row',
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
                inputs=dict(logits='logits_width', targets='labels', neighbors='neighbors', bank_labels='bank_labels'),
            ),
            dict(**triplet, name='triplet', weight=2.5, inputs=dict(features='global_shared', labels='labels')),
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
        ],
    ),
)
del cross_entropy, triplet
