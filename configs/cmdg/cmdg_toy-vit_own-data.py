"""Your own cameras: copy this file, change the paths, run it (see docs/own-data.md).

python tools/train.py configs/cmdg/cmdg_toy-vit_own-data.py --cfg-options data_root=/path/to/data
"""

_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/cmdg_toy-vit.py',
    '../_base_/protocols/islands.py',
    '../_base_/schedules/cmdg_toy.py',
]
# From the environment, in one expression: MMEngine lets a config import nothing.
data_root = __import__('os').environ.get('CMDG_DATA_ROOT') or 'data'

# One entry a site whose people are nobody of the other sites: a folder, or an index (.csv, .json, .jsonl).
sources = [
    dict(type='OwnSource', name='shop', path=f'{data_root}/shop', caption_file=f'{data_root}/shop.json'),
    dict(type='OwnSource', name='office', path=f'{data_root}/office.csv', root=f'{data_root}/office'),
]
targets = [
    dict(type='OwnSource', name='street', path=f'{data_root}/street'),
    dict(type='OwnSource', name='garage', path=f'{data_root}/garage.json', root=f'{data_root}/garage'),
]

train_dataloader = dict(dataset=dict(sources=sources, subsets=('train',)))
val_dataloader = dict(dataset=dict(targets=targets))
test_dataloader = val_dataloader
