"""A small grid: the recipe, without one of its terms, and with another weight of it.

python tools/ablate.py configs/cmdg/cmdg_toy-vit_islands.py --grid configs/ablations/example.py --seeds 5 --jobs 2
"""

# Trained once per seed for all rows: none of them changes what comes before bridging.
shared_until = 'prompt'

rows = {
    'released': {},
    'without part': {'model.losses.bridging.part.weight': 0},
    'more part': {'model.losses.bridging.part.weight': 1.6},
}
