"""Entries of a list of loss terms, as a config writes them."""

PART = dict(
    type='PartNeighborLoss',
    name='part',
    weight=0.8,
    num_neighbors=4,
    inputs=dict(parts='image_parts'),
    outputs=['neighbors'],
)
SID = dict(
    type='SoftIdentityLoss',
    name='sid',
    weight=3.75,
    inputs=dict(neighbors='neighbors', bank='bank'),
)
TARGETS = dict(type='SoftIdentityLoss', name='ce')
TRIPLET = dict(type='BatchHardTripletLoss', name='tri', inputs=dict(features='feature'))
