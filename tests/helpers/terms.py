"""Entries of a list of loss terms, as a config writes them."""

PART = dict(
    type='PartNeighborLoss',
    name='part',
    weight=0.8,
    num_neighbors=4,
    inputs=dict(parts='image_parts', bank='bank', positions='image_index'),
    outputs=['neighbors'],
)
SID = dict(
    type='SoftIdentityLoss',
    name='sid',
    weight=3.75,
    inputs=dict(logits='logits', targets='labels', neighbors='neighbors', bank_labels='bank_labels'),
)
TARGETS = dict(type='SoftIdentityLoss', name='ce', inputs=dict(logits='logits', targets='labels'))
TRIPLET = dict(type='BatchHardTripletLoss', name='tri', inputs=dict(features='feature', labels='labels'))
