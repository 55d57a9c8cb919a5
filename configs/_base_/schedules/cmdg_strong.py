"""Recipe `strong`: the 63 image epochs of the released recipe in one stage, at its rates, the last third averaged."""

_base_ = ['./cmdg_released.py']

warmup, prompt, bridging = _base_.train_cfg.stages
bridging.update(
    epochs=warmup.epochs + bridging.epochs,
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.19, end_factor=1.0, begin=0, end=10),
        dict(type='MultiStepLR', milestones=[42, 57], gamma=0.1),
    ],
)
train_cfg = dict(stages=[bridging])

# For `custom_hooks`, which the protocol's file holds. All of the trained tower: how far back to its pretrained weights
# (alpha) is chosen after training, on a source that was put aside (docs/method.md, WiSE-FT).
averaging = dict(type='WeightAveragingHook', stage='bridging', start_epoch=42, alpha=1.0)
del warmup, prompt, bridging
