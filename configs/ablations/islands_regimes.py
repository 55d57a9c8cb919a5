"""What captions bring to the recipe `cmdg-strong` on Islands, the better and the worse they are.

With fewer source domains: add `--cfg-options num_sources=2`; from another CLIP: `--cfg-options
model.backbone.pretrained=FILE`; each with a `--work-dir` of its own.

python tools/ablate.py configs/cmdg/cmdg-strong_toy-vit_islands.py --grid configs/ablations/islands_regimes.py \\
    --seeds 5 --jobs 2 --metric average/mAP average/R1
"""

dataset = 'train_dataloader.dataset'
none = {'model.losses.bridging.caption.weight': 0.0}
as_trained = {'custom_hooks.WeightAveragingHook.alpha': 1.0}
rows = {
    'no captions': none,
    'four captions': {},
    'no captions, not moved back': {**none, **as_trained},
    'four captions, not moved back': as_trained,
    'one caption': {f'{dataset}.one_caption': True},
    'half of somebody else': {f'{dataset}.swapped_captions': 0.5},
    'all of somebody else': {f'{dataset}.swapped_captions': 1.0},
}
del dataset, none, as_trained
