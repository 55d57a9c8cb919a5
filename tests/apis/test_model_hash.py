import copy
from pathlib import Path

from cmdg_plugin.apis import init_model
from cmdg_plugin.apis.model_hash import hash_model

CONFIG = Path(__file__).parents[2] / 'configs/cmdg/cmdg_toy-vit_islands.py'


def test_weights_and_preparation_count_and_nothing_else() -> None:
    model = init_model(CONFIG, device='cpu')
    first = hash_model(model)
    assert len(first) == 64
    assert hash_model(init_model(CONFIG, device='cpu')) == first
    other = copy.deepcopy(model)
    other.backbone.norm_shared.bias.data[0] += 1e-3
    assert hash_model(other) != first
    other = copy.deepcopy(model)
    other._config.test_dataloader.dataset.pipeline[1].interpolation = 'bilinear'
    assert hash_model(other) != first
    other = copy.deepcopy(model)
    other._config.train_dataloader.batch_size = 7
    assert hash_model(other) == first
