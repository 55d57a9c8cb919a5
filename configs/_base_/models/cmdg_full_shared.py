"""The whole method around any image tower: the released recipe with bridging that captions guide (see docs/method.md).

The stage `bridging` alone differs: entries of other domains with the most similar captions join the neighbors.
"""

_base_ = ['./cmdg_shared.py']

search = dict(
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
)
log = dict(
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
)
part, soft_identity, *others = _base_.model.losses.bridging
part.update(text_weight=0.5, inputs=dict(part.inputs, text_neighbors='text_neighbors'))
soft_identity.update(text_ratio=0.2, inputs=dict(soft_identity.inputs, text_neighbors='text_neighbors'))

model = dict(losses=dict(bridging=[search, part, soft_identity, *others, log]))
del search, log, part, soft_identity, others
