"""Parts of the model that belong to the training identities: made when those are known."""

from collections.abc import Collection, Mapping
from typing import Any

from cmdg_plugin.models.training_images import DataSizes
from cmdg_plugin.regions import PARTS

IDENTITY_PARTS = ('head', 'prompts', 'memory')
"""Parts of the model that belong to the training identities."""

TRAINING_PARTS = (*IDENTITY_PARTS, 'losses')
"""Parts of the model that features do without."""


def size_parts(
    configs: Mapping[str, Mapping[str, Any]],
    sizes: DataSizes,
    *,
    text_width: int,
    reads: Collection[str],
    trains_text: bool,
) -> dict[str, dict[str, Any]]:
    """Fill the sizes into the configs of head, prompts and memory bank.

    Args:
        configs: Config by part, without sizes; what a config says counts.
        sizes: How large data and features are.
        text_width: Width of the text tower's tokens.
        reads: Fields that loss terms of any stage read. There is no bank where none reads it or captions.
        trains_text: Whether blocks of the text tower train.
    """
    filled: dict[str, dict[str, Any]] = {
        'head': {'num_identities': sizes.num_identities, 'width': sizes.width, 'embed_dim': sizes.embed_dim},
        'prompts': {
            'num_identities': sizes.num_identities,
            'num_domains': sizes.num_domains,
            'text_width': text_width,
        },
    }
    if not {'bank', 'caption_regions', 'caption_global'}.isdisjoint(reads):
        filled['memory'] = {
            'num_samples': sizes.num_samples,
            'num_parts': len(PARTS),
            'dim': sizes.embed_dim,
            # A frozen text tower encodes captions anew on a resume: checkpoints need not hold them. Those of a tower
            # that trains are running averages.
            'save_text': trains_text,
        }
    return {part: {**arguments, **configs[part]} for part, arguments in filled.items()}
