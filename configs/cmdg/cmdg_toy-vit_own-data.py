"""Your own cameras: copy this file to any folder, change the paths, run it (see docs/own-data.md).

python tools/train.py configs/cmdg/cmdg_toy-vit_own-data.py --cfg-options data_root=/path/to/data
"""

# What this file does not say, this config says, which lies in the installed package: a copy finds it from anywhere.
_base_ = f'{__import__("cmdg_plugin").__path__[0]}/.mim/configs/cmdg/cmdg_toy-vit_islands.py'
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
