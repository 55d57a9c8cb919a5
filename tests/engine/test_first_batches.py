import torch

from cmdg_plugin.engine.first_batches import FirstBatches


def test_a_short_loader_begins_anew_and_a_long_one_ends() -> None:
    loader = torch.utils.data.DataLoader([1, 2, 3], batch_size=1)
    assert [int(batch) for batch in FirstBatches(loader, 5)] == [1, 2, 3, 1, 2]
    assert [int(batch) for batch in FirstBatches(loader, 2)] == [1, 2]
    assert FirstBatches(loader, 2).batch_size == 1
