"""Random transforms drawn in the loader's workers, or on the model's device: the same scores up to noise.

python tools/ablate.py configs/baselines/id-only_toy-vit_islands.py --grid configs/ablations/islands_augmentation.py \\
    --seeds 5 --jobs 2 --metric average/mAP average/R1
"""

rows = {'in the workers': {}, 'on the device': {'train_cfg.device_augmentation': True}}
