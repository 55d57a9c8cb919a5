"""Learning rates of the toy's image tower, to be chosen on held-out sources.

python tools/ablate.py configs/baselines/id-only_toy-vit_islands.py \\
    --grid configs/ablations/islands_rates.py --held-out all --seeds 1 --jobs 2
"""

grid = {'optim_wrapper.optimizer.lr': [2e-5, 6e-5, 2e-4, 6e-4]}
