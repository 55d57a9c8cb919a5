import pytest

from cmdg_plugin.datasets.samplers.batch_size import tell_batch_size


def test_a_sampler_that_composes_batches_learns_their_size() -> None:
    assert tell_batch_size({'type': 'IdentitySampler'}, 8) == {'type': 'IdentitySampler', 'batch_size': 8}
    assert tell_batch_size({'type': 'IdentitySampler', 'batch_size': 8}, 8)['batch_size'] == 8
    with pytest.raises(ValueError, match=r'train_dataloader\.batch_size is 8, but its sampler composes batches of 4'):
        tell_batch_size({'type': 'IdentitySampler', 'batch_size': 4}, 8)


@pytest.mark.parametrize('kind', ['DefaultSampler', 'NobodyKnows'])
def test_other_samplers_stay_as_they_are(kind: str) -> None:
    assert tell_batch_size({'type': kind, 'shuffle': True}, 8) == {'type': kind, 'shuffle': True}
