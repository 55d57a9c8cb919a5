"""What each part of the method brings on Islands, beside the baselines.

python tools/ablate.py configs/cmdg/cmdg_toy-vit_islands.py --grid configs/ablations/islands_terms.py --seeds 5 --jobs 2
"""

# Rows of one recipe train warm-up and prompts once per seed.
shared_until = 'prompt'

full = 'configs/cmdg/cmdg-full_toy-vit_islands.py'
bridging = 'model.losses.bridging'
rows = {
    'released': {},
    'identity only': dict(config='configs/baselines/id-only_toy-vit_islands.py'),
    'CLIP-ReID': dict(config='configs/baselines/clip-reid_toy-vit_islands.py'),
    'CILP-FGDI style': dict(config='configs/baselines/cilp-fgdi_toy-vit_islands.py'),
    'full': dict(config=full),
    'full, captions do not guide': dict(
        config=full,
        options={f'{bridging}.part.text_weight': 0.0, f'{bridging}.soft_identity.text_ratio': 0.0},
    ),
    'full, captions do not guide parts': dict(config=full, options={f'{bridging}.part.text_weight': 0.0}),
    'full, captions do not guide soft targets': dict(
        config=full, options={f'{bridging}.soft_identity.text_ratio': 0.0}
    ),
    'full, stripe means for parts': dict(config='configs/ablations/guided_toy-vit_islands.py'),
    'full, warm-up terms kept': dict(config='configs/ablations/kept-terms_full_toy-vit_islands.py'),
    'full without part loss': dict(config=full, options={f'{bridging}.part.weight': 0.0}),
    'full without soft targets': dict(config=full, options={f'{bridging}.soft_identity.soft_weight': 0.0}),
    'full without captions': dict(config=full, options={f'{bridging}.caption.weight': 0.0}),
    'full without prompts': dict(config=full, options={f'{bridging}.prompt.weight': 0.0}),
    'full without alignment': dict(config=full, options={f'{bridging}.alignment.weight': 0.0}),
    'released, warm-up terms kept': dict(config='configs/ablations/kept-terms_toy-vit_islands.py'),
    'released without part loss': {f'{bridging}.part.weight': 0.0},
    'released without soft targets': {f'{bridging}.soft_identity.soft_weight': 0.0},
    'released without captions': {f'{bridging}.caption.weight': 0.0},
    'released without prompts': {f'{bridging}.prompt.weight': 0.0},
    'released without alignment': {f'{bridging}.alignment.weight': 0.0},
}
del full, bridging
