"""Loss terms of PAT (Ni et al., 2023), weighted as in its public code; all of its epochs train all of them.

Part loss 1 (10 neighbors, scale 0.02), identity 1 with label smoothing 0.1 and soft targets (half and half) of the
parts' neighbors, triplet 1 with a soft margin. On both logits and on three features, as CMDG's warm-up has them.
"""

identity = dict(type='SoftIdentityLoss', smoothing=0.1, soft_weight=0.5, soft_ratio=0.5)
neighbors = dict(neighbors='neighbors', bank='bank')
triplet = dict(type='BatchHardTripletLoss', margin=None)

pat_image_terms = [
    dict(type='PartNeighborLoss', name='part', num_neighbors=10, scale=0.02, outputs=['neighbors']),
    dict(**identity, name='id_width', inputs=dict(logits='logits_width', **neighbors)),
    dict(**identity, name='id_shared', inputs=dict(logits='logits_shared', **neighbors)),
    dict(**triplet, name='triplet_token', inputs=dict(features='last_block_token')),
    dict(**triplet, name='triplet_width', inputs=dict(features='global_width')),
    dict(**triplet, name='triplet_shared', inputs=dict(features='global_shared')),
]
del identity, neighbors, triplet
