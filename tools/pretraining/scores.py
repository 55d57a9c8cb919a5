"""What a pretrained model knows: captions and pictures that find each other, and people found again untrained."""

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from mmengine.config import Config
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.apis import extract_features, init_model
from cmdg_plugin.datasets.sources import IslandsSource
from cmdg_plugin.evaluation import rank_retrieval
from cmdg_plugin.islands import SOURCE_DOMAINS, TARGET_DOMAINS
from cmdg_plugin.models.data_preprocessor import ReIDDataPreprocessor
from pretraining.elsewhere import Pairs
from pretraining.learner import encode_image, encode_text

_CONFIG = Path(__file__).parents[2] / 'configs' / 'cmdg' / 'cmdg_toy-vit_islands.py'
_RANKS = (1, 10)


@torch.no_grad()
def score_pairs(model: open_clip.CLIP, pairs: Pairs, tokens: Tensor) -> dict[str, float]:
    """Let pictures find their global captions among all, and captions their pictures.

    Args:
        model: The model.
        pairs: Unseen pairs.
        tokens: Token ids of their global captions, (N, L).

    Returns:
        Percent found among the first 1 and 10, such as `image to text R@1`.
    """
    images = torch.from_numpy(pairs.images).permute(0, 3, 1, 2).float()
    normalize = ReIDDataPreprocessor(to_rgb=False).normalize_rgb
    seen = torch.cat([encode_image(model, normalize(batch.float()))[0] for batch in images.split(250)])
    read = torch.cat([encode_text(model, batch) for batch in tokens.split(250)])
    similarity = functional.normalize(seen, dim=-1) @ functional.normalize(read, dim=-1).T
    scores: dict[str, float] = {}
    for direction, rows in (('image to text', similarity), ('text to image', similarity.T)):
        better = (rows > rows.diagonal()[:, None]).sum(dim=1)
        scores |= {f'{direction} R@{rank}': 100 * (better < rank).double().mean().item() for rank in _RANKS}
    return scores


def score_islands(weights: Path, root: str) -> dict[str, float]:
    """Find people of every domain of Islands again, without any training there.

    Args:
        weights: Weight file of the toy CLIP.
        root: Folder that holds Islands, or is to hold it.

    Returns:
        mAP and R1 of every domain and the averages over sources and targets, percent.
    """
    config = Config.fromfile(_CONFIG)
    config.model.backbone.pretrained = str(weights)
    model = init_model(config, device='cpu')
    scores: dict[str, dict[str, float]] = {
        domain: _score_domain(model, domain, root) for domain in (*SOURCE_DOMAINS, *TARGET_DOMAINS)
    }
    for group, domains in (('sources', SOURCE_DOMAINS), ('targets', TARGET_DOMAINS)):
        scores[group] = {name: float(np.mean([scores[domain][name] for domain in domains])) for name in ('mAP', 'R1')}
    return {f'{domain}/{name}': value for domain, found in scores.items() for name, value in found.items()}


def _score_domain(model: Any, domain: str, root: str) -> dict[str, float]:
    index = IslandsSource(domain, root).load()
    split = index.split()
    sides = []
    for records in (split.query, [record for record in split.gallery if record.identity >= 0]):
        paths = [f'{index.root}/{record.path}' for record in records]
        features = extract_features(model, paths, batch_size=128, progress=False).numpy()
        sides.append((features, [record.identity for record in records], [record.camera or 0 for record in records]))
    (query, query_ids, query_cameras), (gallery, gallery_ids, gallery_cameras) = sides
    result = rank_retrieval(query, gallery, query_ids, gallery_ids, query_cameras, gallery_cameras)
    return {'mAP': 100 * result.mAP, 'R1': 100 * float(result.cmc[0])}
