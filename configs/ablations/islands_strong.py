"""The candidate `cmdg-strong` on Islands, beside the baselines and CMDG's recipes, and without each of its parts.

Settings are chosen on held-out sources; without `--held-out all`, rows are scored on the unseen domains.

python tools/ablate.py configs/cmdg/cmdg-strong_toy-vit_islands.py --grid configs/ablations/islands_strong.py \\
    --held-out all
"""

# Rows of one recipe train warm-up and prompts once per seed; mirror images are for scores alone, and a list of terms
# that a base file names is read by the stage that takes it.
shared_until = 'prompt'
only_later = ['model.flip_test', 'dsm_clip_image_terms']

bridging = 'model.losses.bridging'
batches = 'train_cfg.stages.bridging.train_dataloader'
rows = {
    'strong': {},
    'identity only': dict(config='configs/baselines/id-only_toy-vit_islands.py'),
    'CLIP-ReID': dict(config='configs/baselines/clip-reid_toy-vit_islands.py'),
    'CILP-FGDI style': dict(config='configs/baselines/cilp-fgdi_toy-vit_islands.py'),
    'PAT style': dict(config='configs/baselines/pat_toy-vit_islands.py'),
    'DSM-CLIP style': dict(config='configs/baselines/dsm-clip_toy-vit_islands.py'),
    'released': dict(config='configs/cmdg/cmdg_toy-vit_islands.py'),
    'full': dict(config='configs/cmdg/cmdg-full_toy-vit_islands.py'),
    'strong without captions': {f'{bridging}.caption.weight': 0.0},
    'strong, only the own caption right': {f'{bridging}.caption.type': 'CaptionContrastiveLoss'},
    'strong without the memory': {f'{bridging}.memory.weight': 0.0},
    'strong without look-alike batches': {batches: dict(_delete_=True)},
    'strong, look-alike by images alone': {f'{batches}.sampler.text_weight': 0.0},
    'strong, captions for prompts': {f'{batches}.sampler.text': 'captions', f'{bridging}.memory.start': 'captions'},
    'strong, warm-up terms dropped': {
        f'{bridging}.{name}.weight': 0.0 for name in ('id_shared', 'triplet_token', 'triplet_width')
    },
    'strong without mirror images': {'model.flip_test': False},
}
del bridging, batches
