"""Loss terms of the released recipe, stage by stage, with every weight (CMDG; see docs/method.md).

`inputs` says which of the stage's fields an argument of a loss gets; the others get the field of their own name. A
term's `outputs` may feed later terms.
"""

cross_entropy = dict(type='SoftIdentityLoss', smoothing=0.1)
triplet = dict(type='BatchHardTripletLoss', margin=None)

model = dict(
    losses=dict(
        warmup=[
            dict(**cross_entropy, name='id_width', inputs=dict(logits='logits_width')),
            dict(**cross_entropy, name='id_shared', inputs=dict(logits='logits_shared')),
            dict(**triplet, name='triplet_token', inputs=dict(features='last_block_token')),
            dict(**triplet, name='triplet_width', inputs=dict(features='global_width')),
            dict(**triplet, name='triplet_shared', inputs=dict(features='global_shared')),
        ],
        prompt=[
            dict(
                type='PromptContrastiveLoss',
                name='prompt',
                temperature=1.0,
                inputs=dict(image='global_shared', text='prompt_texts'),
            ),
        ],
        bridging=[
            dict(
                type='PartNeighborLoss',
                name='part',
                weight=0.8,
                num_neighbors=10,
                scale=0.02,
                outputs=['neighbors'],
            ),
            dict(
                type='SoftIdentityLoss',
                name='soft_identity',
                weight=2.5 * 1.5,
                smoothing=0.1,
                soft_weight=0.5,
                soft_ratio=0.5,
                inputs=dict(logits='logits_width', neighbors='neighbors', bank='bank'),
            ),
            dict(**triplet, name='triplet', weight=2.5, inputs=dict(features='global_shared')),
            dict(
                type='CaptionContrastiveLoss',
                name='caption',
                weight=1.5,
                temperature=0.1,
                inputs=dict(text_regions='caption_regions'),
            ),
            dict(
                type='PromptClassificationLoss',
                name='prompt',
                weight=0.8,
                inputs=dict(image='global_shared'),
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
