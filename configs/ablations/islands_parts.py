"""What published parts bring on Islands, on top of the released recipe and of training on identities alone.

python tools/ablate.py configs/cmdg/cmdg_toy-vit_islands.py --grid configs/ablations/islands_parts.py --seeds 5 --jobs 2
"""

# Rows of one recipe train warm-up and prompts once per seed. Of hooks, rows differ in averaging the bridging alone.
shared_until = 'prompt'
only_later = ['custom_hooks']

id_captions = 'configs/ablations/id-captions_toy-vit_islands.py'
id_only = 'configs/baselines/id-only_toy-vit_islands.py'
sampler = 'train_dataloader.sampler'
hard = {f'{sampler}.type': 'HardIdentitySampler'}
hard_captions = {**hard, f'{sampler}.text': 'captions'}
graph = {f'{sampler}.type': 'GraphIdentitySampler'}
multi_positive = {'model.losses.bridging.caption.type': 'MultiPositiveCaptionLoss'}
averaged = 'custom_hooks.WeightAveragingHook.start_epoch'
llrd = {
    'optim_wrapper.constructor': 'LayerDecayConstructor',
    'optim_wrapper.paramwise_cfg': dict(layer_decay_rate=0.75),
}
rows = {
    'released': {},
    'released, multi-positive captions': multi_positive,
    'released, hard batches by image': hard,
    'released, hard batches by image and captions': hard_captions,
    'released, graph batches': graph,
    'released, identity memory': dict(config='configs/ablations/identity-memory_toy-vit_islands.py'),
    'released, look-alike captions': dict(config='configs/ablations/look-alikes_toy-vit_islands.py'),
    'released, averaged': dict(config='configs/ablations/averaged_toy-vit_islands.py'),
    'released, averaged over all of bridging': dict(
        config='configs/ablations/averaged_toy-vit_islands.py', options={averaged: 0}
    ),
    'released, layer-wise decay': llrd,
    'released, L2-SP': dict(config='configs/ablations/l2-sp_toy-vit_islands.py'),
    'identity only': dict(config=id_only),
    'identity only, hard batches by image': dict(config=id_only, options=hard),
    'identity only, hard batches by image and captions': dict(config=id_only, options=hard_captions),
    'identity only, graph batches': dict(config=id_only, options=graph),
    'identity only, identity memory': dict(config='configs/ablations/identity-memory_id-only_toy-vit_islands.py'),
    'identity only, averaged': dict(config='configs/ablations/averaged_id-only_toy-vit_islands.py'),
    'identity only, layer-wise decay': dict(config=id_only, options=llrd),
    'identity only, L2-SP': dict(config='configs/ablations/l2-sp_id-only_toy-vit_islands.py'),
    'identity and captions': dict(config=id_captions),
    'identity and multi-positive captions': dict(config=id_captions, options=multi_positive),
}
del id_captions, id_only, sampler, hard, hard_captions, graph, multi_positive, averaged, llrd
