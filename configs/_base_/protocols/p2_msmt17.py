"""Protocol 2: train on the training images of Market-1501, CUHK-SYSU and CUHK03, test on MSMT17."""

_base_ = ['./benchmarks.py']

benchmark = dict(type='BenchmarkSource', data_root=_base_.data_root)
targets = dict(dataset=dict(targets=[dict(**benchmark, name='msmt17', version=_base_.msmt17_version)]))

train_dataloader = dict(
    dataset=dict(
        sources=[
            dict(**benchmark, name='market1501'),
            dict(**benchmark, name='cuhksysu'),
            dict(**benchmark, name='cuhk03', version=_base_.cuhk03_version),
        ],
        subsets=['train'],
        index_cache='work_dirs/index/p2_msmt17.index',
    ),
)
val_dataloader = targets
test_dataloader = targets
del benchmark, targets
