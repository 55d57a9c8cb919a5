"""What captions bring to the recipe `cmdg-strong` on Islands, the better and the worse they are.

Rows of two sources train on the first two of those that are not held out. From another CLIP: add `--cfg-options
model.backbone.pretrained=FILE`, with a `--work-dir` of its own; `--rows` takes two rows to compare alone.

python tools/ablate.py configs/cmdg/cmdg-strong_toy-vit_islands.py --grid configs/ablations/islands_regimes.py \\
    --seeds 5 --jobs 2 --metric average/mAP average/R1
"""

dataset = 'train_dataloader.dataset'
none = {'model.losses.bridging.caption.weight': 0.0}
two = {'num_sources': '2'}
as_trained = {'custom_hooks.WeightAveragingHook.alpha': 1.0}
rows = {
    'no captions': none,
    'four captions': {},
    'no captions, not moved back': {**none, **as_trained},
    'four captions, not moved back': as_trained,
    'no captions, two sources': {**none, **two},
    'four captions, two sources': two,
    'one caption': {f'{dataset}.one_caption': True},
    'half of somebody else': {f'{dataset}.swapped_captions': 0.5},
    'all of somebody else': {f'{dataset}.swapped_captions': 1.0},
}
del dataset, none, two, as_trained
