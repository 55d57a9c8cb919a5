"""The strongest published parts together, with captions: a candidate, still to be chosen on held-out sources.

After CMDG's warm-up and prompts, the last stage keeps the warm-up's terms, contrasts images with a memory of all
identities that starts from their prompts, and with captions, where all captions of an identity are right; its batches
are people who look alike by images and prompts; features are averaged over mirror images. Each part goes by one option:
`configs/ablations/islands_strong.py` has a row for each.

python tools/train.py configs/cmdg/cmdg-strong_toy-vit_islands.py
"""

_base_ = ['./cmdg_toy-vit_islands.py']

losses = _base_.model.losses
memory = dict(type='IdentityMemoryLoss', name='memory', start='prompts', inputs=dict(features='global_shared'))
(caption,) = [term for term in losses.bridging if term.name == 'caption']
# As heavy beside the identity terms as in the released recipe, where those weigh 2.5.
caption.update(type='MultiPositiveCaptionLoss', weight=1.5 / 2.5)
model = dict(flip_test=True, losses=dict(bridging=[*losses.warmup, memory, caption]))

warmup, prompt, bridging = _base_.train_cfg.stages
bridging.update(train_dataloader=dict(sampler=dict(type='HardIdentitySampler', text='prompts')))
train_cfg = dict(stages=[warmup, prompt, bridging])
del losses, memory, caption, warmup, prompt, bridging
