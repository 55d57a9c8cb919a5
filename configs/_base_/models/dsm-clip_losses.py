"""Loss terms of DSM-CLIP's second stage, as in its public code: identity, triplet and the memory of identities.

Identity on two logits, triplet on two features, memory that starts from the prompts (momentum 0.2, hardest image). The
weights and the memory's temperature are not published: 1, and Cluster Contrast's 0.05.
"""

identity = dict(type='SoftIdentityLoss', smoothing=0.1)
triplet = dict(type='BatchHardTripletLoss', margin=None)

dsm_clip_image_terms = [
    dict(**identity, name='id_width', inputs=dict(logits='logits_width')),
    dict(**identity, name='id_shared', inputs=dict(logits='logits_shared')),
    dict(**triplet, name='triplet_width', inputs=dict(features='global_width')),
    dict(**triplet, name='triplet_shared', inputs=dict(features='global_shared')),
    dict(
        type='IdentityMemoryLoss',
        name='memory',
        temperature=0.05,
        momentum=0.2,
        start='prompts',
        inputs=dict(features='global_shared'),
    ),
]
del identity, triplet
