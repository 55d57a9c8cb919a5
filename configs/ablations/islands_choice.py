"""The settings among which `cmdg-strong` was chosen, scored on held-out sources (docs/ablation.md).

python tools/ablate.py configs/cmdg/cmdg-strong_toy-vit_islands.py --grid configs/ablations/islands_choice.py \\
    --held-out harbor market --seeds 1 --jobs 2 --metric average/mAP average/R1
"""

weight, rate = 'model.losses.bridging.caption.weight', 'optim_wrapper.optimizer.lr'
alpha = 'custom_hooks.WeightAveragingHook.alpha'
sampler, text = 'train_dataloader.sampler.type', 'train_dataloader.sampler.text'
plain = {f'train_dataloader.dataset.pipeline.5.{name}': 0 for name in ('brightness', 'contrast', 'saturation', 'hue')}
random = {'model.flip_test': False, sampler: 'IdentitySampler'}
before = {**random, **plain, alpha: 1.0}
rows = {
    'at 6e-5, no captions': {**before, rate: 6e-5, weight: 0.0},
    'at 6e-5, captions 0.6': {**before, rate: 6e-5, weight: 0.6},
    'at 6e-5, captions 2': {**before, rate: 6e-5},
    'at 6e-5, captions 6': {**before, rate: 6e-5, weight: 6.0},
    'at 6e-5, captions 20': {**before, rate: 6e-5, weight: 20.0},
    'at 2e-4, captions 2': before,
    'at 2e-4, captions 6': {**before, weight: 6.0},
    'half way back, at 6e-5, no captions': {**random, **plain, rate: 6e-5, weight: 0.0},
    'half way back, at 6e-5, captions 6': {**random, **plain, rate: 6e-5, weight: 6.0},
    'half way back, at 2e-4, captions 2': {**random, **plain},
    'half way back, colors, at 2e-4, no captions': {**random, weight: 0.0},
    'half way back, colors, at 2e-4, captions 2': random,
    'half way back, colors, at 2e-4, captions 6': {**random, weight: 6.0},
    'half way back, colors, at 5e-4, captions 2': {**random, rate: 5e-4},
    'half way back, colors, look-alikes, at 2e-4, captions 2': {'model.flip_test': False},
    'half way back, colors, look-alikes, at 5e-4, captions 2': {'model.flip_test': False, rate: 5e-4},
    'half way back, colors, look-alikes by captions, too': {'model.flip_test': False, text: 'captions'},
}
del weight, rate, alpha, sampler, text, plain, random, before
