"""CILP-FGDI's prompts, protocol 1: all images of four datasets to PRID, GRID, VIPeR, iLIDS.

Tower, data and epochs (3 + 120 + 60) are those of cmdg_vit-base-p16_p1.py; captions are not read. See
docs/baselines.md.

python tools/train.py configs/baselines/cilp-fgdi_vit-base-p16_p1.py --cfg-options data_root=DIR
"""

_base_ = ['../cmdg/cmdg_vit-base-p16_p1.py', '../_base_/models/cilp-fgdi_losses.py']

model = dict(
    prompts=dict(domain_template='A photo of a {} person from {} dataset.', num_domain_context=1),
    losses=dict(prompt=_base_.cilp_fgdi_prompt_terms, bridging=_base_.cilp_fgdi_image_terms),
)

warmup, prompt, bridging = _base_.train_cfg.stages
prompt.update(
    trainable=['prompts', 'losses.prompt'],
    # The domain classifier starts at 0.01.
    optim_wrapper=dict(
        optimizer=dict(lr=3.5e-4), paramwise_cfg=dict(custom_keys={'losses.prompt': dict(lr_mult=0.01 / 3.5e-4)})
    ),
)
train_cfg = dict(stages=[warmup, prompt, bridging])
del warmup, prompt, bridging
