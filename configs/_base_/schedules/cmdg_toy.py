"""The released recipe's three stages at the toy's size: fewer epochs, higher rates, minutes on two CPU cores."""

image_side = ['image', 'head']

# Few steps: new classifiers must learn faster than a tower that is pretrained. The rate was chosen on held-out sources,
# for training on identities alone (docs/ablation.md).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=6e-5, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'classifier': dict(lr_mult=10)}),
)
train_cfg = dict(
    type='StagedTrainLoop',
    val_before_training=True,
    stages=[
        dict(
            # More than half of the image epochs, as bridging drops terms that the retrieval feature learns from; chosen
            # on a source that was held out (docs/ablation.md).
            name='warmup',
            epochs=10,
            trainable=image_side,
            param_scheduler=dict(type='LinearLR', start_factor=0.25, end_factor=1.0, begin=0, end=4),
        ),
        dict(
            name='prompt',
            epochs=20,
            trainable=['prompts'],
            optim_wrapper=dict(optimizer=dict(lr=3.5e-3)),
            param_scheduler=dict(type='WarmupCosineLR', warmup_epochs=3, start_ratio=0.03, end_ratio=0.003),
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
        dict(
            name='bridging',
            epochs=8,
            trainable=image_side,
            param_scheduler=dict(type='MultiStepLR', milestones=[5, 7], gamma=0.1),
        ),
    ],
)
val_cfg = dict()
test_cfg = dict()
del image_side
