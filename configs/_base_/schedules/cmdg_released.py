"""The released recipe's three stages: 3 + 120 + 60 epochs, Adam, one schedule a stage (CMDG; see docs/method.md)."""

image_side = ['image', 'head']
image_schedule = [
    # 0.1 + 0.09 e of the full rate in epoch e; the full rate from epoch 10 on, a tenth from 40, a hundredth from 55.
    dict(type='LinearLR', start_factor=0.19, end_factor=1.0, begin=0, end=10),
    dict(type='MultiStepLR', milestones=[39, 54], gamma=0.1),
]

optim_wrapper = dict(
    # Mixed precision; in full precision, with a line in the log, where there is no GPU.
    type='AmpOptimWrapper',
    # Fused: one pass over weights, gradients and means, with the same numbers up to rounding.
    optimizer=dict(type='Adam', lr=5e-6, weight_decay=1e-4, fused=True),
    paramwise_cfg=dict(custom_keys={'classifier': dict(lr_mult=1.2)}),
)
train_cfg = dict(
    type='StagedTrainLoop',
    stages=[
        dict(name='warmup', epochs=3, trainable=image_side, param_scheduler=image_schedule),
        dict(
            name='prompt',
            epochs=120,
            trainable=['prompts'],
            optim_wrapper=dict(optimizer=dict(lr=3.5e-4)),
            param_scheduler=dict(
                type='WarmupCosineLR', warmup_epochs=5, start_ratio=1e-5 / 3.5e-4, end_ratio=1e-6 / 3.5e-4
            ),
            train_dataloader=dict(
                # Cached features of shuffled rows: this stage reads no image.
                dataset=dict(type='SampleIndices'),
                sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
                collate_fn=dict(_delete_=True, type='cmdg_plugin.collate_sample_indices'),
                batch_size=64,
                num_workers=0,
                drop_last=False,
            ),
        ),
        dict(name='bridging', epochs=60, trainable=image_side, param_scheduler=image_schedule),
    ],
)
val_cfg = dict()
test_cfg = dict()
del image_side, image_schedule
