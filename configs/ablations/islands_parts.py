"""What published parts bring on Islands, on top of the released recipe and of training on identities alone.

python tools/ablate.py configs/cmdg/cmdg_toy-vit_islands.py --grid configs/ablations/islands_parts.py --seeds 5 --jobs 2
"""

# Rows of one recipe train warm-up and prompts once per seed.
shared_until = 'prompt'

id_captions = 'configs/ablations/id-captions_toy-vit_islands.py'
multi_positive = {'model.losses.bridging.caption.type': 'MultiPositiveCaptionLoss'}
rows = {
    'released': {},
    'released, multi-positive captions': multi_positive,
    'identity only': dict(config='configs/baselines/id-only_toy-vit_islands.py'),
    'identity and captions': dict(config=id_captions),
    'identity and multi-positive captions': dict(config=id_captions, options=multi_positive),
}
del id_captions, multi_positive
