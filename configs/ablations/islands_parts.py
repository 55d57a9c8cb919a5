"""What published parts bring on Islands, on top of the released recipe and of training on identities alone.

python tools/ablate.py configs/cmdg/cmdg_toy-vit_islands.py --grid configs/ablations/islands_parts.py --seeds 5 --jobs 2
"""

# Rows of one recipe train warm-up and prompts once per seed.
shared_until = 'prompt'

id_captions = 'configs/ablations/id-captions_toy-vit_islands.py'
id_only = 'configs/baselines/id-only_toy-vit_islands.py'
sampler = 'train_dataloader.sampler'
hard = {f'{sampler}.type': 'HardIdentitySampler'}
hard_captions = {**hard, f'{sampler}.text': 'captions'}
graph = {f'{sampler}.type': 'GraphIdentitySampler'}
multi_positive = {'model.losses.bridging.caption.type': 'MultiPositiveCaptionLoss'}
rows = {
    'released': {},
    'released, multi-positive captions': multi_positive,
    'released, hard batches by image': hard,
    'released, hard batches by image and captions': hard_captions,
    'released, graph batches': graph,
    'released, identity memory': dict(config='configs/ablations/identity-memory_toy-vit_islands.py'),
    'identity only': dict(config=id_only),
    'identity only, hard batches by image': dict(config=id_only, options=hard),
    'identity only, hard batches by image and captions': dict(config=id_only, options=hard_captions),
    'identity only, graph batches': dict(config=id_only, options=graph),
    'identity only, identity memory': dict(config='configs/ablations/identity-memory_id-only_toy-vit_islands.py'),
    'identity and captions': dict(config=id_captions),
    'identity and multi-positive captions': dict(config=id_captions, options=multi_positive),
}
del id_captions, id_only, sampler, hard, hard_captions, graph, multi_positive
