"""Protocol 1: train on all images of four datasets, test on four small ones."""

_base_ = ['./benchmarks.py']

benchmark = dict(type='BenchmarkSource', data_root=_base_.data_root)
targets = dict(dataset=dict(targets=[dict(**benchmark, name=name) for name in ('prid', 'grid', 'viper', 'ilids')]))

train_dataloader = dict(
    dataset=dict(
        sources=[
            dict(**benchmark, name='market1501'),
            dict(**benchmark, name='cuhksysu'),
            dict(**benchmark, name='cuhk02'),
            dict(**benchmark, name='cuhk03', version=_base_.cuhk03_version),
        ],
        subsets='all',
        index_cache='work_dirs/index/p1.index',
    ),
)
val_dataloader = targets
test_dataloader = targets
del benchmark, targets
