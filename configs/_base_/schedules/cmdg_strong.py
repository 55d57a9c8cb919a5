"""Recipe `strong`: the 63 image epochs of the released recipe in one stage, at its rates, the last third averaged."""

optim_wrapper = dict(
    # Mixed precision; in full precision, with a line in the log, where there is no GPU.
    type='AmpOptimWrapper',
    optimizer=dict(type='Adam', lr=5e-6, weight_decay=1e-4, fused=True),
    paramwise_cfg=dict(custom_keys={'classifier': dict(lr_mult=1.2)}),
)
train_cfg = dict(
    type='StagedTrainLoop',
    stages=[
        dict(
            name='bridging',
            epochs=63,
            trainable=['image', 'head'],
            param_scheduler=[
                dict(type='LinearLR', start_factor=0.19, end_factor=1.0, begin=0, end=10),
                dict(type='MultiStepLR', milestones=[42, 57], gamma=0.1),
            ],
        )
    ],
)
val_cfg = dict()
test_cfg = dict()

# For `custom_hooks`, which the protocol's file holds. All of the trained tower: how far back to its pretrained weights
# (alpha) is chosen after training, on a source that was put aside (docs/method.md, WiSE-FT).
averaging = dict(type='WeightAveragingHook', stage='bridging', start_epoch=42, alpha=1.0)
