"""What every run shares: scope, hooks, logging, seed."""

default_scope = 'cmdg_plugin'

default_hooks = dict(
    timer=dict(type='StageIterTimerHook'),
    logger=dict(type='LoggerHook', interval=20),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # The last epoch counts: a checkpoint is never chosen by its score on a target. Two are kept because the oldest is
    # removed before the newest is written, which happens in one stroke.
    checkpoint=dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=2, backend_args=dict(backend='cmdg_plugin.atomic')
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    results=dict(type='ResultsHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

model_wrapper_cfg = dict(
    type='MMDistributedDataParallel',
    # Each stage uses some parts of the model and leaves others alone.
    find_unused_parameters=True,
    broadcast_buffers=False,
    # Taken from where the model is: a number would keep it from running on CPUs.
    device_ids=None,
)

log_processor = dict(type='StageLogProcessor', window_size=10)
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
log_level = 'INFO'

load_from = None
resume = False
randomness = dict(seed=0)
auto_scale_lr = dict(base_batch_size=64, enable=False)
