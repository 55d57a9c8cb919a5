"""Loss terms of CLIP-ReID's second stage (Li et al., 2023: L_id + L_tri + L_i2tce), weighted as in its public code.

Identity terms 0.25 on two logits, triplets 1 with margin 0.3 on three features, image-to-text 1, label smoothing 0.1.
"""

identity = dict(type='SoftIdentityLoss', smoothing=0.1, weight=0.25)
triplet = dict(type='BatchHardTripletLoss', margin=0.3)

clip_reid_image_terms = [
    dict(**identity, name='id_width', inputs=dict(logits='logits_width')),
    dict(**identity, name='id_shared', inputs=dict(logits='logits_shared')),
    dict(**triplet, name='triplet_token', inputs=dict(features='last_block_token')),
    dict(**triplet, name='triplet_width', inputs=dict(features='global_width')),
    dict(**triplet, name='triplet_shared', inputs=dict(features='global_shared')),
    dict(
        type='PromptClassificationLoss',
        name='image_to_text',
        smoothing=0.1,
        inputs=dict(image='global_shared'),
    ),
]
del identity, triplet
