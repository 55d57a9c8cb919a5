"""The recipe `cmdg-strong` on Islands, beside the baselines and CMDG's other recipes, and without each of its parts.

Its settings were chosen on held-out sources; without `--held-out all`, rows are scored on the unseen domains.

python tools/ablate.py configs/cmdg/cmdg-strong_toy-vit_islands.py --grid configs/ablations/islands_strong.py \\
    --seeds 5 --jobs 2 --metric average/mAP average/R1
"""

# Rows of one recipe train warm-up and prompts once per seed; mirror images are for scores alone, and a list of terms
# that a base file names is read by the stage that takes it.
shared_until = 'prompt'
only_later = ['model.flip_test', 'dsm_clip_image_terms']

averaging = 'custom_hooks.WeightAveragingHook'
caption = 'model.losses.bridging.caption'
rows = {
    'strong': {},
    'identity only': dict(config='configs/baselines/id-only_toy-vit_islands.py'),
    'CLIP-ReID': dict(config='configs/baselines/clip-reid_toy-vit_islands.py'),
    'CILP-FGDI style': dict(config='configs/baselines/cilp-fgdi_toy-vit_islands.py'),
    'PAT style': dict(config='configs/baselines/pat_toy-vit_islands.py'),
    'DSM-CLIP style': dict(config='configs/baselines/dsm-clip_toy-vit_islands.py'),
    'released': dict(config='configs/cmdg/cmdg_toy-vit_islands.py'),
    'full': dict(config='configs/cmdg/cmdg-full_toy-vit_islands.py'),
    'identity only, averaged, half way back': dict(
        config='configs/ablations/averaged_id-only_toy-vit_islands.py', options={f'{averaging}.alpha': 0.5}
    ),
    'strong without captions': {f'{caption}.weight': 0.0},
    'strong, only the own caption right': {f'{caption}.type': 'CaptionContrastiveLoss'},
    'strong, not moved back': {f'{averaging}.alpha': 1.0},
    'strong, averaged over the last epoch alone': {f'{averaging}.start_epoch': 17},
    'strong, at the rate of the others': {'optim_wrapper.optimizer.lr': 6e-5},
    'strong, random batches': {'train_dataloader.sampler.type': 'IdentitySampler'},
    'strong, colors as they are': {
        f'train_dataloader.dataset.pipeline.5.{name}': 0 for name in ('brightness', 'contrast', 'saturation', 'hue')
    },
    'strong without mirror images': {'model.flip_test': False},
}
del averaging, caption
