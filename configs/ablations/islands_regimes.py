"""What captions bring to the candidate `cmdg-strong` on Islands, the better and the worse they are.

With fewer source domains: add `--cfg-options num_sources=2` and another `--work-dir`, and name the sources to hold out.

python tools/ablate.py configs/cmdg/cmdg-strong_toy-vit_islands.py --grid configs/ablations/islands_regimes.py \\
    --held-out all
"""

# No stage but the last reads captions.
shared_until = 'prompt'
only_later = ['train_dataloader.dataset.swapped_captions', 'train_dataloader.dataset.one_caption']

dataset = 'train_dataloader.dataset'
single = {'model.losses.bridging.caption.type': 'CaptionContrastiveLoss'}
rows = {
    'no captions': {'model.losses.bridging.caption.weight': 0.0},
    'four captions': {},
    'four captions, only the own right': single,
    'one caption': {f'{dataset}.one_caption': True},
    'a quarter of somebody else': {f'{dataset}.swapped_captions': 0.25},
    'half of somebody else': {f'{dataset}.swapped_captions': 0.5},
    'all of somebody else': {f'{dataset}.swapped_captions': 1.0},
}
del dataset, single
