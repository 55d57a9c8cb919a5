"""CMDG's toy run with the identity memory in its bridging, begun from the identity prompts.

python tools/train.py configs/ablations/identity-memory_toy-vit_islands.py
"""

_base_ = ['../cmdg/cmdg_toy-vit_islands.py']

memory = dict(type='IdentityMemoryLoss', name='memory', start='prompts', inputs=dict(features='global_shared'))
model = dict(losses=dict(bridging=[*_base_.model.losses.bridging, memory]))
del memory
