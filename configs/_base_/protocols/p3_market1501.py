"""Protocol 3: as protocol 2, on all images of the sources instead of their training images."""

_base_ = ['./p2_market1501.py']

train_dataloader = dict(dataset=dict(subsets='all', index_cache='work_dirs/index/p3_market1501.index'))
