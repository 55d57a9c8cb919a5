"""CILP-FGDI's prompts beside CMDG's toy run: identities' prompts that hide the domain, domains' prompts that name it.

Tower, data and epochs (10 + 20 + 8) are the toy run's; captions are not read. Where the weights come from, and what
differs from the paper: docs/baselines.md.

python tools/train.py configs/baselines/cilp-fgdi_toy-vit_islands.py
"""

_base_ = ['../cmdg/cmdg_toy-vit_islands.py', '../_base_/models/cilp-fgdi_losses.py']

model = dict(
    prompts=dict(domain_template='A photo of a {} person from {} dataset.', num_domain_context=1),
    losses=dict(prompt=_base_.cilp_fgdi_prompt_terms, bridging=_base_.cilp_fgdi_image_terms),
)

warmup, prompt, bridging = _base_.train_cfg.stages
prompt.update(
    trainable=['prompts', 'losses.prompt'],
    # The domain classifier starts at 0.01.
    optim_wrapper=dict(
        optimizer=dict(lr=3.5e-3), paramwise_cfg=dict(custom_keys={'losses.prompt': dict(lr_mult=0.01 / 3.5e-3)})
    ),
)
train_cfg = dict(stages=[warmup, prompt, bridging])
del warmup, prompt, bridging
