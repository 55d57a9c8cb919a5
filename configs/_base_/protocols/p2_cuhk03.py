"""Protocol 2: train on the training images of Market-1501, MSMT17 and CUHK-SYSU, test on CUHK03."""

_base_ = ['./benchmarks.py']

benchmark = dict(type='BenchmarkSource', data_root=_base_.data_root)
targets = dict(dataset=dict(targets=[dict(**benchmark, name='cuhk03', version=_base_.cuhk03_version)]))

train_dataloader = dict(
    dataset=dict(
        sources=[
            dict(**benchmark, name='market1501'),
            dict(**benchmark, name='msmt17', version=_base_.msmt17_version),
            dict(**benchmark, name='cuhksysu'),
        ],
        subsets=['train'],
        index_cache='work_dirs/index/p2_cuhk03.index',
    ),
)
val_dataloader = targets
test_dataloader = targets
del benchmark, targets
