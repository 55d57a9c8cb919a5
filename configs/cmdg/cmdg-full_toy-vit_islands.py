"""The full recipe on a benchmark that ships with the plugin: three stages, two unseen domains, minutes on a CPU.

python tools/train.py configs/cmdg/cmdg-full_toy-vit_islands.py
"""

_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/cmdg_toy-vit_full.py',
    '../_base_/protocols/islands.py',
    '../_base_/schedules/cmdg_toy.py',
]
