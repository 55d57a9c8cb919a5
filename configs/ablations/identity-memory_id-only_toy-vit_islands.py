"""The identity-only baseline with the identity memory, begun from the mean features of each identity's images.

python tools/train.py configs/ablations/identity-memory_id-only_toy-vit_islands.py
"""

_base_ = ['../baselines/id-only_toy-vit_islands.py']

memory = dict(type='IdentityMemoryLoss', name='memory', start='images', inputs=dict(features='global_shared'))
model = dict(losses=dict(warmup=[*_base_.model.losses.warmup, memory]))
del memory
