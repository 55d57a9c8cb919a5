"""The whole method around any image tower: the released recipe with bridging that captions guide (see docs/method.md).

The stage `bridging` alone differs: entries of other domains with the most similar captions join the neighbors.
"""

_base_ = ['./cmdg_shared.py']

search = dict(
    type='TextNeighborSearch', name='text_search', num_neighbors=10, start_epoch=1, outputs=['text_neighbors']
)
log = dict(type='NeighborDiagnostics', name='neighbors', inputs=dict(text_neighbors='text_neighbors'))
part, soft_identity, *others = _base_.model.losses.bridging
part.update(text_weight=0.5, inputs=dict(text_neighbors='text_neighbors'))
soft_identity.update(text_ratio=0.2, inputs=dict(soft_identity.inputs, text_neighbors='text_neighbors'))

model = dict(losses=dict(bridging=[search, part, soft_identity, *others, log]))
del search, log, part, soft_identity, others
