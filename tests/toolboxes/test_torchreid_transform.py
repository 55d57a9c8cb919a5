from pathlib import Path

import torch
import torchreid.reid as torchreid
from helpers.tiny_runs import caption_source

from cmdg_plugin.apis import extract_features
from cmdg_plugin.models import CMDGReID
from cmdg_plugin.toolboxes import TorchreidTransform, register_source


def test_model_answers_torchreids_batches(tiny_model: CMDGReID, tiny_data: Path) -> None:
    """As any torchreid model in evaluation mode: images in, features out."""
    register_source('answers', caption_source('target'))
    dataset = torchreid.data.datasets.init_image_dataset(
        'answers', root=str(tiny_data), mode='gallery', transform=TorchreidTransform(tiny_model), verbose=False
    )
    batch = next(iter(torch.utils.data.DataLoader(dataset, batch_size=4)))
    with torch.no_grad():
        features = tiny_model(batch['img'])
    expected = extract_features(tiny_model, batch['impath'], progress=False)
    assert torch.allclose(features, expected, atol=1e-6)
